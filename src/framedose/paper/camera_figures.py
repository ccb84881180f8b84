"""Figs. 5, 6 and SOI.6-8: what the paper's fits make of vacuum at rising dose."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framedose.camera.calibrate import Calibration, calibrate
from framedose.camera.mtf import mtf
from framedose.camera.noise import Camera, CameraRanges, detect
from framedose.camera.page import draw_floors, draw_frame_fits
from framedose.camera.paper_fit import FloorFit, FrameFit, fit_floors, fit_frame
from framedose.camera.spectrum import Spectrum, measure_spectrum
from framedose.camera.vacuum import Region
from framedose.config import Range
from framedose.paper.workshop import Workshop
from framedose.random import generator
from framedose.study.panels import write_figure

# The paper's last frame (SOI.7) and its N_0 (Fig. 6), for all frames alike.
CAMERA = Camera(c0=0.28, c3=2.2, readout=0.01)
# What it draws from for SOI.8 (A.3).
VARIED = CameraRanges(c0=Range(low=0.2, high=0.3), c3=Range(low=2, high=3))
SAMPLING = 0.075
DOSES = (10.0, 1300.0)
_SIZE, _MARGIN = 512, 32
_BLUE, _RED = "#0072B2", "#D55E00"

Values = dict[str, Any]


def vacuum(dose: float, camera: Camera, seed: int, index: int) -> npt.NDArray[np.float32]:
    """Return a vacuum frame in electrons, 512x512 pixels of 0.075 Å, cropped out of a larger field."""
    field = np.ones((_SIZE + 2 * _MARGIN,) * 2, np.float32)
    frame: npt.NDArray[np.float32] = detect(field, dose * SAMPLING**2, camera, generator(seed, "figures", index))
    return frame[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


@cache
def simulated_ramp(frames: int, seed: int) -> Calibration:
    """Return what is measured on vacuum frames of 10 to 1300 e/Å2 that one constant camera took."""
    doses = np.geomspace(*DOSES, frames)
    return calibrate(
        [vacuum(dose, CAMERA, seed, index) for index, dose in enumerate(doses)],
        sampling=SAMPLING,
        doses=doses.tolist(),
        region=Region(0, 0, _SIZE, _SIZE),
    )


def varied_fits(
    doses: Sequence[float] | npt.NDArray[np.float64], seed: int
) -> tuple[list[FrameFit], npt.NDArray[np.float64], FloorFit]:
    """Return the paper's fits of vacuum whose camera is drawn anew for each frame, the electrons, and N_0 by Eq. 2."""
    fits = []
    for index, dose in enumerate(doses):
        camera = VARIED.draw(generator(seed, "varied", index))
        spectrum = measure_spectrum(vacuum(dose, camera, seed, 10_000 + index))
        fits.append(fit_frame(spectrum.frequency, spectrum.power))
    electrons = np.asarray(doses) * SAMPLING**2
    return fits, electrons, fit_floors(electrons, np.array([fit.floor for fit in fits]))


def draw_varied(figure: Figure, fits: Sequence[FrameFit], electrons: npt.NDArray[np.float64], floors: FloorFit) -> None:
    """Draw SOI.8: c0, c3 and C against the electrons, and Eq. 2."""
    for axes, name in zip(figure.subplots(1, 3), ("c0", "c3", "floor"), strict=True):
        axes.plot(electrons, [getattr(fit, name) for fit in fits], "o", color=_BLUE, markersize=4)
        axes.set(xscale="log", xlabel="electrons per pixel", title="C" if name == "floor" else name)
        if name == "floor":
            axes.plot(electrons, np.sqrt(floors.readout / (floors.readout + electrons)), color=_RED)


def draw_single_fit(axes: Axes, spectrum: Spectrum, fit: FrameFit, title: str) -> None:
    """Draw the normalised amplitude spectrum of one frame with Eq. 1."""
    axes.plot(
        spectrum.frequency, np.sqrt(spectrum.power) / fit.c1, ".", color=_BLUE, label="root of the noise power / c1"
    )
    q = np.linspace(0, 1, 200)
    label = f"c0 {fit.c0:.2f}, c3 {fit.c3:.2f}, C {fit.floor:.2f}, R2 {fit.r2:.3f}"
    axes.plot(q, mtf(q, fit.c0, fit.c3, fit.floor), color=_RED, label=label)
    axes.set(xlabel="q / Nyquist frequency", title=f"Eq. 1 at {title}", ylim=(0, 1.1))
    axes.legend(fontsize=8)


def frame_fits_figure(workshop: Workshop, folder: Path) -> Values:
    """Fig. 5: c0, c3 and C of each frame against the dose."""
    return {
        name: {
            "frames": len(ramp.frame_fits),
            "good_fits": sum(fit.good for fit in ramp.frame_fits),
            "first": _said(ramp.frame_fits[0]),
            "last": _said(ramp.frame_fits[-1]),
            "joint_fit": {"c0": ramp.joint.c0.value, "c3": ramp.joint.c3.value},
        }
        for name, ramp in _drawn(workshop, folder, draw_frame_fits).items()
    }


def floors_figure(workshop: Workshop, folder: Path) -> Values:
    """Fig. 6: C against the electrons, and N_0 from it by Eq. 2 and by a joint fit."""
    values: Values = {}
    for name, ramp in _drawn(workshop, folder, draw_floors).items():
        values[name] = {"joint_fit_readout": ramp.joint.readout.value}
        if ramp.floors is not None:
            values[name] |= {"readout": ramp.floors.readout, "r2": ramp.floors.r2}
    return values


def _drawn(workshop: Workshop, folder: Path, draw: Callable[[Axes, Calibration], None]) -> dict[str, Calibration]:
    """Draw each ramp, and return them."""
    ramps = _ramps(workshop)
    for name, ramp in ramps.items():
        figure = Figure(figsize=(6, 4.2), layout="constrained")
        draw(figure.subplots(), ramp)
        write_figure(figure, folder / f"{name}.png")
    return ramps


def varied_figure(workshop: Workshop, folder: Path) -> Values:
    """SOI.8: the fits of simulated vacuum whose camera is drawn anew for each frame."""
    doses = np.geomspace(*DOSES, workshop.scale.vacuum_frames)
    fits, electrons, floors = varied_fits(doses, workshop.seed)
    figure = Figure(figsize=(13, 4), layout="constrained")
    draw_varied(figure, fits, electrons, floors)
    write_figure(figure, folder / "varied.png")
    return {"readout": floors.readout, "r2": floors.r2, "first": _said(fits[0]), "last": _said(fits[-1])}


def single_frame_figure(workshop: Workshop, folder: Path, *, index: int) -> Values:
    """SOI.6 and SOI.7: the spectrum of the first (0) or the last frame (-1) with Eq. 4, and with Eq. 1."""
    values: Values = {}
    for name, ramp in _ramps(workshop).items():
        spectrum, fit = ramp.spectra[index], ramp.frame_fits[index]
        figure = Figure(figsize=(6, 7), layout="constrained")
        raw, normalised = figure.subplots(2, 1)
        raw.plot(spectrum.frequency, np.sqrt(spectrum.power), ".", color=_BLUE)
        q = np.linspace(0, 1, 200)
        raw.plot(q, fit.c1 * mtf(q, fit.c0, fit.c3, fit.floor), color=_RED)
        raw.set(title=f"Eq. 4: c1 {fit.c1:.4g}, c2 {fit.c2:.4g}", ylabel="root of the noise power")
        title = f"{DOSES[index]:g} e/Å²" if name == "simulated" else f"frame {index % len(ramp.spectra) + 1}"
        draw_single_fit(normalised, spectrum, fit, title)
        write_figure(figure, folder / f"{name}.png")
        values[name] = _said(fit)
    return values


def _ramps(workshop: Workshop) -> dict[str, Calibration]:
    """Return the simulated ramp, and the recorded series' if there is one."""
    ramps = {"simulated": simulated_ramp(workshop.scale.vacuum_frames, workshop.seed)}
    if (series := workshop.recorded) is not None:
        frames = [series.images(index)[0] for index in range(series.doses.size)]
        ramps["recorded"] = calibrate(frames, sampling=series.sampling, doses=series.doses.tolist())
    return ramps


def _said(fit: FrameFit) -> dict[str, float]:
    return {"c0": fit.c0, "c3": fit.c3, "C": fit.floor, "r2": fit.r2}
