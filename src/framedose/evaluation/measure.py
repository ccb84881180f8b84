"""One pass over a series: how often each probability was given on particle and on background, and the objects seen."""

import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from framedose.atomic import write_aside
from framedose.errors import ConfigurationError, FileFormatError, ImageError
from framedose.evaluation.counts import SeriesCounts
from framedose.evaluation.objects import boundary_error, false_objects, particles_found
from framedose.evaluation.series import Floats, Images, Masks, Predict, Series, check_series, probabilities
from framedose.kinds import KINDS
from framedose.progress import progress

Integers = npt.NDArray[np.int64]

# Steps of the logit between thresholds: 16 of them from 0.5 to 0.9, and as far as float32 tells probabilities from 1.
_STEP, _STEPS = np.log(9) / 16, 96
# What NumPy and zipfile meet in a damaged archive.
_DAMAGE = (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)
THRESHOLDS = (0.5, 0.7, 0.9, 0.99)


def threshold_grid(*wanted: float) -> npt.NDArray[np.float32]:
    """Return thresholds (B,), rising, even in the logit and symmetric about 0.5, and the ``wanted`` ones."""
    grid = expit(_STEP * np.arange(-_STEPS, _STEPS + 1))
    exact = np.array([*wanted, 0.5, 0.9])
    # 0.9 is on the grid but for the last digit, which would make two of it.
    apart = np.abs(grid[:, None] - exact).min(axis=1) > 1e-9
    return np.unique(np.r_[grid[apart], exact].astype(np.float32))


@dataclass(frozen=True, eq=False)
class Measured:
    """What one predictor said on a series; D doses, B thresholds, B + 1 bins of probability between them.

    Attributes
    ----------
    doses
        Frame doses (D,) [e/Å2], rising.
    thresholds
        (B,), rising.
    particle, background
        Pixels of each bin on the particle and beside it: integers (structures, D, B + 1).
    vacuum, support
        Pixels of each bin on frames of vacuum only and of bare support only: integers (frames, D, B + 1).
    threshold
        The one that objects and outlines are of.
    boundary
        Mean distance of the predicted outline from the true one [nm], NaN where there is none (structures, D).
    found, particles, false
        Particles found, particles, and objects that are none: integers (structures, D).
    vacuum_objects, support_objects
        Objects on frames without a particle: integers (frames, D).
    """

    doses: Floats
    thresholds: npt.NDArray[np.float32]
    particle: Integers
    background: Integers
    vacuum: Integers
    support: Integers
    threshold: float
    boundary: Floats
    found: Integers
    particles: Integers
    false: Integers
    vacuum_objects: Integers
    support_objects: Integers

    @property
    def pixels(self) -> int:
        """Pixels of a frame."""
        return int(self.particle[0, 0].sum() + self.background[0, 0].sum())

    def counts(self, threshold: float | None = None) -> SeriesCounts:
        """Return the pixel counts at one of the ``thresholds``, by default at ``threshold``.

        Raises
        ------
        ConfigurationError
            If the threshold is not one of those.
        """
        return self.counts_at(self.indices(self.threshold if threshold is None else threshold))

    def indices(self, threshold: float) -> npt.NDArray[np.int_]:
        """Return the index of one of the ``thresholds`` for each dose (D,), or raise as :meth:`counts`."""
        index = np.flatnonzero(self.thresholds == np.float32(threshold))
        if not index.size:
            raise ConfigurationError(f"threshold {threshold} was not measured: measure the series again with it.")
        return np.full(self.doses.size, index[0])

    def counts_at(self, indices: npt.NDArray[np.int_]) -> SeriesCounts:
        """Return the pixel counts at a threshold of its own for each dose: indices (D,), B to call nothing particle."""
        places = np.arange(indices.size), indices
        hits = at_least(self.particle)[:, *places]
        return SeriesCounts(
            doses=self.doses,
            true_positive=hits,
            predicted=hits + at_least(self.background)[:, *places],
            truth=self.particle.sum(axis=-1),
            vacuum_predicted=at_least(self.vacuum)[:, *places],
            support_predicted=at_least(self.support)[:, *places],
            pixels=self.pixels,
        )

    def save(self, path: str | Path) -> None:
        """Write it to an ``.npz`` file, atomically."""
        with write_aside(path) as aside:
            np.savez_compressed(aside, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        FileFormatError
            If it is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {field.name: stored[field.name] for field in fields(cls)}
            return cls(**{**arrays, "threshold": float(arrays["threshold"])})
        except _DAMAGE as error:
            reason = " ".join(str(error).split())[:200]
            raise FileFormatError(f"{str(path)!r} is damaged ({reason}). Remove it, and evaluate again.") from error


def measure(
    predict: Predict,
    series: Series,
    *,
    threshold: float = 0.9,
    thresholds: tuple[float, ...] = THRESHOLDS,
    label: str = "evaluate",
) -> Measured:
    """Predict all frames of a series and count; the frames of one dose are in memory at a time.

    Parameters
    ----------
    predict
        Frames (n, y, x), float32, and their pixel sizes (n,) [Å/px] to the probability of particle (n, y, x).
    series
        The frames and the truth.
    threshold
        That of objects and outlines: a pixel is particle where its probability is at least this.
    thresholds
        Others that counts are wanted at.
    label
        Name at the progress bar.

    Raises
    ------
    ImageError
        If the doses do not rise, a structure has no particle, there is no vacuum frame, shapes disagree, or a
        probability is not finite.
    """
    doses, masks = np.asarray(series.doses, dtype=np.float64), np.asarray(series.masks, dtype=bool)
    check_series(doses, masks)
    grid = threshold_grid(threshold, *thresholds)
    sizes = {kind: series.samplings(kind) for kind in KINDS}
    columns = []
    for index in progress(range(doses.size), total=doses.size, label=label):
        particle = probabilities(predict, series.images(index), sizes["particle"], masks.shape[1:])
        if particle.shape != masks.shape:
            raise ImageError(f"A series needs one frame for each mask, {masks.shape}, got {particle.shape}.")
        vacuum = probabilities(predict, series.vacuum(index), sizes["vacuum"], masks.shape[1:])
        support = probabilities(predict, series.support(index), sizes["support"], masks.shape[1:])
        if not len(vacuum):
            raise ImageError("A series needs at least one vacuum frame for the null test, got none.")
        columns.append(_column(particle, vacuum, support, masks, sizes["particle"], grid, threshold))
    joined = {name: np.stack([column[name] for column in columns], axis=1) for name in columns[0]}
    return Measured(doses=doses, thresholds=grid, threshold=threshold, **joined)


def _column(
    particle: Images,
    vacuum: Images,
    support: Images,
    masks: Masks,
    samplings: Floats,
    grid: npt.NDArray[np.float32],
    threshold: float,
) -> dict[str, npt.NDArray[Any]]:
    """Return all that is counted at one dose."""
    found, nothing = particle >= np.float32(threshold), np.zeros(masks.shape[1:], dtype=bool)
    triples = list(zip(found, masks, samplings.tolist(), strict=True))
    seen = np.array([particles_found(mask, truth) for mask, truth, _ in triples], dtype=np.int64)
    # Frames without a particle are those of a series: their pixels have about the size of the others.
    usual = float(np.median(samplings))
    empty = [
        np.array([false_objects(frame >= np.float32(threshold), nothing, usual) for frame in frames], dtype=np.int64)
        for frames in (vacuum, support)
    ]
    return {
        "particle": _histograms(particle, grid, masks),
        "background": _histograms(particle, grid, ~masks),
        "vacuum": _histograms(vacuum, grid),
        "support": _histograms(support, grid),
        "boundary": np.array([boundary_error(*triple) for triple in triples]),
        "found": seen[:, 0],
        "particles": seen[:, 1],
        "false": np.array([false_objects(*triple) for triple in triples], dtype=np.int64),
        "vacuum_objects": empty[0],
        "support_objects": empty[1],
    }


def _histograms(probability: Images, grid: npt.NDArray[np.float32], masks: Masks | None = None) -> Integers:
    """Return how many pixels (n, B + 1) of each frame, or of a part of it, lie between thresholds."""
    parts = probability if masks is None else (frame[mask] for frame, mask in zip(probability, masks, strict=True))
    # Bin i holds the probabilities from threshold i - 1 on and below threshold i.
    bins = [np.bincount(np.searchsorted(grid, part.ravel(), side="right"), minlength=grid.size + 1) for part in parts]
    return np.array(bins, dtype=np.int64).reshape(-1, grid.size + 1)


def at_least(histogram: Integers) -> Integers:
    """Return the pixels (..., B + 1) at or above each threshold; the last, above all of them, is 0."""
    above: Integers = np.cumsum(histogram[..., ::-1], axis=-1)[..., ::-1]
    return np.concatenate([above[..., 1:], np.zeros_like(above[..., :1])], axis=-1)
