"""The one training loop: binary cross entropy, ADAM with AMSGrad, bounded by steps, resumable bit for bit."""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from framedose.config import Settings, digest
from framedose.dataset.store import ImageSet
from framedose.errors import TrainingError
from framedose.metrics import overlap
from framedose.networks.msdnet import MSDNetConfig
from framedose.networks.preprocess import normalise
from framedose.networks.registry import Network, build_network
from framedose.networks.unet import UNetConfig
from framedose.progress import progress
from framedose.training.batches import Batch, training_batch, validation_batches
from framedose.training.checkpoint import load_checkpoint, save_checkpoint
from framedose.training.disturb import Disturbances

# Probability from which a pixel counts as particle, in training curves as everywhere (the paper, section 2).
THRESHOLD = 0.9


class TrainingConfig(Settings):
    """How a network is trained."""

    steps: int = Field(ge=1)
    """Optimiser steps; training is bounded by these, never by time."""
    batch: int = Field(8, ge=1)
    """Images of a step."""
    learning_rate: float = Field(1e-3, gt=0)
    """Learning rate of ADAM (AMSGrad)."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate kept (the paper), or lowered to zero along half a cosine after a short warm-up."""
    clip: float | None = Field(None, gt=0)
    """Largest norm of the gradient; none for no limit."""
    augment: bool = False
    """Show every image in a random one of its eight orientations."""
    disturb: Disturbances = Disturbances()
    """What is added to the training images that the simulation has not."""
    validate_every: int = Field(100, ge=1)
    """Steps between validations."""
    checkpoint_every: int = Field(50, ge=1)
    """Steps between checkpoints: what a killed run loses at most."""

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        if self.schedule == "constant":
            return self.learning_rate
        warm = min(1.0, (step + 1) / (0.03 * self.steps + 1))
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def train(
    network_config: UNetConfig | MSDNetConfig,
    config: TrainingConfig,
    images: ImageSet,
    validation: ImageSet,
    *,
    seed: int,
    checkpoint: Path,
    label: str,
) -> tuple[Network, dict[str, Any]]:
    """Train a network, or go on from its checkpoint.

    Parameters
    ----------
    network_config, config
        What is trained, and how.
    images, validation
        Training and validation images.
    seed
        Seed of the weights, the order and the orientations.
    checkpoint
        Where the state is kept; an existing one of the same configuration is continued.
    label
        Name in the progress bar.

    Returns
    -------
    network
        The trained network.
    curves
        ``step``, ``train_loss`` (mean since the last entry), ``validation_loss``, ``validation_f1`` (mean per image).

    Raises
    ------
    TrainingError
        If the loss is not finite; the last checkpoint is kept.
    """
    run = digest([network_config.model_dump(), config.model_dump(), images.made_from, validation.made_from, seed])
    fabric = Fabric(accelerator="cuda" if torch.cuda.is_available() else "cpu", devices=1)
    bare = build_network(network_config, seed=seed)
    optimizer = torch.optim.Adam(bare.parameters(), lr=config.learning_rate, amsgrad=True)
    curves: dict[str, Any] = {"step": [], "train_loss": [], "validation_loss": [], "validation_f1": [], "pending": []}
    start = 0
    if checkpoint.exists():
        start, curves = load_checkpoint(checkpoint, bare, optimizer, run=run)
    network, optimizer = fabric.setup(bare, optimizer)
    held_out = validation_batches(validation, size=config.batch)
    batches = _prefetched(images, config, seed, start)
    for step in progress(range(start, config.steps), total=config.steps, done=start, label=label):
        for group in optimizer.param_groups:
            group["lr"] = config.rate(step)
        loss = _step(fabric, network, optimizer, next(batches), config.clip, network_config.normalise_window)
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss of step {step} is {loss}. Lower learning_rate ({config.learning_rate}) or set clip; "
                f"the state before is in {str(checkpoint)!r}."
            )
        curves["pending"].append(loss)
        done = step + 1
        if done % config.validate_every == 0 or done == config.steps:
            _validate(network, held_out, curves, done, network_config.normalise_window)
        if done % config.checkpoint_every == 0 or done == config.steps:
            save_checkpoint(checkpoint, bare, optimizer.optimizer, step=done, curves=curves, run=run)
    bare.eval()
    return bare, {name: values for name, values in curves.items() if name != "pending"}


def _step(fabric: Fabric, network: Any, optimizer: Any, batch: Batch, clip: float | None, window: int | None) -> float:
    """Make one optimiser step and return its loss; a loss that is not finite is returned before it does any harm."""
    inputs, masks = (torch.from_numpy(part).to(fabric.device) for part in batch)
    loss = F.binary_cross_entropy_with_logits(network(normalise(inputs, window))[:, 0], masks)
    value: float = loss.item()
    if math.isfinite(value):
        optimizer.zero_grad()
        fabric.backward(loss)
        if clip is not None:
            fabric.clip_gradients(network, optimizer, max_norm=clip)
        optimizer.step()
    return value


def _prefetched(images: ImageSet, config: TrainingConfig, seed: int, start: int) -> Iterator[Batch]:
    """Yield batches from step ``start`` on, the next one being read while the current one is used."""

    def load(step: int) -> Batch:
        return training_batch(
            images, seed=seed, step=step, size=config.batch, augment=config.augment, disturb=config.disturb
        )

    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(load, start)
        for step in range(start + 1, config.steps + 1):
            batch = ahead.result()
            if step < config.steps:
                ahead = pool.submit(load, step)
            yield batch


def _validate(network: Any, held_out: list[Batch], curves: dict[str, Any], step: int, window: int | None) -> None:
    losses, scores = [], []
    network.eval()
    with torch.no_grad():
        for inputs, masks in held_out:
            truth = torch.from_numpy(masks).to(next(network.parameters()).device)
            logits: Tensor = network(normalise(torch.from_numpy(inputs).to(truth.device), window))[:, 0]
            losses += F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=(1, 2)).tolist()
            found = (torch.sigmoid(logits) >= THRESHOLD).cpu().numpy()
            scores += [overlap(mine, mask > 0).f1 for mine, mask in zip(found, masks, strict=True)]
    network.train()
    curves["step"].append(step)
    curves["train_loss"].append(float(np.mean(curves["pending"])))
    curves["validation_loss"].append(float(np.mean(losses)))
    curves["validation_f1"].append(float(np.mean(scores)))
    curves["pending"] = []
