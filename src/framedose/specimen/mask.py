"""The label of a particle: the convex hull of its projected atoms, rasterised at the image's own sampling."""

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull
from skimage.draw import polygon2mask


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
    """
    points = positions[:, 1::-1]
    corners: npt.NDArray[np.float64] = points[ConvexHull(points).vertices]
    return corners


def hull_area(hull: npt.NDArray[np.float64]) -> float:
    """Return the area of a polygon [Å2] given by its corners (m, 2), by the shoelace formula."""
    y, x = hull.T
    return 0.5 * abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))


def rasterise(
    hull: npt.NDArray[np.float64], corner: tuple[float, float], sampling: float, shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Return the mask of a hull on an image.

    A pixel belongs to the particle if its centre lies inside the hull.

    Parameters
    ----------
    hull
        Corners (m, 2), columns (y, x) [Å]; an empty array gives an empty mask.
    corner
        Position (y, x) [Å] of the CENTRE of the first pixel.
    sampling
        Side of a pixel [Å/px].
    shape
        Pixels (y, x).
    """
    if len(hull) == 0:
        return np.zeros(shape, dtype=bool)
    mask: npt.NDArray[np.bool_] = polygon2mask(shape, (hull - corner) / sampling)
    return mask
