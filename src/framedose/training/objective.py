"""What is minimised and what is scored: cross entropy of one class or several, and F1 of the particle."""

import torch
from torch import Tensor
from torch.nn import functional as F

from framedose.networks.preprocess import probability_of
from framedose.training.config import TrainingConfig

# Probability from which a pixel counts as particle, in training curves as everywhere (the paper, section 2).
THRESHOLD = 0.9
PARTICLE = 1


def loss_of(logits: Tensor, labels: Tensor, particle_weight: float | Tensor = 1.0) -> Tensor:
    r"""Return the mean loss of every image, shape (n,): binary or categorical cross entropy.

    A pixel of the particle counts ``particle_weight`` times, which moves what the network learns to say where the share
    of particle is :math:`p` to :math:`w p / (w p + 1 - p)`.

    Parameters
    ----------
    logits
        Shape (n, classes, y, x).
    labels
        Shape (n, y, x): bool for one class; 0 vacuum, 1 particle, 2 support for three.
    particle_weight
        Weight of the pixels of the particle, one or one for each image, shape (n,).
    """
    if logits.shape[1] == 1:
        pixels = F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype), reduction="none")
    else:
        pixels = F.cross_entropy(logits, labels.long(), reduction="none")
    counted = torch.as_tensor(particle_weight, dtype=torch.float32, device=pixels.device).expand(len(pixels))
    weights = torch.where(labels == PARTICLE, counted[:, None, None], 1.0)
    return (weights * pixels).mean(dim=(1, 2))


def particle_weights(config: TrainingConfig, doses: Tensor) -> Tensor:
    r"""Return how much a pixel of the particle counts, :math:`w_p w_d^{1 / (1 + D / D_0)}`, shape (n,).

    Parameters
    ----------
    config
        Has :math:`w_p`, ``particle_weight``, :math:`w_d`, ``low_dose_weight``, and :math:`D_0`, ``low_dose``.
    doses
        Frame dose :math:`D` of each image [e/Å2], shape (n,).
    """
    return config.particle_weight * config.low_dose_weight ** (1 / (1 + doses / config.low_dose))


@torch.no_grad()
def scores_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the F1 of the particle of every image, shape (n,), as :class:`framedose.metrics.Overlap` defines it."""
    found, truth = probability_of(logits) >= THRESHOLD, labels == PARTICLE
    both = (found & truth).sum(dim=(1, 2))
    total = found.sum(dim=(1, 2)) + truth.sum(dim=(1, 2))
    return torch.where(total > 0, 2 * both / total.clamp(min=1), 1.0)
