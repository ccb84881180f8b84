"""What microscopists find particles with today, on the same footing as a network: frames in, a score 0..1 out.

Each baseline compares an evidence e for particle in every pixel with a reference that it takes from the frame itself,
so that neither gain nor dose need be known, and gives the score e / (1 + e): 0.5 where the evidence equals the
reference. The equations stand in ``docs/baselines.md``.
"""

from collections.abc import Sequence
from itertools import product
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import scipy.fft
from pydantic import Field
from scipy.ndimage import gaussian_filter, map_coordinates

from framedose.config import Settings
from framedose.errors import CalibrationError, ImageError
from framedose.evaluation.series import Images, Masks, Predict
from framedose.units import check_sampling

Floats = npt.NDArray[np.float64]

# Lattice spacings of Au, a = 4.08 Å, that a particle shows along [110] [Å].
D_111, D_200 = 2.355, 2.039
# Two {111} planes stand at 70.53 degrees, so each of their normals at 54.74 degrees from that of (200).
_HALF_ANGLE = 54.7356
# Half the width of the ring that the noise around a reflection is taken from [1/Å].
_NOISE_RING = 0.05
# A Gaussian ends here, in standard deviations.
_REACH = 4.0


class Baseline(Settings):
    """What the baselines share."""

    smoothing: float = Field(default=4.0, gt=0)
    """Standard deviation of the Gaussian window that the evidence is gathered in [Å]."""
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """A pixel is particle where the score is at least this."""

    def score(self, frames: npt.ArrayLike, sampling: float) -> Images:
        """Return the score of every pixel.

        Parameters
        ----------
        frames
            Shape (n, y, x), in any unit: a factor and an offset change nothing.
        sampling
            Side of a pixel [Å/px].

        Returns
        -------
        ndarray
            Shape (n, y, x), 0..1, rising with the evidence for particle, float32.

        Raises
        ------
        ImageError
            If the frames have another shape, are not finite, or one of them is constant.
        CalibrationError
            If the sampling is not positive, or too coarse for the lattice.

        Examples
        --------
        >>> fringes = np.cos(2 * np.pi * np.arange(64) * 0.3 / 2.355)
        >>> noise = np.random.default_rng(0).normal(size=(1, 64, 64))
        >>> bool(MatchedLattice().score(fringes + noise, 0.3).min() > 0.8)
        True
        """
        values = _checked(frames, sampling, self._finest())
        scores = np.empty(values.shape, np.float32)
        for score, frame in zip(scores, values, strict=True):
            evidence = self._evidence((frame - frame.mean()) / frame.std(), sampling)
            score[...] = evidence / (1 + evidence)
        return scores

    def predictor(self, sampling: float) -> Predict:
        """Return :meth:`score` at one pixel size [Å/px], as :func:`framedose.evaluation.measure.measure` takes it."""
        return lambda frames, _: self.score(frames, sampling)

    def variants(self) -> list[Self]:
        """Return the settings that :func:`tune` tries."""
        return [self.model_copy(update={"smoothing": value}) for value in (2.0, 3.0, 4.0, 6.0, 8.0)]

    def thresholds(self) -> npt.NDArray[np.float32]:
        """Return the thresholds that :func:`tune` tries, rising."""
        evidence = np.geomspace(0.2, 50, 112)
        return (evidence / (1 + evidence)).astype(np.float32)

    def _finest(self) -> float | None:
        """Return the least spacing that the pixels must resolve [Å], if any."""
        return None

    def _evidence(self, frame: Floats, sampling: float) -> Floats:
        """Return the evidence (y, x) over its reference, from a frame of zero mean and unit variance."""
        raise NotImplementedError


class BraggOtsu(Baseline):
    """Bragg filter: a ring around each lattice spacing, local amplitude, and Otsu's threshold in each frame.

    The reference is Otsu's threshold (doi 10.1109/TSMC.1979.4310076) of the amplitudes in the frame, so the threshold
    stays 0.5 and only the smoothing is tuned. Otsu always finds two classes: this fires on vacuum.
    """

    name: Literal["bragg_otsu"] = "bragg_otsu"
    """Name."""
    spacings: tuple[float, ...] = Field(default=(D_111, D_200), min_length=1)
    """Lattice spacings [Å]."""
    width: float = Field(default=0.02, gt=0)
    """Standard deviation of a ring over the frequency [1/Å]."""

    def thresholds(self) -> npt.NDArray[np.float32]:
        """Return 0.5, Otsu's own."""
        return np.array([0.5], np.float32)

    def _finest(self) -> float:
        return min(self.spacings)

    def _evidence(self, frame: Floats, sampling: float) -> Floats:
        from skimage.filters import threshold_otsu  # Slow to import.

        field, inside = _padded(frame, _REACH * self.smoothing / sampling)
        y, x = np.fft.fftfreq(field.shape[0], sampling), np.fft.rfftfreq(field.shape[1], sampling)
        q = np.hypot(y[:, np.newaxis], x)
        rings = [np.exp(-0.5 * ((q - 1 / spacing) / self.width) ** 2) for spacing in self.spacings]
        fringes = scipy.fft.irfft2(scipy.fft.rfft2(field) * np.max(rings, axis=0), s=field.shape)
        amplitude = np.sqrt(gaussian_filter(fringes**2, self.smoothing / sampling)[inside])
        return np.asarray(amplitude / threshold_otsu(amplitude))


class LocalVariance(Baseline):
    """Variance in a window, over the lower quartile of the frame, which stands for what is not particle."""

    name: Literal["local_variance"] = "local_variance"
    """Name."""
    detail: float = Field(default=0.5, ge=0)
    """Standard deviation of the Gaussian that the frame is smoothed with before [Å]: it takes off noise."""

    def variants(self) -> list[Self]:
        """Return the settings that :func:`tune` tries: windows, and smoothing before."""
        tried = product((2.0, 3.0, 4.0, 6.0, 8.0), (0.0, 0.3, 0.6))
        return [self.model_copy(update={"smoothing": window, "detail": detail}) for window, detail in tried]

    def _evidence(self, frame: Floats, sampling: float) -> Floats:
        smooth = gaussian_filter(frame, self.detail / sampling)
        mean, square = (gaussian_filter(values, self.smoothing / sampling) for values in (smooth, smooth**2))
        variance = np.clip(square - mean**2, 0, None)
        return np.asarray(variance / max(np.quantile(variance, 0.25), np.finfo(float).tiny))


class MatchedLattice(Baseline):
    """Matched filter for the lattice of Au along [110]: pairs of Gabor filters for its three reflections.

    For every azimuth of the lattice it sums over the reflections the power in a Gaussian window, of any phase, over
    that of the noise at the reflection's frequency, and takes the greatest sum. The noise is the median power in a ring
    of the frame's spectrum: spots of a crystal fill few of its bins. Noise alone gives each sum the distribution
    Gamma(3), with the mean 3, which is the reference.
    """

    name: Literal["matched_lattice"] = "matched_lattice"
    """Name."""
    reflections: tuple[tuple[float, float], ...] = Field(
        default=((D_111, _HALF_ANGLE), (D_111, -_HALF_ANGLE), (D_200, 0.0)), min_length=1
    )
    """Spacing [Å] and angle [degrees] of each."""
    azimuths: int = Field(default=60, ge=1)
    """Orientations tried, over half a turn."""

    def _finest(self) -> float:
        return min(spacing for spacing, _ in self.reflections)

    def _evidence(self, frame: Floats, sampling: float) -> Floats:
        noise = {spacing: _ring_power(frame, 1 / spacing, sampling) for spacing, _ in self.reflections}
        field, (rows, columns) = _padded(frame, _REACH * self.smoothing / sampling)
        width = 1 / (2 * np.pi * self.smoothing)
        spectrum, (y, x) = _cropped_spectrum(field, sampling, 1 / self._finest() + _REACH * width)
        best: Any = 0
        for azimuth in np.arange(self.azimuths) * 180 / self.azimuths:
            total: Any = 0
            for spacing, angle in self.reflections:
                turned = np.deg2rad(azimuth + angle)
                # A Gaussian around one spot; the other, at -g, has the same power.
                window_y = np.exp(-0.5 * ((y - np.sin(turned) / spacing) / width) ** 2).astype(np.float32)
                window_x = np.exp(-0.5 * ((x - np.cos(turned) / spacing) / width) ** 2).astype(np.float32)
                amplitude = scipy.fft.ifft2(spectrum * window_y[:, np.newaxis] * window_x, norm="forward")
                expected = noise[spacing] * field.size * (window_y**2).sum() * (window_x**2).sum()
                total = total + (amplitude.real**2 + amplitude.imag**2) / expected
            best = np.maximum(best, total)
        # From the coarse grid to the pixels.
        scale_y, scale_x = (coarse / fine for coarse, fine in zip(best.shape, field.shape, strict=True))
        places = np.meshgrid(
            np.arange(*rows.indices(field.shape[0])) * scale_y,
            np.arange(*columns.indices(field.shape[1])) * scale_x,
            indexing="ij",
        )
        return np.asarray(map_coordinates(best, places, order=1, mode="grid-wrap") / len(self.reflections))


class Tuning(Settings):
    """A baseline tuned on validation data, and how good it was there."""

    baseline: Annotated[BraggOtsu | LocalVariance | MatchedLattice, Field(discriminator="name")]
    """The best settings."""
    f1: float
    """Mean F1 over the validation frames."""
    false_area: float
    """Share of the pixels without particle that were called particle, all validation frames together."""
    frames: int
    """Number of validation frames."""


def tune(
    baseline: BraggOtsu | LocalVariance | MatchedLattice,
    frames: npt.ArrayLike,
    masks: npt.ArrayLike,
    sampling: float,
    *,
    variants: Sequence[BraggOtsu | LocalVariance | MatchedLattice] | None = None,
) -> Tuning:
    """Return the settings and the threshold with the best mean F1 on validation frames.

    Parameters
    ----------
    baseline
        What is tuned; what its :meth:`~Baseline.variants` do not change stays.
    frames
        Validation frames (n, y, x), of all doses that the baseline is to work at, and, with empty masks, of vacuum and
        support if it is to stay quiet there: an empty mask has F1 1 where nothing is found, and 0 otherwise.
    masks
        Particle masks (n, y, x), boolean.
    sampling
        Side of a pixel [Å/px].
    variants
        Settings to try in place of the baseline's own.

    Raises
    ------
    ImageError
        If frames and masks disagree in shape, or no mask holds a particle.
    CalibrationError
        If the sampling is too coarse.
    """
    truth = np.asarray(masks, dtype=bool)
    if truth.shape != np.shape(frames) or truth.ndim != 3:
        raise ImageError(f"frames and masks must have one shape (n, y, x), got {np.shape(frames)} and {truth.shape}.")
    if not truth.any():
        raise ImageError("masks must hold a particle, but all are empty: give validation frames with particles.")
    best: Tuning | None = None
    for variant in baseline.variants() if variants is None else variants:
        thresholds = variant.thresholds()
        hit, found = _counts(variant.score(frames, sampling), truth, thresholds)
        area = truth.sum(axis=(1, 2))[:, np.newaxis]
        total = found + area
        f1 = np.where(total > 0, 2 * hit / np.maximum(total, 1), 1.0).mean(axis=0)
        index = int(f1.argmax())
        if best is None or f1[index] > best.f1:
            false = (found - hit)[:, index].sum() / max(int((~truth).sum()), 1)
            tuned = variant.model_copy(update={"threshold": float(thresholds[index])})
            best = Tuning(baseline=tuned, f1=float(f1[index]), false_area=float(false), frames=len(truth))
    if best is None:
        raise ValueError("variants must hold at least one baseline, got none.")
    return best


def _counts(scores: Images, truth: Masks, thresholds: npt.NDArray[np.float32]) -> tuple[Any, Any]:
    """Return the pixels (n, thresholds) that are both found and particle, and that are found."""
    places = np.searchsorted(thresholds, scores, side="right")

    def reached(chosen: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
        histogram = np.bincount(chosen, minlength=thresholds.size + 1)
        return np.cumsum(histogram[::-1])[::-1][1:]

    hit = np.stack([reached(place[mask]) for place, mask in zip(places, truth, strict=True)])
    return hit, np.stack([reached(place.ravel()) for place in places])


def _checked(frames: npt.ArrayLike, sampling: float, finest: float | None) -> Floats:
    values = np.asarray(frames, dtype=np.float64)
    if values.ndim != 3 or not values.size or not np.isfinite(values).all():
        raise ImageError(
            f"frames must be finite and of shape (n, y, x), got shape {values.shape}. Mask or interpolate bad pixels."
        )
    constant = np.flatnonzero(values.min(axis=(1, 2)) == values.max(axis=(1, 2)))
    if constant.size:
        raise ImageError(f"frames must not be constant, {constant.tolist()} are: leave them out.")
    check_sampling(sampling)
    if finest is not None and finest <= 2 * sampling:
        raise CalibrationError(
            f"sampling {sampling:g} Å/px is too coarse for lattice fringes of {finest:g} Å, which need less than "
            f"{finest / 2:g} Å/px. Give frames of finer pixels."
        )
    return values


def _padded(frame: Floats, margin: float) -> tuple[Floats, tuple[slice, slice]]:
    """Return the frame with mirrored margins, so that opposite edges do not see each other, and where it lies."""
    before = int(np.ceil(margin))
    shape = [scipy.fft.next_fast_len(side + 2 * before, real=True) for side in frame.shape]
    pads = [(before, large - side - before) for large, side in zip(shape, frame.shape, strict=True)]
    y, x = (slice(before, before + side) for side in frame.shape)
    return np.pad(frame, pads, mode="symmetric"), (y, x)


def _cropped_spectrum(field: Floats, sampling: float, highest: float) -> tuple[Any, tuple[Floats, Floats]]:
    """Return the Fourier transform up to a frequency [1/Å], complex64, and the frequencies along y and x.

    The maps of the matched filter are then made on a coarse grid, which is all that they have detail for.
    """
    spectrum, axes, kept = scipy.fft.fft2(field).astype(np.complex64), [], []
    for side in field.shape:
        size = min(side, scipy.fft.next_fast_len(int(np.ceil(2 * highest * side * sampling)) + 1))
        number = np.fft.fftfreq(size, 1 / size).round().astype(int)
        axes.append(number / (side * sampling))
        kept.append(number % side)
    return spectrum[np.ix_(*kept)], (axes[0], axes[1])


def _ring_power(frame: Floats, frequency: float, sampling: float) -> float:
    """Return the noise power per pixel around a frequency [1/Å]: the median of exponentially distributed powers."""
    y, x = np.fft.fftfreq(frame.shape[0], sampling), np.fft.rfftfreq(frame.shape[1], sampling)
    power = np.abs(scipy.fft.rfft2(frame)) ** 2 / frame.size
    ring = np.abs(np.hypot(y[:, np.newaxis], x) - frequency) < _NOISE_RING
    return float(np.median(power[ring]) / np.log(2))
