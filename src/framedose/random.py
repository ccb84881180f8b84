"""Seeded draws: every random number comes from a generator named by one seed and the item it is for."""

import hashlib

import numpy as np

from framedose.errors import ConfigurationError

LARGEST_SEED = 2**63 - 1
"""What PyTorch takes too."""


def check_seed(seed: int) -> None:
    """Raise ConfigurationError unless ``--seed`` is one that everything takes."""
    if not 0 <= seed <= LARGEST_SEED:
        raise ConfigurationError(f"--seed must be a whole number from 0 to 2^63 - 1, got {seed}.")


def generator(seed: int, *keys: str | int) -> np.random.Generator:
    """Return the generator of one item, the same on any machine, in any order and on any number of workers.

    Parameters
    ----------
    seed
        The seed of the whole study, not negative.
    *keys
        What the draw is for and for which item, for example ``"specimen", "train", 17``. Different keys give
        independent streams.

    Examples
    --------
    >>> generator(1, "noise", 4).integers(100) == generator(1, "noise", 4).integers(100)
    np.True_
    """
    digest = hashlib.sha256("\x1f".join(f"{type(key).__name__}:{key}" for key in keys).encode()).digest()
    words = np.frombuffer(digest, dtype="<u4").tolist()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))
