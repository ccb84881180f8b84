"""From vacuum frames to a camera: region, spectra, both fits and the curves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from framedose.camera.frames import repaired
from framedose.camera.joint_fit import JointFit, fit_jointly
from framedose.camera.mtf import mtf
from framedose.camera.noise_curves import TransferEstimate, dqe, noise_transfer, readout_kind
from framedose.camera.paper_fit import FloorFit, FrameFit, fit_floors, fit_frame
from framedose.camera.pattern import FixedPattern, fixed_pattern, shared_power
from framedose.camera.spectrum import Floats, Spectrum, measure_spectrum
from framedose.camera.vacuum import Region, find_vacuum
from framedose.errors import ConfigurationError, ImageError
from framedose.units import check_sampling, electrons_per_pixel

Frame = npt.NDArray[np.floating]

# Frames that the vacuum is looked for in, spread over the series.
_LOOKED_AT = 16
_SIGNIFICANT = 6.0
_RISE = 1.3


@dataclass(frozen=True, eq=False)
class Calibration:
    """All that was measured."""

    region: Region
    """Where the vacuum is."""
    sampling: float
    """Å/px."""
    spectra: tuple[Spectrum, ...]
    """One for each frame, or for each pair of frames where differences were taken."""
    joint: JointFit
    """The camera that all frames share."""
    frame_fits: tuple[FrameFit, ...]
    """The paper's fit of each frame."""
    floors: FloorFit | None
    """N_0 by Eq. 2; None if the electrons of at least three frames are not known."""
    readout_noise: str
    """``"poisson"`` or ``"gaussian"``."""
    transfer: TransferEstimate
    """Noise transfer, ring by ring."""
    pattern: FixedPattern | None
    """None where the frames cannot tell, or where there is none."""
    dqe: Floats | None
    """Detective quantum efficiency of each frame, shape (frames, rings), where MTF and dose were given."""
    flags: tuple[str, ...]
    """What to know before the numbers are used."""


def calibrate(
    frames: Sequence[Frame],
    *,
    sampling: float,
    doses: Sequence[float] | None = None,
    region: Region | None = None,
    dark: Sequence[Frame] = (),
    offset: float | None = None,
    differences: bool = False,
    independent_mtf: Callable[[Floats], Floats] | None = None,
) -> Calibration:
    """Measure a camera on vacuum frames.

    Parameters
    ----------
    frames
        Counts, each of shape (y, x), of one camera in one mode. They are taken one at a time, so that a lazy sequence
        needs no more memory than a few frames.
    sampling
        Side of a pixel [Å/px].
    doses
        Sequence of e/Å2, one for each frame or a single one for all; None if unknown.
    region
        Where the vacuum is; found if None.
    dark
        Frames without electrons.
    offset
        Counts without electrons, if known: 0 where the camera takes its dark reference off.
    differences
        Measure the noise on differences of consecutive frames (1 and 2, 3 and 4, ...), which frees it from whatever is
        the same in both: a specimen that does not move, or the fixed pattern. The region is then the whole frame
        unless it is given.
    independent_mtf
        MTF from another measurement, such as a knife edge, as a function of the frequency over the Nyquist frequency,
        for the DQE.

    Raises
    ------
    ImageError
        If there is no vacuum, too few electrons, or nothing but one value in a frame.
    ConfigurationError
        If arguments contradict each other.
    CalibrationError
        If the sampling is not a positive number.

    Returns
    -------
    Calibration
        Region, spectra, the paper's fit of each frame, the joint fit and its curves, and flags.
    """
    if not len(frames):
        raise ConfigurationError("There are no frames to calibrate from.")
    check_sampling(sampling)
    _check_shapes([frames[0], *dark])
    electrons = _electrons(doses, len(frames), sampling)
    if region is None:
        region = _whole(frames[0]) if differences else _found(frames)
    spectra, shared, flags = _measured(frames, region, differences=differences)
    dark_spectra = _measured(dark, region, differences=False)[0] if dark else []
    if differences and electrons is not None:
        electrons = [(a + b) / 2 for a, b in zip(electrons[::2], electrons[1::2], strict=False)]
    joint = fit_jointly(spectra, electrons=electrons, dark=dark_spectra, offset=offset)
    pattern = _pattern(shared, spectra, joint)
    if pattern is not None:
        joint = fit_jointly(spectra, electrons=electrons, dark=dark_spectra, offset=offset, pattern=pattern.power)
        flags.append(f"fixed pattern of {pattern.rms:.2%} of the mean: measured and taken out")
    kind, unsure = readout_kind(spectra, joint) if not differences else ("gaussian", True)
    if unsure:
        flags.append("kind of readout noise not resolved: Gaussian taken")
    fits = [fit_frame(spectrum.frequency, spectrum.power) for spectrum in spectra]
    return Calibration(
        region=region,
        sampling=sampling,
        spectra=tuple(spectra),
        joint=joint,
        frame_fits=tuple(fits),
        floors=_floors(fits, joint),
        readout_noise=kind,
        transfer=noise_transfer(spectra, joint, pattern),
        pattern=pattern,
        dqe=None if independent_mtf is None else dqe(spectra, joint, independent_mtf(spectra[0].frequency)),
        flags=tuple(dict.fromkeys([*flags, *_fit_flags(fits), *joint.flags])),
    )


def _check_shapes(frames: Sequence[Frame]) -> None:
    shapes = {tuple(frame.shape) for frame in frames}
    if len(shapes) > 1:
        raise ImageError(f"Dark frames and frames must have one shape, got {sorted(shapes)}: are they of one camera?")
    if any(len(shape) != 2 for shape in shapes):
        raise ImageError(f"A frame must have shape (y, x), got {sorted(shapes)}.")


def _electrons(doses: Sequence[float] | None, count: int, sampling: float) -> list[float] | None:
    if doses is None:
        return None
    if len(doses) not in (1, count):
        raise ConfigurationError(f"--dose needs one number, or one for each of the {count} frames, got {len(doses)}.")
    if not all(np.isfinite(dose) and dose > 0 for dose in doses):
        raise ConfigurationError(f"--dose must be positive e/Å2, got {list(doses)}; frames without dose go to --dark.")
    each = list(doses) if len(doses) == count else list(doses) * count
    return [electrons_per_pixel(dose, sampling) for dose in each]


def _whole(frame: Frame) -> Region:
    return Region(0, 0, frame.shape[0], frame.shape[1])


def _found(frames: Sequence[Frame]) -> Region:
    """Find the vacuum, and refuse a texture that fills the frame: noise alone never grows with the frequency."""
    overview = _overview(frames)
    region = find_vacuum(overview)
    image, bad, _ = repaired(region.crop(overview))
    spectrum = measure_spectrum(image, bad=bad)
    power = spectrum.power
    lowest = np.minimum.accumulate(power)
    rising = (power > _RISE * lowest) & (power - lowest > _SIGNIFICANT * np.sqrt(2 * spectrum.variance))
    if rising.any():
        raise ImageError(
            f"No vacuum: the flattest region, {region}, has structure, its power rises at "
            f"{spectrum.frequency[rising.argmax()]:.2f} of the Nyquist frequency. Give a region of vacuum with --roi, "
            "or measure on differences of frames with --differences."
        )
    return region


def _overview(frames: Sequence[Frame]) -> npt.NDArray[np.float32]:
    """Return the sum of frames spread over the series: structure stands out of the noise of their sum."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, _LOOKED_AT).round().astype(int))
    total = np.zeros(frames[0].shape, dtype=np.float32)
    for index in chosen:
        frame = np.asarray(frames[int(index)], dtype=np.float32)
        if frame.shape != total.shape:
            raise ImageError(f"Mixed frames: shapes {total.shape} and {frame.shape}. Calibrate each camera alone.")
        total += np.where(np.isfinite(frame), frame, 0)
    return total


def _measured(
    frames: Sequence[Frame], region: Region, *, differences: bool
) -> tuple[list[Spectrum], list[tuple[int, Floats, Floats]], list[str]]:
    """Return the spectra, what pairs of frames share (index of the spectrum, power, variance), and flags."""
    spectra: list[Spectrum] = []
    shared: list[tuple[int, Floats, Floats]] = []
    flags: list[str] = []
    before = None
    for index in range(len(frames)):
        image, bad, words = repaired(region.crop(np.asarray(frames[index], dtype=np.float32)))
        flags += words
        if not differences:
            spectra.append(measure_spectrum(image, bad=bad))
        if before is not None:
            earlier, bad_earlier = before
            either = bad | bad_earlier
            if differences:
                noise, level = (earlier - image) / np.sqrt(np.float32(2)), (earlier + image) / 2
                spectra.append(measure_spectrum(noise, bad=either, level=level))
            elif not either.any():
                shared.append((index, *shared_power(earlier, image)))
        before = (image, bad) if before is None else None
    if differences and len(frames) < 2:
        raise ConfigurationError("--differences needs at least two frames.")
    if any(spectrum.lines.any() for spectrum in spectra):
        flags.append("spectral lines (fringes, hum) found and left out")
    if len(frames) == 1:
        flags.append("one frame only")
    return spectra, shared, flags


def _pattern(
    shared: Sequence[tuple[int, Floats, Floats]], spectra: Sequence[Spectrum], joint: JointFit
) -> FixedPattern | None:
    if not shared:
        return None
    pairs = [
        (power, variance, float(joint.signal[index - 1] * joint.signal[index])) for index, power, variance in shared
    ]
    pattern = fixed_pattern(pairs, mtf(spectra[0].frequency, joint.c0.value, joint.c3.value))
    return pattern if pattern.significance > _SIGNIFICANT else None


def _floors(fits: Sequence[FrameFit], joint: JointFit) -> FloorFit | None:
    if joint.electrons is None or len(fits) < 3 or len({fit.floor for fit in fits}) < 3:
        return None
    return fit_floors(joint.electrons[: len(fits)], np.array([fit.floor for fit in fits]))


def _fit_flags(fits: Sequence[FrameFit]) -> list[str]:
    poor = sum(not fit.good for fit in fits)
    return [f"R2 of Eq. 4 below 0.98 on {poor} of {len(fits)} spectra"] if poor else []
