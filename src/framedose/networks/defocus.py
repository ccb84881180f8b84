"""The defoci of images of several electron energies, as those of one."""

from collections.abc import Sequence

from framedose.config import Range, hull
from framedose.units import wavelength


def with_same_rings(defoci: Sequence[Range], energies: Sequence[float]) -> Range:
    """Return the least range of defocus at the first energy that shows the Thon rings of all.

    Rings tell no more than the wavelength times the defocus, as long as the spherical aberration can be neglected.

    Parameters
    ----------
    defoci
        Ranges of defocus [Å].
    energies
        The electron energy of each [eV].

    Examples
    --------
    >>> found = with_same_rings([Range(low=-250, high=250), Range(low=0, high=1000)], [300e3, 200e3])
    >>> found.low, round(found.high)
    (-250.0, 1274)
    """
    at = wavelength(energies[0])
    lengths = [wavelength(energy) / at for energy in energies]
    return hull(
        [
            defocus.model_copy(update={"low": defocus.low * length, "high": defocus.high * length})
            for defocus, length in zip(defoci, lengths, strict=True)
        ]
    )
