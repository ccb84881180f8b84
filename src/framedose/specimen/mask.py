"""The label of a particle: the convex hull of its projected atoms, rasterised at the image's own sampling."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError

from framedose.errors import SpecimenError

# Classes of a labelled image; 0 is vacuum.
PARTICLE, SUPPORT = 1, 2


def projected_hull(positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the convex hull of atoms projected along the beam.

    Parameters
    ----------
    positions
        Shape (n, 3), columns x, y, z [Å], not all on one line.

    Returns
    -------
    array
        Corners in order around the hull, shape (m, 2), columns (y, x) [Å].

    Raises
    ------
    SpecimenError
        If they are fewer than three, or on one line.
    """
    points = positions[:, 1::-1]
    try:
        corners: npt.NDArray[np.float64] = points[ConvexHull(points).vertices]
    except (QhullError, ValueError) as error:
        raise SpecimenError(f"{len(points)} atoms on one line have no outline; make specimen.radius larger.") from error
    return corners


def hull_area(hull: npt.NDArray[np.float64]) -> float:
    """Return the area of a polygon [Å2] given by its corners (m, 2), by the shoelace formula."""
    y, x = hull.T
    return 0.5 * abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))


def overlapping(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], apart: float) -> bool:
    """Return whether two convex polygons (m, 2) come closer than ``apart`` [Å] (separating axis theorem).

    The distance is measured along the normals of the edges only, so corners that face each other count as closer than
    they are.
    """
    for polygon in (one, other):
        edges = np.roll(polygon, -1, axis=0) - polygon
        normals = np.stack([edges[:, 1], -edges[:, 0]]) / np.linalg.norm(edges, axis=1)
        mine, theirs = one @ normals, other @ normals
        gaps = np.maximum(mine.min(axis=0) - theirs.max(axis=0), theirs.min(axis=0) - mine.max(axis=0))
        if gaps.max() >= apart:
            return False
    return True


def rasterise(
    hulls: Sequence[npt.NDArray[np.float64]], corner: tuple[float, float], sampling: float, shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Return the mask of the particles on an image.

    A pixel belongs to a particle if its centre lies inside the particle's hull.

    Parameters
    ----------
    hulls
        Corners (m, 2) of each particle, in order around it and convex, columns (y, x) [Å].
    corner
        Position (y, x) [Å] of the CENTRE of the first pixel.
    sampling
        Side of a pixel [Å/px].
    shape
        Pixels (y, x).
    """
    mask = np.zeros(shape, dtype=bool)
    for hull in hulls:
        mask |= _filled((hull - corner) / sampling, shape)
    return mask


def _filled(hull: npt.NDArray[np.float64], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the pixels inside a convex polygon: in each row all those between its outermost crossings of edges."""
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])
    (y0, x0), (y1, x1) = hull.T, np.roll(hull, -1, axis=0).T
    # Edges along a row cross it nowhere; their ends belong to other edges too.
    y0, x0, y1, x1 = (values[y0 != y1] for values in (y0, x0, y1, x1))
    crossed = (np.minimum(y0, y1) <= rows) & (rows <= np.maximum(y0, y1))
    x = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
    left = np.where(crossed, x, np.inf).min(axis=1, keepdims=True)
    right = np.where(crossed, x, -np.inf).max(axis=1, keepdims=True)
    inside: npt.NDArray[np.bool_] = (left <= columns) & (columns <= right)
    return inside


def label(
    hulls: Sequence[npt.NDArray[np.float64]],
    support_hulls: Sequence[npt.NDArray[np.float64]],
    corner: tuple[float, float],
    sampling: float,
    shape: tuple[int, int],
) -> npt.NDArray[np.uint8]:
    """Return the classes of an image: 0 vacuum, 1 particle, 2 support; the particle wins where both are.

    Parameters as those of :func:`rasterise`.
    """
    classes = rasterise(support_hulls, corner, sampling, shape).astype(np.uint8) * np.uint8(SUPPORT)
    classes[rasterise(hulls, corner, sampling, shape)] = PARTICLE
    return classes
