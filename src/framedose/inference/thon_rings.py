"""The defocus of a frame, where amorphous matter shows it: Thon rings in the spectrum."""

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage

from framedose.camera.spectrum import windowed_transform
from framedose.units import wavelength

Floats = npt.NDArray[np.float64]

# 1/Å: below are the outlines of particles and supports, above rings that few lenses transfer.
_LOW, _HIGH = 0.08, 0.6
_DEFOCI = np.arange(200.0, 8001.0, 20.0)
# 1/Å: how fast rings may fade. What the spectrum is without them, a polynomial of this order follows.
_FADING, _ORDER = (0.15, 0.25, 0.4), 3
# Share of what the polynomial leaves that rings must explain: none of 125 simulated frames within the defocus of the
# shipped networks' training, ±250 Å, reached it with more than 280 Å (benchmarks/thon_rings.py).
_LEAST_SHARE = 0.5
_FEWEST_BINS = 30


def thon_defocus(image: npt.NDArray[np.floating], sampling: float, energy: float) -> float | None:
    r"""Return the size of the defocus that Thon rings show [Å], or None where there are no rings to be sure of.

    The median of :math:`\ln|F|^2` over the azimuth hardly feels the spots of a lattice. Over the spatial frequency q it
    is fitted by a polynomial and :math:`-a\,e^{-(q/q_0)^2} \cos(2\pi\lambda\,\Delta f\,q^2)`, which is how
    :math:`\sin^2\chi` shapes the spectrum of amorphous matter without spherical aberration (Thon, Z. Naturforsch. 21a
    (1966) 476), by weighted least squares for each defocus; the best one counts. The sign of the defocus cannot be
    seen, astigmatism smears the rings, and what Cs adds to the phase counts as defocus.

    Parameters
    ----------
    image
        Shape (y, x), any unit.
    sampling
        Pixel size [Å/px].
    energy
        Electron energy [eV]. Only wavelength times defocus can be seen.

    Returns
    -------
    float or None
        Between 200 and 8000 Å.
    """
    q, power, bins = _azimuthal_median(image, sampling)
    used = (q >= _LOW) & (q <= _HIGH)
    if used.sum() < _FEWEST_BINS:
        return None
    q, weight = q[used], np.sqrt(bins[used])
    smooth, _ = np.linalg.qr(np.vander(q / _HIGH, _ORDER + 1) * weight[:, None])
    rest = power[used] * weight
    rest = rest - smooth @ (smooth.T @ rest)
    rings = -np.cos(2 * np.pi * wavelength(energy) * _DEFOCI[:, None] * q**2) * weight
    shares = [_explained(rings * np.exp(-((q / fading) ** 2)), rest, smooth) for fading in _FADING]
    share = np.max(shares, axis=0)
    best = int(np.argmax(share))
    # The best one at an end is no maximum: something else than rings shapes the spectrum.
    clear = share[best] >= _LEAST_SHARE and 0 < best < len(_DEFOCI) - 1
    return float(_DEFOCI[best]) if clear else None


def _explained(rings: Floats, rest: Floats, smooth: Floats) -> Floats:
    """Return the share of the squares of ``rest`` that each row of ``rings`` explains, beyond the smooth part."""
    beyond = rings - (rings @ smooth) @ smooth.T
    amplitude = np.maximum(beyond @ rest, 0)
    return np.asarray(amplitude**2 / ((beyond**2).sum(axis=1) * (rest @ rest)))


def _azimuthal_median(image: npt.NDArray[np.floating], sampling: float) -> tuple[Floats, Floats, Floats]:
    """Return spatial frequency [1/Å], median log power and number of Fourier bins of each ring, up to ``_HIGH``."""
    width = 1 / (sampling * min(image.shape))
    rings = min(min(image.shape) // 2, int(_HIGH / width) + 1)
    qy, qx = scipy.fft.fftfreq(image.shape[0], sampling), scipy.fft.rfftfreq(image.shape[1], sampling)
    ring = np.rint(np.hypot(qy[:, None], qx) / width).astype(np.intp)
    inside, index = ring < rings, np.arange(1, rings)
    logarithm = 2 * np.log(np.maximum(np.abs(windowed_transform(image)[inside]), np.finfo(np.float32).tiny))
    bins = np.bincount(ring[inside])[1:].astype(np.float64)
    return index * width, scipy.ndimage.median(logarithm, ring[inside], index), bins
