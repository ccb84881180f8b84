"""The transfer function of the objective lens: aberrations and envelope, over the array API."""

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from array_api_compat import array_namespace

from framedose.arrays import per_item
from framedose.microscope.conditions import Conditions
from framedose.units import wavelength


def transfer_function(qy: Any, qx: Any, energy: float, conditions: Conditions) -> Any:
    """Return the transfer function of the objective lens, exp(-i chi) E, at spatial frequencies (qy, qx).

    With q^2 = qy^2 + qx^2 and phi the azimuth from x towards y,

    chi = pi lambda q^2 (-defocus + C12 cos 2(phi - phi12)) + pi/2 Cs lambda^3 q^4
    + 2 pi/3 lambda^2 q^3 (C21 cos(phi - phi21) + C23 cos 3(phi - phi23)),

    and the quasi-coherent envelope of the focal spread E = exp(-(pi lambda focal_spread q^2 / 2)^2), both as in abTEM
    (doi 10.12688/openreseurope.13015.2), where the focal spread is a 1/e width. Defocus is positive for underfocus.

    Parameters
    ----------
    qy, qx
        Spatial frequencies [1/Å] along the columns and the rows, real, of shapes that broadcast.
    energy
        Electron energy [eV].
    conditions
        Defocus, Cs, the further aberrations and the focal spread are used.

    Returns
    -------
    array
        Complex, of the shape that ``qy`` and ``qx`` broadcast to.

    Examples
    --------
    >>> import numpy as np
    >>> lens = Conditions(defocus=0, cs=0, focal_spread=0, blur=0, sampling=0.1, dose=1)
    >>> transfer_function(np.zeros((2, 1)), np.zeros((1, 1)), 300e3, lens).real.tolist()
    [[1.0], [1.0]]
    """
    return transfer(qy, qx, energy, per_item(conditions, qy), is_round([conditions]))


def transfer(qy: Any, qx: Any, energy: float, c: SimpleNamespace, round_lens: bool) -> Any:
    """Return the transfer function for conditions as arrays; of a round lens the aberrations with azimuth are 0."""
    xp = array_namespace(qy, qx)
    length = wavelength(energy)
    q2 = qy**2 + qx**2
    chi = math.pi * length * q2 * (-c.defocus + 0.5 * c.cs * length**2 * q2)
    if not round_lens:
        chi = chi + _azimuthal_phase(xp, qy, qx, length, c)
    envelope = xp.exp(-((0.5 * math.pi * length * c.focal_spread * q2) ** 2))
    return envelope * (xp.cos(chi) - 1j * xp.sin(chi))


def _azimuthal_phase(xp: Any, qy: Any, qx: Any, length: float, c: SimpleNamespace) -> Any:
    """Return the part of chi that depends on the azimuth; q^m cos m(phi - phi_m) is a polynomial in turned axes."""
    u, v = turned(xp, qy, qx, c.astigmatism_angle)
    astigmatism = math.pi * length * c.astigmatism * (u**2 - v**2)
    u, v = turned(xp, qy, qx, c.coma_angle)
    coma = c.coma * (u**2 + v**2) * u
    u, v = turned(xp, qy, qx, c.trefoil_angle)
    trefoil = c.trefoil * (u**2 - 3 * v**2) * u
    return astigmatism + 2 * math.pi / 3 * length**2 * (coma + trefoil)


def turned(xp: Any, qy: Any, qx: Any, angle: Any) -> tuple[Any, Any]:
    """Return frequencies along and across a direction [degree]."""
    cosine, sine = xp.cos(math.pi / 180 * angle), xp.sin(math.pi / 180 * angle)
    return cosine * qx + sine * qy, cosine * qy - sine * qx


def is_round(items: Sequence[Conditions]) -> bool:
    """Return whether none of the lenses has an aberration that depends on the azimuth."""
    return not any(item.astigmatism or item.coma or item.trefoil for item in items)
