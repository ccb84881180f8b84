"""One picture of a calibration: where the vacuum is, what was fitted, and how well."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from framedose.atomic import write_aside
from framedose.camera.calibrate import Calibration
from framedose.camera.joint_fit import Estimate
from framedose.camera.mtf import mtf

_BLUE, _RED, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "0.45"
_SHOWN = 6
_LOWEST_FLOOR = 1e-3


def draw_calibration(path: str | Path, calibration: Calibration, frame: npt.NDArray[np.floating], title: str) -> None:
    """Write the page as PNG.

    Parameters
    ----------
    path
        The file.
    calibration
        What was measured.
    frame
        One frame, on which the region is drawn, shape (y, x).
    title
        Name of the camera.
    """
    figure = Figure(figsize=(13, 8), layout="constrained")
    axes = figure.subplots(2, 3)
    _draw_region(axes[0, 0], calibration, frame)
    draw_spectra(axes[0, 1], calibration)
    draw_transfer(axes[0, 2], calibration)
    draw_frame_fits(axes[1, 0], calibration)
    draw_floors(axes[1, 1], calibration)
    _draw_pulls(axes[1, 2], calibration)
    figure.suptitle(f"{title}: {summary(calibration)}", fontsize=10)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=110)


def summary(calibration: Calibration) -> str:
    """Return the results in one line."""
    joint = calibration.joint
    parts = [shown("c0", joint.c0), shown("c3", joint.c3), shown(joint.readout.quantity, joint.readout)]
    if joint.gain is not None:
        parts.append(shown(joint.gain.quantity, joint.gain))
    return ", ".join(parts)


def shown(name: str, estimate: Estimate) -> str:
    """Return ``name = value ± error``."""
    return f"{name} = {estimate.value:.4g} ± {(estimate.high - estimate.low) / 2:.2g}"


def _draw_region(axes: Axes, calibration: Calibration, frame: npt.NDArray[np.floating]) -> None:
    step = max(1, min(frame.shape) // 512)
    small = frame[: frame.shape[0] // step * step, : frame.shape[1] // step * step]
    small = small.reshape(small.shape[0] // step, step, small.shape[1] // step, step).mean(axis=(1, 3))
    low, high = np.nanpercentile(small, [1, 99])
    axes.imshow(small, cmap="gray", vmin=low, vmax=high, extent=(0, frame.shape[1], frame.shape[0], 0))
    region = calibration.region
    corner = (region.x0, region.y0)
    axes.add_patch(Rectangle(corner, region.shape[1], region.shape[0], fill=False, color=_RED, linewidth=2))
    axes.set_title(f"vacuum: {region} (y0,x0,y1,x1)", fontsize=9)


def draw_spectra(axes: Axes, calibration: Calibration) -> None:
    """Draw the noise power of some frames with the joint fit."""
    spectra = calibration.spectra
    order = np.argsort([spectrum.mean for spectrum in spectra])
    for place in np.unique(np.linspace(0, len(order) - 1, _SHOWN).round().astype(int)):
        index = int(order[place])
        spectrum = spectra[index]
        axes.semilogy(spectrum.frequency, spectrum.power, ".", color=_BLUE, markersize=3)
        axes.semilogy(spectrum.frequency, calibration.joint.expected[index], color=_RED, linewidth=1)
    _label(axes, "noise power [counts²]", "measured (dots) and joint fit")


def draw_transfer(axes: Axes, calibration: Calibration) -> None:
    """Draw the noise transfer of all frames with Eq. 1."""
    curve, joint = calibration.transfer, calibration.joint
    axes.errorbar(curve.frequency, curve.value, curve.error, fmt=".", color=_BLUE, markersize=3, label="ring by ring")
    q = np.linspace(0, 1, 200)
    axes.plot(q, mtf(q, joint.c0.value, joint.c3.value), color=_RED, label="joint fit, Eq. 1")
    axes.set_ylim(0, 1.15)
    axes.legend(fontsize=8)
    _label(axes, "noise transfer", "noise transfer (the MTF, as Eq. 3 assumes)")


def draw_frame_fits(axes: Axes, calibration: Calibration) -> None:
    """Draw the paper's fits of single frames against the electrons, as its Fig. 5."""
    x, name = _abscissa(calibration)
    fits, joint = calibration.frame_fits, calibration.joint
    series = (
        ("c0", np.array([fit.c0 for fit in fits]), _BLUE, "o", joint.c0),
        ("c3 / 10", np.array([fit.c3 for fit in fits]) / 10, _GREEN, "s", joint.c3),
        ("C", np.array([fit.floor for fit in fits]), _RED, "^", None),
    )
    good = np.array([fit.good for fit in fits])
    for label, values, colour, marker, estimate in series:
        axes.plot(x, values, marker, color=colour, markersize=4, label=label)
        axes.plot(x[good], values[good], marker, color="white", markersize=1.5)
        if estimate is not None:
            axes.axhline(estimate.value / (10 if label != "c0" else 1), color=colour, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel(name)
    axes.legend(fontsize=8)
    axes.set_title("Eq. 4 frame by frame (white dot: R2 ≥ 0.98); lines: joint fit", fontsize=9)


def draw_floors(axes: Axes, calibration: Calibration) -> None:
    """Draw C against the electrons with Eq. 2, as the paper's Fig. 6."""
    x, name = _abscissa(calibration)
    axes.loglog(x, [max(fit.floor, _LOWEST_FLOOR) for fit in calibration.frame_fits], "o", color=_BLUE, markersize=4)
    line = np.geomspace(x.min() * 0.9, x.max() * 1.1, 100)
    if calibration.floors is not None:
        floors = calibration.floors
        label = f"Eq. 2: N_0 = {floors.readout:.3g}, R2 = {floors.r2:.2f}"
        axes.plot(line, np.sqrt(floors.readout / (floors.readout + line)), color=_RED, label=label)
    if calibration.joint.electrons is not None:
        readout = max(calibration.joint.readout.value, 0.0)
        label = f"Eq. 2 with the joint fit's {readout:.3g}"
        axes.plot(line, np.sqrt(readout / (readout + line)), "--", color=_GREEN, label=label)
        axes.legend(fontsize=8)
    axes.set_xlabel(name)
    axes.set_title("floor C of the single fits", fontsize=9)


def _draw_pulls(axes: Axes, calibration: Calibration) -> None:
    joint = calibration.joint
    for index, spectrum in enumerate(calibration.spectra[:50]):
        axes.plot(spectrum.frequency, joint.pulls[index], ".", color=_BLUE, markersize=2, alpha=0.5)
    mean = joint.pulls[: len(calibration.spectra)].mean(axis=0) * np.sqrt(len(calibration.spectra))
    axes.plot(calibration.spectra[0].frequency, mean, color=_RED, label="all spectra together")
    axes.axhline(0, color=_GREY, linewidth=0.8)
    axes.legend(fontsize=8)
    _label(axes, "(measured - fit) / error", f"chi2 {joint.chi2:.2f}, probability {joint.probability:.2g}")


def _abscissa(calibration: Calibration) -> tuple[npt.NDArray[np.float64], str]:
    electrons = calibration.joint.electrons
    count = len(calibration.frame_fits)
    if electrons is None:
        return np.arange(1.0, count + 1), "frame"
    return electrons[:count], "electrons per pixel"


def _label(axes: Axes, y: str, title: str) -> None:
    axes.set_xlabel("q / Nyquist frequency")
    axes.set_ylabel(y)
    axes.set_title(title, fontsize=9)
