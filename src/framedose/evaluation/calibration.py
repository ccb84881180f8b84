"""Is 0.9 really 90 %? Probabilities against what they turn out to be."""

import numpy as np
import numpy.typing as npt

from framedose.evaluation.limits import Result
from framedose.evaluation.measure import Measured

# Edges of the bins of a reliability diagram: narrower where networks put most pixels.
_EDGES = (0.0, 0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98, 1.0)


class Reliability(Result):
    """Probabilities that were given, and the share of particle among the pixels that they were given to."""

    given: list[float]
    """Mean probability of each bin that holds pixels."""
    observed: list[float]
    """Share of its pixels that are particle."""
    pixels: list[int]
    """Its pixels."""
    error: float
    """Mean distance between the two, weighted by the pixels: the expected calibration error."""


def reliability(measured: Measured, doses: npt.NDArray[np.bool_] | None = None) -> Reliability:
    """Return the reliability of the probabilities on the frames with a particle.

    Parameters
    ----------
    measured
        From :func:`~framedose.evaluation.measure.measure`.
    doses
        Which doses (D,) count; all by default.
    """
    chosen = np.ones(measured.doses.size, dtype=bool) if doses is None else doses
    hits = measured.particle[:, chosen].sum(axis=(0, 1))
    total = hits + measured.background[:, chosen].sum(axis=(0, 1))
    edges = np.r_[0.0, measured.thresholds.astype(np.float64), 1.0]
    middles = (edges[1:] + edges[:-1]) / 2
    group = np.digitize(middles, _EDGES[1:-1])
    size = len(_EDGES) - 1
    pixels, positive = (np.bincount(group, weights=values, minlength=size) for values in (total, hits))
    kept = pixels > 0
    given = np.bincount(group, weights=middles * total, minlength=size)[kept] / pixels[kept]
    observed = positive[kept] / pixels[kept]
    error = float((np.abs(given - observed) * pixels[kept]).sum() / pixels.sum())
    return Reliability(
        given=given.tolist(), observed=observed.tolist(), pixels=pixels[kept].astype(int).tolist(), error=error
    )
