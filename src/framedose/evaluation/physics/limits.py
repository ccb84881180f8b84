"""From scores of frames with and without a particle to the dose at which particles are found."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from framedose.errors import ConfigurationError
from framedose.evaluation.limits import (
    DoseLimit,
    Floats,
    Result,
    crossing,
    limit_of,
)


class KnownSignal(Result):
    """What an observer reaches that knows the signal exactly: drawn thin, never the headline."""

    label: Literal["signal known exactly"] = "signal known exactly"
    """How the curve is labelled wherever it is shown."""
    doses: list[float]
    """Frame doses [e/Å2]."""
    d_prime: list[float]
    """Median of d' over structures."""
    reached: list[float]
    """Mean over structures of the share found at the false share, or of the share of patches that are told right."""
    dose: DoseLimit
    """Dose at which that comes to its target."""


class Detection(Result):
    """Fields with a particle that are found, at a given share of false fields."""

    doses: list[float]
    """Frame doses [e/Å2]."""
    found: list[float]
    """Share of the frames with a particle whose score exceeds the threshold, mean over structures."""
    false_share: float
    """Share of the frames without a particle above the threshold, at most."""
    target: float
    """Share that has to be found."""
    null_frames: int
    """Frames without a particle at each dose, which the threshold comes from."""
    dose: DoseLimit
    """Dose at which the target is found."""


def detection(
    doses: npt.ArrayLike,
    scores: npt.ArrayLike,
    null_scores: npt.ArrayLike,
    *,
    target: float = 0.95,
    false_share: float = 0.01,
    level: float = 0.95,
    resamples: int = 1000,
    rng: np.random.Generator,
) -> Detection:
    """Return the share of particles found against dose, and the dose at which ``target`` of them are.

    The threshold of each dose is the score that at most ``false_share`` of the frames without a particle exceed. The
    bootstrap draws structures and null frames anew, each all doses together.

    Parameters
    ----------
    doses
        Frame doses (D,) [e/Å2], rising.
    scores
        Scores of frames with a particle, (structures, frames, D).
    null_scores
        Scores of frames without one, (frames, D), at least 1 / ``false_share`` frames.
    target
        Share of the particles that has to be found.
    level, resamples, rng
        Nominal coverage, number and source of the bootstrap.

    Raises
    ------
    ConfigurationError
        If there are too few null frames for the false share, or fewer than two structures.
    """
    doses = np.asarray(doses, dtype=np.float64)
    scores, null = np.asarray(scores, dtype=np.float64), np.asarray(null_scores, dtype=np.float64)
    if len(null) * false_share < 1 - 1e-9:
        raise ConfigurationError(
            f"A false share of {false_share:g} needs at least {int(np.ceil(1 / false_share))} frames without a "
            f"particle, got {len(null)}: make more, or allow a larger share."
        )
    if len(scores) < 2:
        raise ConfigurationError(f"An interval over structures needs at least two, got {len(scores)}.")

    def found(of: Floats, without: Floats) -> Floats:
        threshold = np.quantile(without, 1 - false_share, axis=0, method="higher")
        return np.asarray((of > threshold).mean(axis=1))

    shares = found(scores, null)
    means = np.empty((resamples, doses.size))
    for row in means:
        structures = rng.integers(len(scores), size=len(scores))
        row[:] = found(scores[structures], null[rng.integers(len(null), size=len(null))]).mean(axis=0)
    mean = shares.mean(axis=0)
    return Detection(
        doses=doses.tolist(),
        found=mean.tolist(),
        false_share=false_share,
        target=target,
        null_frames=len(null),
        dose=limit_of(
            doses,
            mean,
            [crossing(doses, row, target) for row in means],
            target=target,
            level=level,
            draws=len(scores),
        ),
    )
