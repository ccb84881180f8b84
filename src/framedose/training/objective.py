"""What is minimised and what is scored: cross entropy of one class or several, and F1 of the particle."""

import torch
from torch import Tensor
from torch.nn import functional as F

from framedose.networks.preprocess import probability_of

# Probability from which a pixel counts as particle, in training curves as everywhere (the paper, section 2).
THRESHOLD = 0.9
PARTICLE = 1


def loss_of(logits: Tensor, labels: Tensor, particle_weight: float = 1.0) -> Tensor:
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
        Weight of the pixels of the particle.
    """
    if logits.shape[1] == 1:
        pixels = F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype), reduction="none")
    else:
        pixels = F.cross_entropy(logits, labels.long(), reduction="none")
    weights = torch.where(labels == PARTICLE, particle_weight, 1.0)
    return (weights * pixels).mean(dim=(1, 2))


@torch.no_grad()
def scores_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the F1 of the particle of every image, shape (n,), as :class:`framedose.metrics.Overlap` defines it."""
    found, truth = probability_of(logits) >= THRESHOLD, labels == PARTICLE
    both = (found & truth).sum(dim=(1, 2))
    total = found.sum(dim=(1, 2)) + truth.sum(dim=(1, 2))
    return torch.where(total > 0, 2 * both / total.clamp(min=1), 1.0)
