"""Checkpoints: network, optimiser and curves in one safetensors file, written aside and renamed."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from framedose.atomic import write_aside
from framedose.errors import TrainingError


def save_checkpoint(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, *, step: int, curves: dict[str, Any], run: str
) -> None:
    """Write the state after ``step`` steps; ``run`` is the hash of the configuration that it belongs to."""
    tensors: dict[str, Tensor] = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    metadata = {"step": str(step), "run": run, "curves": json.dumps(curves)}
    with write_aside(path) as aside:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, aside, metadata=metadata)


def load_checkpoint(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, *, run: str
) -> tuple[int, dict[str, Any]]:
    """Restore network and optimiser in place; return the steps done and the curves.

    Raises
    ------
    TrainingError
        If the file is damaged or belongs to another configuration.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iterator)
    except (SafetensorError, OSError) as error:
        raise TrainingError(
            f"The checkpoint {str(path)!r} is damaged ({error}). Delete it to train from the start."
        ) from error
    if metadata.get("run") != run:
        raise TrainingError(
            f"The checkpoint {str(path)!r} belongs to another configuration or data set. Choose another folder."
        )
    network.load_state_dict({name[8:]: tensor for name, tensor in tensors.items() if name.startswith("network.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(metadata["step"]), json.loads(metadata["curves"])
