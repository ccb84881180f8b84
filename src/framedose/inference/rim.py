"""From the hull of the centres of a particle's atoms, which networks are taught, to where the particle ends."""

import math

import numpy as np
import numpy.typing as npt

from framedose.errors import ConfigurationError

# Half of the distance between neighbours in Au [Å] (lattice parameter 4.078 Å; that of Ag differs by 0.2 %).
ATOM_RADIUS = 1.44


def check_rim(rim: float) -> None:
    """Raise ConfigurationError unless ``rim`` is a width [Å]."""
    if not (math.isfinite(rim) and rim >= 0):
        raise ConfigurationError(f"--rim must be a number of Å that is not negative, got {rim}.")


def with_rim(
    probability: npt.NDArray[np.float32], sampling: float, rim: float = ATOM_RADIUS
) -> npt.NDArray[np.float32]:
    """Return the greatest probability within the rim of each pixel: at any threshold the mask grows by the rim.

    The outer atoms of a particle reach beyond the hull of their centres by their radius, by a fifth of the area of a
    particle of 3 nm. Whoever outlines particles in a micrograph follows what is seen, the atoms and not their centres.

    Parameters
    ----------
    probability
        Shape (y, x).
    sampling
        Side of a pixel [Å/px].
    rim
        Width of the rim [Å]; 0 changes nothing.

    Examples
    --------
    >>> with_rim(np.array([[0, 0, 0.5, 0, 0]], np.float32), sampling=0.8)
    array([[0. , 0.5, 0.5, 0.5, 0. ]], dtype=float32)
    """
    from scipy.ndimage import maximum_filter  # Slow to import.

    reach = np.arange(-int(rim / sampling), int(rim / sampling) + 1)
    disc = np.hypot(reach[:, None], reach) * sampling <= rim
    grown: npt.NDArray[np.float32] = maximum_filter(probability, footprint=disc)
    return grown
