"""A calibration written into a passport."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from framedose.camera.calibrate import Calibration
from framedose.camera.joint_fit import Estimate
from framedose.camera.passport import CameraPassport, Curve, Hardware, Interval, PassportMTF
from framedose.camera.spectrum import Floats
from framedose.provenance import versions

# Noise power spectra are kept of so many frames, spread over the means; fits of single frames of so many.
_SPECTRA, _FITS = 5, 200
# Of c0 and c3, whose intervals on poor frames reach below zero, where no MTF is.
_LEAST = 0.01


def issue_passport(
    calibration: Calibration,
    *,
    camera: str,
    frames: Sequence[Mapping[str, Any]] = (),
    hardware: Hardware | None = None,
    flags: Sequence[str] = (),
) -> CameraPassport:
    """Return the passport of a calibrated camera.

    Parameters
    ----------
    calibration
        What was measured.
    camera
        Name of the camera.
    frames
        Files with their hashes, as they are to stand in the passport.
    hardware
        How the frames were recorded; their pixel size is added.
    flags
        More to say than the calibration does, for example that frames were not raw.
    """
    joint = calibration.joint
    recorded = (hardware or Hardware()).model_copy(update={"sampling": calibration.sampling})
    return CameraPassport(
        camera=camera,
        source=f"measured on {len(calibration.spectra)} spectra of vacuum, region {calibration.region} (y0,x0,y1,x1)",
        mtf=PassportMTF(c0=_interval(joint.c0, least=_LEAST), c3=_interval(joint.c3, least=_LEAST)),
        readout=_interval(joint.readout, least=0.0),
        gain=None if joint.gain is None else _interval(joint.gain),
        readout_noise="poisson" if calibration.readout_noise == "poisson" else "gaussian",
        offset=None if joint.offset is None else _interval(joint.offset),
        excess_noise=None if joint.excess_noise is None else _interval(joint.excess_noise),
        hardware=recorded,
        curves=_curves(calibration),
        fit=_fit(calibration),
        frames=tuple(frames),
        flags=(*flags, *calibration.flags),
        versions=versions(),
    )


def _interval(estimate: Estimate, *, least: float | None = None) -> Interval:
    numbers = [estimate.value, estimate.low, estimate.high]
    value, low, high = numbers if least is None else [max(number, least) for number in numbers]
    plain = estimate.quantity in ("g", "N_0", "c0", "c3", "b", "F")
    return Interval(value=value, low=low, high=high, quantity=None if plain else estimate.quantity)


def _curve(frequency: Floats, value: Floats, error: Floats | None, label: str) -> Curve:
    return Curve(
        frequency=tuple(np.round(frequency, 5).tolist()),
        value=tuple(value.tolist()),
        error=None if error is None else tuple(error.tolist()),
        label=label,
    )


def _curves(calibration: Calibration) -> dict[str, tuple[Curve, ...]]:
    spectra, transfer = calibration.spectra, calibration.transfer
    order = np.argsort([spectrum.mean for spectrum in spectra])
    chosen = np.unique(np.linspace(0, len(order) - 1, _SPECTRA).round().astype(int))
    picked = [int(order[index]) for index in chosen]
    curves = {
        "nps": tuple(
            _curve(s.frequency, s.power, np.sqrt(s.variance), f"counts^2, spectrum {i + 1}, mean {s.mean:.6g} counts")
            for i, s in ((index, spectra[index]) for index in picked)
        ),
        "noise_transfer": (_curve(transfer.frequency, transfer.value, transfer.error, "all spectra"),),
    }
    pattern = calibration.pattern
    if pattern is not None:
        label = "power relative to the mean squared"
        curves["fixed_pattern"] = (_curve(spectra[0].frequency, pattern.power, None, label),)
    if calibration.dqe is not None:
        curves["dqe"] = tuple(
            _curve(spectra[i].frequency, calibration.dqe[i], None, f"spectrum {i + 1}") for i in picked
        )
    return curves


def _fit(calibration: Calibration) -> dict[str, Any]:
    joint, fits = calibration.joint, calibration.frame_fits
    chosen = np.unique(np.linspace(0, len(fits) - 1, _FITS).round().astype(int)).tolist()
    result: dict[str, Any] = {
        "chi2": joint.chi2,
        "probability": joint.probability,
        "by_frame": [
            {
                "spectrum": index + 1,
                "mean": calibration.spectra[index].mean,
                **({} if joint.electrons is None else {"electrons": float(joint.electrons[index])}),
                "c0": fits[index].c0,
                "c3": fits[index].c3,
                "C": fits[index].floor,
                "R2": fits[index].r2,
            }
            for index in chosen
        ],
    }
    if calibration.floors is not None:
        result["equation_2"] = {"readout": calibration.floors.readout, "R2": calibration.floors.r2}
    return result
