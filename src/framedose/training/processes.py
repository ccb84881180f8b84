"""One process, or the many that torchrun started: devices, precision, and who does what."""

import os

import torch
from lightning_fabric import Fabric

from framedose.errors import ConfigurationError
from framedose.training.config import TrainingConfig
from framedose.workers import cores

# Processes that read batches, at most; a few more than a GPU needs.
_READERS = 16


def start_fabric(config: TrainingConfig) -> Fabric:
    """Return the Fabric of this training.

    Under ``torchrun`` every process takes its part of each batch and gradients are averaged. A step on stored images of
    one dataset at their own pixels is the same as in one process but for rounding (windows, crops and new noise are
    drawn by each process); the norms of a U-net with ``norm="batch"`` are then those of a part.

    Raises
    ------
    ConfigurationError
        If the batch cannot be divided among the processes.
    """
    cuda = torch.cuda.is_available()
    precision = config.precision
    if precision == "auto":
        precision = "bf16-mixed" if cuda and torch.cuda.is_bf16_supported() else "32-true"
    world = int(os.environ.get("WORLD_SIZE", 1))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    if config.batch % world:
        raise ConfigurationError(
            f"training.batch must be a multiple of the {world} processes that torchrun started, got {config.batch}."
        )
    fabric = Fabric(
        accelerator="cuda" if cuda else "cpu",
        devices=local,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
        precision=precision,
    )
    if world > 1:
        fabric.launch()
    return fabric


def readers(device: torch.device) -> int:
    """Return how many processes should read the batches of this one: none on a CPU, whose cores the network has."""
    if device.type == "cpu":
        return 0
    return max(0, min(_READERS, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", 1)) - 1))
