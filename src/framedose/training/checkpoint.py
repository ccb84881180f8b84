"""Checkpoints: networks, optimiser and curves in one safetensors file, written aside and renamed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from framedose.atomic import write_aside
from framedose.errors import TrainingError

# What a file of this layout says of itself; it changes when the layout does.
_FORMAT = "framedose checkpoint 3"
_DELETE = "Delete it to train from the start."


@dataclass
class State:
    """Everything that a training goes on from.

    Parameters
    ----------
    modules
        Networks by name: the one that is trained, and where there are such its running average and the best one.
    optimizer
        ADAM.
    run
        Hash of the configuration that it belongs to.
    step
        Steps done.
    curves
        Learning curves up to this step.
    """

    modules: Mapping[str, nn.Module]
    optimizer: torch.optim.Optimizer
    run: str
    step: int
    curves: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write the state, all or nothing."""
        tensors: dict[str, Tensor] = {}
        for prefix, module in self.modules.items():
            tensors |= {f"{prefix}/{name}": tensor for name, tensor in module.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{name}": tensor for name, tensor in state.items()}
        # Copies: a tensor that two networks share must not be one in the file.
        tensors = {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
        }
        metadata = {"format": _FORMAT, "step": str(self.step), "run": self.run, "curves": json.dumps(self.curves)}
        metadata["sha256"] = _digest(metadata, tensors)
        with write_aside(path) as aside:
            # Not by safetensors, which does not say that a disk is full.
            aside.write_bytes(save(tensors, metadata))

    def load(self, path: Path) -> None:
        """Restore everything in place.

        Raises
        ------
        TrainingError
            If the file is damaged, of another version, or belongs to another configuration.
        """
        metadata, tensors = _read(path)
        if metadata.get("run") != self.run:
            raise TrainingError(
                f"The checkpoint {str(path)!r} belongs to another configuration or data set. Choose another folder, or "
                "delete it to train from the start."
            )
        for prefix, module in self.modules.items():
            start = len(prefix) + 1
            module.load_state_dict({n[start:]: tensor for n, tensor in tensors.items() if n.startswith(f"{prefix}/")})
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer/"):
                _, index, key = name.split("/")
                state.setdefault(int(index), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.step, self.curves = int(metadata["step"]), json.loads(metadata["curves"])


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iterator)
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"The checkpoint {str(path)!r} is damaged ({error}). {_DELETE}") from error
    if metadata.get("format") != _FORMAT:
        raise TrainingError(
            f"{str(path)!r} is no checkpoint of this version of framedose. Finish it with the version that began it, "
            "or delete it to train from the start."
        )
    # A training that went on from a flipped bit would end with other weights, and nothing would say so.
    if metadata.pop("sha256", None) != _digest(metadata, tensors):
        raise TrainingError(f"The checkpoint {str(path)!r} is damaged (its checksum is another). {_DELETE}")
    return metadata, tensors


def _digest(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of all that a checkpoint holds."""
    found = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
