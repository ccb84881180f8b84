"""The pictures and numbers of docs/calibration.md: the paper's Figs. 5, 6 and SOI.6-8 from simulated vacuum, what the
paper's fits do to a constant camera, and fits of real frames.

The real frames are looked for in FRAMEDOSE_REAL_DATA, else in ``../shared/data`` beside the project; without them the
simulated figures are drawn alone.

    python benchmarks/camera_figures.py --out docs/images
"""

import argparse
import os
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import curve_fit

from framedose.camera.calibrate import Calibration, calibrate
from framedose.camera.joint_fit import fit_jointly
from framedose.camera.mtf import mtf
from framedose.camera.page import draw_floors, draw_frame_fits, draw_spectra, draw_transfer, summary
from framedose.camera.paper_fit import fit_frame
from framedose.camera.passport import load_passport
from framedose.camera.pattern import shared_power
from framedose.camera.spectrum import ring_frequencies
from framedose.camera.vacuum import Region
from framedose.files import read
from framedose.paper.camera_figures import (
    CAMERA,
    DOSES,
    SAMPLING,
    draw_single_fit,
    draw_varied,
    simulated_ramp,
    varied_fits,
)

BLUE, RED, GREEN = "#0072B2", "#D55E00", "#009E73"


def main() -> None:
    """Draw all figures and print what was fitted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=48, help="frames of the simulated ramp")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    doses = np.geomspace(*DOSES, arguments.frames)
    ramp = simulated_ramp(arguments.frames, arguments.seed)
    paper_figure(arguments.out / "calibration_paper.png", ramp)
    drift_figure(arguments.out / "calibration_drift.png", ramp, doses)
    draw_varied_cameras(arguments.out / "calibration_varied.png", doses, arguments.seed)

    here = Path(__file__).parents[1]
    data = Path(os.environ.get("FRAMEDOSE_REAL_DATA", here.parent / "shared" / "data"))
    if not data.is_dir():
        print(f"no real data in {data}: set FRAMEDOSE_REAL_DATA to the folder that holds them")
        return
    real_figure(arguments.out / "calibration_real.png", data)
    merlin_figure(arguments.out / "calibration_merlin.png", data)


def paper_figure(path: Path, ramp: Calibration) -> None:
    """Draw Figs. 5, 6, SOI.6 and SOI.7 of the paper for a constant camera."""
    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    draw_frame_fits(axes[0, 0], ramp)
    draw_floors(axes[0, 1], ramp)
    for place, index, dose in ((axes[1, 0], 0, 10), (axes[1, 1], -1, 1300)):
        draw_single_fit(place, ramp.spectra[index], ramp.frame_fits[index], f"{dose} e/Å²")
    figure.savefig(path, dpi=110)
    for name, fit in (("first", ramp.frame_fits[0]), ("last", ramp.frame_fits[-1])):
        print(f"ramp, {name} frame, Eq. 4: c0 {fit.c0:.3f}, c3 {fit.c3:.2f}, C {fit.floor:.3f}, R2 {fit.r2:.4f}")
    marked = sum(fit.good for fit in ramp.frame_fits)
    print(f"ramp, Eq. 2: N_0 {ramp.floors.readout:.4f}, R2 {ramp.floors.r2:.3f}; R2 of Eq. 4 >= 0.98 on {marked}")
    print(f"ramp, joint fit: {summary(ramp)}; chi2 {ramp.joint.chi2:.2f}, readout {ramp.readout_noise}")


def drift_figure(path: Path, ramp: Calibration, doses: np.ndarray) -> None:
    """Draw what single fits make of a constant camera, without noise and with it, beside joint fits."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    axes = figure.subplots(1, 3)
    q = np.linspace(1 / 64, 1, 64)
    exact = [fit_frame(q, d * SAMPLING**2 * mtf(q, CAMERA.c0, CAMERA.c3) ** 2 + CAMERA.readout) for d in doses]
    for name, fit in (("10", exact[0]), ("1300", exact[-1])):
        print(f"no noise, {name} e/Å2, Eq. 4: c0 {fit.c0:.3f}, c3 {fit.c3:.2f}, C {fit.floor:.3f}")
    groups = np.array_split(np.arange(len(doses)), 6)
    joint = [fit_jointly([ramp.spectra[i] for i in group], electrons=doses[group] * SAMPLING**2) for group in groups]
    for place, name, truth in ((axes[0], "c0", CAMERA.c0), (axes[1], "c3", CAMERA.c3)):
        place.plot(
            doses, [getattr(fit, name) for fit in ramp.frame_fits], ".", color=BLUE, label="frame by frame, Eq. 4"
        )
        place.plot(doses, [getattr(fit, name) for fit in exact], color=BLUE, label="the same without noise")
        values = [getattr(fit, name) for fit in joint]
        place.errorbar(
            [np.exp(np.log(doses[group]).mean()) for group in groups],
            [value.value for value in values],
            [(value.high - value.low) / 2 for value in values],
            fmt="s",
            color=RED,
            label=f"joint fit of {len(groups[0])} frames",
        )
        place.axhline(truth, color="0.3", linestyle="--", label="truth")
        place.set(xscale="log", xlabel="dose [e/Å²]", title=name)
    draw_floors(axes[2], ramp)
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    for group, fit in zip(groups, joint, strict=True):
        low, high = doses[group[0]], doses[group[-1]]
        print(
            f"joint fit, {low:.0f}-{high:.0f} e/Å2: c0 {fit.c0.value:.4f} ± {(fit.c0.high - fit.c0.low) / 2:.4f}, "
            f"c3 {fit.c3.value:.3f} ± {(fit.c3.high - fit.c3.low) / 2:.3f}, "
            f"N_0 {fit.readout.value:.5f} ± {(fit.readout.high - fit.readout.low) / 2:.5f}"
        )


def draw_varied_cameras(path: Path, doses: np.ndarray, seed: int) -> None:
    """Draw SOI.8: c0, c3 and N_0 drawn anew for each frame, as the paper trains."""
    fits, electrons, floors = varied_fits(doses, seed)
    figure = Figure(figsize=(13, 4), layout="constrained")
    draw_varied(figure, fits, electrons, floors)
    figure.savefig(path, dpi=110)
    print(f"varied cameras, Eq. 2: N_0 {floors.readout:.4f}, R2 {floors.r2:.3f}")


def real_figure(path: Path, data: Path) -> None:
    """Draw the spectra of real frames: carbon from differences, a vacuum hologram, a flat field."""
    figure = Figure(figsize=(13, 8), layout="constrained")
    axes = figure.subplots(2, 3)
    carbon = [np.fromfile(data / f"emilys_thonrings/img_{i}.raw", "<u2").reshape(512, 512) for i in range(1, 9)]
    result = calibrate(carbon, sampling=1.354, differences=True)
    report("carbon, differences", result)
    draw_spectra(axes[0, 0], result)
    axes[0, 0].set_title("carbon, differences of frames", fontsize=9)
    draw_carbon(axes[1, 0], carbon, result)
    named = {"vacuum hologram (UltraScan)": (hologram(data), 9.198), "flat field": (flat_field(data), 1.0)}
    for column, (name, (frame, sampling)) in enumerate(named.items(), start=1):
        result = calibrate([frame], sampling=sampling, region=Region(0, 0, *frame.shape))
        report(name, result)
        draw_spectra(axes[0, column], result)
        axes[0, column].set_title(name, fontsize=9)
        draw_transfer(axes[1, column], result)
    figure.savefig(path, dpi=110)


def draw_carbon(axes: Axes, frames: list[np.ndarray], result: Calibration) -> None:
    """Fit the differences with a share of the Thon rings, which is what the carbon moves between two frames."""
    power = np.mean([spectrum.power for spectrum in result.spectra], axis=0)
    pairs = zip(frames[::2], frames[1::2], strict=True)
    thon = np.mean([shared_power(a.astype(float), b.astype(float))[0] for a, b in pairs], axis=0)
    q = ring_frequencies(result.spectra[0].tile)

    def model(q: np.ndarray, c0: float, c3: float, shot: float, readout: float, moved: float) -> np.ndarray:
        return 1e5 * (shot * mtf(q, c0, c3) ** 2 + readout) + moved * thon

    found, covariance = curve_fit(
        model, q, power, p0=[0.7, 2.5, 5, 0.5, 0.02], sigma=power, bounds=([0.1, 0.5, 0, 0, 0], [5, 20, 50, 50, 1])
    )
    errors = np.sqrt(np.diag(covariance))
    rest = power / model(q, *found) - 1
    named = zip(("c0", "c3", "g^2 F N / 1e5", "g^2 N_0 / 1e5", "share of the Thon rings"), found, errors, strict=True)
    said = ", ".join(f"{name} {value:.3f} ± {error:.3f}" for name, value, error in named)
    print(f"carbon with a share of its Thon rings: {said}; residual {rest.std():.1%} rms")
    axes.semilogy(q, power, ".", color=BLUE, label="mean of the differences")
    axes.semilogy(q, model(q, *found), color=RED, label=f"fit with {found[4]:.1%} of the Thon rings")
    axes.semilogy(q, power - found[4] * thon, ".", color=GREEN, markersize=3, label="without them")
    axes.set(xlabel="q / Nyquist frequency", ylabel="noise power [counts²]")
    axes.legend(fontsize=8)


def hologram(data: Path) -> np.ndarray:
    """Return the vacuum hologram: biprism fringes on vacuum."""
    return read(data / "holospy_ultrascan_vacuum" / "00_ref_Vbp_130V_0V_bin2_crop.hdf5")[0].image


def flat_field(data: Path) -> np.ndarray:
    """Return a small flat DM3 image."""
    return read(data / "readers_rosettasciio" / "tiff_test_dm_image_um_unit.dm3")[0].image


def report(name: str, result: Calibration) -> None:
    """Print a fit with its flags."""
    r2 = ", ".join(f"{fit.r2:.3f}" for fit in result.frame_fits)
    print(f"{name}: {summary(result)}; chi2 {result.joint.chi2:.2f} (p {result.joint.probability:.2g}), R2 {r2}")
    for flag in result.flags:
        print(f"    {flag}")


def merlin_figure(path: Path, data: Path) -> None:
    """Draw the measured Merlin tables, Eq. 1 of the shipped passports, and the residual."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    above, below = figure.subplots(1, 2)
    for energy, table, colour in ((200, "200keV-SPCM016", BLUE), (300, "300keV-SPCM100", RED)):
        measured = np.loadtxt(data / "emilys_thonrings" / f"Merlin-{table}.mtf")[1:]
        q = np.linspace(0, 1, len(measured))
        fitted = load_passport(f"merlin{energy}").simulated().mtf(q)
        above.plot(q, measured, color=colour, label=f"{energy} keV, measured")
        above.plot(q, fitted, "--", color="0.2")
        below.plot(q, measured - fitted, color=colour, label=f"{energy} keV")
    above.set(xlabel="q / Nyquist frequency", title="MTF of a Merlin; dashed: Eq. 1", ylim=(0, 1.05))
    below.set(xlabel="q / Nyquist frequency", title="measured minus Eq. 1")
    above.legend(fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
