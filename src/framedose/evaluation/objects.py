"""Predicted masks as objects and outlines: particles found, objects that are none, and how far outlines lie apart."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Masks = npt.NDArray[np.bool_]

# Smaller than any particle of interest: single pixels of noise are no objects [nm2].
LEAST_AREA = 0.5
_EIGHT = np.ones((3, 3), dtype=bool)


def particles_found(predicted: Masks, truth: Masks) -> tuple[int, int]:
    """Return how many particles are found, and how many there are.

    A particle is one connected part of the true mask (over corners too), and is found where at least half of it is
    predicted.

    Parameters
    ----------
    predicted, truth
        Masks (y, x).

    Examples
    --------
    >>> particles_found(np.eye(4, dtype=bool), np.ones((4, 4), dtype=bool))
    (0, 1)
    """
    labels, count = ndimage.label(truth, _EIGHT)
    if not count:
        return 0, 0
    covered = ndimage.mean(predicted, labels, np.arange(1, count + 1))
    return int((np.asarray(covered) >= 0.5).sum()), count


def false_objects(predicted: Masks, truth: Masks, sampling: float) -> int:
    """Return how many predicted objects touch no particle.

    An object is one connected part of the predicted mask of at least ``LEAST_AREA``, 0.5 nm2.

    Parameters
    ----------
    predicted, truth
        Masks (y, x).
    sampling
        Pixel size [Å/px].
    """
    labels, count = ndimage.label(predicted, _EIGHT)
    if not count:
        return 0
    numbers = np.arange(1, count + 1)
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:] * (sampling / 10) ** 2
    touches = np.asarray(ndimage.maximum(truth, labels, numbers)) > 0
    return int(((area >= LEAST_AREA) & ~touches).sum())


def f1_of_count(found: int, particles: int, false: int) -> float:
    """Return F1 of particles as a count, 2 found / (found + particles + false); NaN if there is nothing to count.

    Parameters
    ----------
    found, particles
        Those of :func:`particles_found`, of one frame or summed over frames.
    false
        Those of :func:`false_objects`.

    Examples
    --------
    >>> f1_of_count(found=9, particles=10, false=1)
    0.9
    """
    return 2 * found / (found + particles + false) if particles or false else float("nan")


def f1_of_particles(predicted: Masks, truth: Masks) -> list[float]:
    """Return F1 of each particle, alone with what of the mask belongs to it.

    To a particle (as in :func:`particles_found`) belongs what touches it and is nearer to it than to any other.

    Parameters
    ----------
    predicted, truth
        Masks (y, x).

    Returns
    -------
    list of float
        In the order of the particles' first pixels, row by row; empty if there is none.
    """
    particles, count = ndimage.label(truth, _EIGHT)
    if not count:
        return []
    parts, _ = ndimage.label(predicted, _EIGHT)
    rows, columns = ndimage.distance_transform_edt(~truth, return_distances=False, return_indices=True)
    # Each predicted pixel by its part of the mask and its nearest particle, which inside of one is that one.
    pairs = parts[predicted].astype(np.int64) * (count + 1) + particles[rows, columns][predicted]
    touching = np.unique(pairs[truth[predicted]])
    own = np.bincount(pairs[np.isin(pairs, touching)] % (count + 1), minlength=count + 1)[1:]
    covered = np.bincount(particles[predicted], minlength=count + 1)[1:]
    scores: list[float] = (2 * covered / (own + np.bincount(particles.ravel())[1:])).tolist()
    return scores


def boundary_error(predicted: Masks, truth: Masks, sampling: float) -> float:
    """Return the mean distance between two outlines [nm]: from each to the other, averaged over both.

    The average symmetric surface distance. An outline is the pixels of a mask that have a neighbour outside of it (the
    edge of the frame is no outline, as the particle goes on there).

    Parameters
    ----------
    predicted, truth
        Masks (y, x).
    sampling
        Pixel size [Å/px].

    Returns
    -------
    float
        NaN where one of the masks has no outline.
    """
    one, other = _outline(predicted), _outline(truth)
    if not one.any() or not other.any():
        return float("nan")
    there, back = (ndimage.distance_transform_edt(~to)[of] for to, of in ((other, one), (one, other)))
    return float((there.sum() + back.sum()) / (there.size + back.size) * sampling / 10)


def _outline(mask: Masks) -> Masks:
    outline: Masks = mask & ~ndimage.binary_erosion(mask, border_value=1)
    return outline
