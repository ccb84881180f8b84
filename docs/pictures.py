"""Makes the pictures of "How it works" from framedose's own functions.

    python docs/pictures.py                    all of them, into docs/images
    python docs/pictures.py optics camera      these

The same seed gives the same pictures. All of them take some minutes of one core.
"""

import io
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

import framedose
from framedose.camera.mtf import mtf
from framedose.camera.noise import Camera, detect, sum_pixels
from framedose.dataset.recipe import DatasetRecipe, Split, make_kinds
from framedose.dataset.render import expected_field, make_specimen, mask_of, render
from framedose.evaluation.limits import crossing, dose_50_area, dose_converged, isotonic
from framedose.evaluation.physics.counts import count_separation
from framedose.evaluation.physics.frames import FrameModel
from framedose.evaluation.physics.prewhitening import (
    frame_d_prime,
    frame_separation,
    observer_statistic,
    observer_template,
)
from framedose.microscope.conditions import Conditions
from framedose.microscope.exit_wave import ExitWaveConfig, exit_wave
from framedose.microscope.optics import wave_spectrum
from framedose.microscope.transfer import transfer_function
from framedose.networks.config import MSDNetConfig
from framedose.networks.msdnet import MSDNet
from framedose.random import generator
from framedose.specimen.assembly import Specimen
from framedose.study.predictors import predictor_of
from framedose.units import electrons_per_pixel

IMAGES = Path(__file__).parent / "images"
# Okabe and Ito's colours, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
SEED = 4
CAMERA = Camera(c0=0.4, c3=3.0, readout=0.01)
LENS = Conditions(defocus=50, cs=7.5e4, focal_spread=5.5, blur=0.15, sampling=0.075, dose=300)
# Pixels of 0.075 Å summed 4x4, and waves of 0.15 Å: enough to look at, and quick.
WAVE = ExitWaveConfig(sampling=0.15, band_limit=2.2)
Image = npt.NDArray[Any]


def recipe(**specimen: Any) -> DatasetRecipe:
    """Return the recipe of a picture: the paper's specimen in a field of 36 Å, but for what is given."""
    low_high = {"radius": {"low": 9.0, "high": 11.0}}
    return DatasetRecipe.model_validate(
        {"binning": 4, "exit_wave": WAVE.model_dump(), "specimen": low_high | specimen, "camera": "mtf4"}
    )


@cache
def field(index: int = 0) -> tuple[DatasetRecipe, Specimen, Image]:
    """Return a recipe, one of its specimens and the exit wave of that."""
    chosen = recipe()
    specimen = make_specimen(chosen, SEED, Split("picture", make_kinds(index + 1, 0, 0), 1), index)
    return chosen, specimen, exit_wave(specimen.atoms, chosen.exit_wave)


def lens(of: DatasetRecipe, **changes: float) -> Conditions:
    """Return the conditions of a picture; a whole number of pixels fills the cell."""
    pixels = np.floor(of.extent / LENS.sampling)
    return LENS.model_copy(update={"sampling": of.extent / pixels, **changes})


def inside(of: DatasetRecipe, image: Image) -> Image:
    """Return an image at camera pixels without its margin."""
    return image[of.margin : -of.margin, of.margin : -of.margin]


def show(axes: Axes, image: Image, title: str, **options: Any) -> None:
    """Draw one image."""
    axes.imshow(image, **({"cmap": "gray"} | options))
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def save(figure: Figure, name: str, dpi: int = 90) -> None:
    """Write a picture in 256 colours, which makes it small."""
    with io.BytesIO() as file:
        figure.savefig(file, dpi=dpi)
        PIL.Image.open(file).convert("RGB").quantize(256).save(IMAGES / f"how_{name}.png", optimize=True)


def path(name: str) -> None:
    """The path of the data: atoms, wave, intensity, frame, probability, mask."""
    of, specimen, wave = field()
    at = lens(of, dose=1000.0)
    intensity = expected_field(of, at, wave_spectrum(wave))
    electrons = electrons_per_pixel(at.dose, at.sampling)
    frame = sum_pixels(inside(of, detect(intensity, electrons, CAMERA, generator(SEED, "path"))), 4)
    network = framedose.load_network("unet")
    probability = network.probability(frame[np.newaxis] / electrons)[0]
    figure = Figure(figsize=(12, 2.4), layout="constrained")
    axes = figure.subplots(1, 6)
    atoms(axes[0], of, specimen)
    axes[0].set_title("atoms", fontsize=9)
    edge = round((of.extent - of.gpts * at.sampling) / 2 / of.extent * wave.shape[-1])
    show(axes[1], np.angle(wave)[edge:-edge, edge:-edge], "exit wave (phase)")
    show(axes[2], inside(of, intensity), "expected intensity")
    show(axes[3], frame, "detected frame, 1000 e/Å²")
    show(axes[4], probability, "probability", cmap="viridis", vmin=0, vmax=1)
    show(axes[5], frame, "mask; truth in cyan")
    overlay = np.zeros((*probability.shape, 4))
    overlay[probability >= 0.9] = (0.9, 0.6, 0, 0.45)
    axes[5].imshow(overlay)
    axes[5].contour(mask_of(of, at.sampling, specimen.hulls, ()), [0.5], colors="cyan", linewidths=1.2)
    save(figure, name)


def atoms(axes: Axes, of: DatasetRecipe, specimen: Specimen) -> None:
    """Draw the atoms in the view and the outline of each particle."""
    # Gold last, over what it lies before or behind.
    colours = {"C": "0.6", "O": SKY, "Ce": BLUE, "Au": ORANGE}
    first, last = (of.extent - of.view[1]) / 2, (of.extent + of.view[1]) / 2
    for element, colour in colours.items():
        x, y, _ = specimen.atoms.positions[specimen.atoms.symbols == element].T
        axes.scatter(x, y, s=4, color=colour, linewidths=0, label=element)
    for hull in specimen.hulls:
        axes.add_patch(Polygon(hull[:, ::-1], fill=False, color="black", linewidth=1.2))
    axes.set(xlim=(first, last), ylim=(last, first), aspect="equal", xticks=[], yticks=[])


def specimen(name: str) -> None:
    """Specimens: the paper's, and what a recipe can make of it; and how a mask is made."""
    kinds = {
        "Au on CeO₂, near its zone axis": {},
        "several particles": {"max_particles": 4, "whole": False, "radius": {"low": 6.0, "high": 8.0}},
        "on a surface that leans by 40°": {"lean": {"low": 40.0, "high": 40.0}},
        "with a second grain": {"lean": {"low": 4.0, "high": 4.0}, "grain_share": 1.0},
        "in plan view": {"plan_view_share": 1.0},
        "in a powder": {"powder_share": 1.0, "crystallite": {"low": 9.0, "high": 13.0}},
        "free, on a carbon film with an edge": {"free_share": 1.0, "film_share": 1.0},
    }
    figure = Figure(figsize=(12, 6.2), layout="constrained")
    axes = figure.subplots(2, 4).ravel()
    for one, (title, changes) in zip(axes, kinds.items(), strict=False):
        of = recipe(**changes)
        atoms(one, of, make_specimen(of, 9, Split("picture", make_kinds(1, 0, 0), 1), 0))
        one.set_title(title, fontsize=9)
    title = "several particles"
    of = recipe(**kinds[title])
    made = make_specimen(of, 9, Split("picture", make_kinds(1, 0, 0), 1), 0)
    show(axes[7], mask_of(of, lens(of).sampling, made.hulls, ()), f"the mask: {title}", cmap="gray")
    axes[6].legend(*axes[6].get_legend_handles_labels(), loc="lower right", fontsize=7, markerscale=3, framealpha=1)
    save(figure, name)


def optics(name: str) -> None:
    """The transfer function, and the same specimen at three defoci."""
    of, _, wave = field()
    figure = Figure(figsize=(11.5, 3.1), layout="constrained")
    axes = figure.subplots(1, 4, width_ratios=(1.6, 1, 1, 1))
    q = np.linspace(0, 2.2, 800)
    for defocus, colour in ((0, GREEN), (50, BLUE), (150, RED)):
        values = transfer_function(np.zeros(1), q, 300e3, LENS.model_copy(update={"defocus": float(defocus)}))
        axes[0].plot(q, values.imag, color=colour, linewidth=1.2, label=f"{defocus} Å")
    axes[0].plot(q, np.abs(values), color="0.4", linestyle="--", linewidth=1, label="envelope")
    axes[0].set(xlabel="spatial frequency q (1/Å)", ylabel="imaginary part of T(q)", ylim=(-1.05, 1.05))
    for spacing, label in ((2.35, "Au 111"), (1.44, "Au 220")):
        axes[0].axvline(1 / spacing, color="0.7", linewidth=0.8, zorder=0)
        axes[0].text(1 / spacing + 0.02, -1.0, label, fontsize=7, color="0.3", rotation=90)
    axes[0].legend(fontsize=7, title="defocus", title_fontsize=7, loc="upper right", framealpha=1)
    for one, defocus in zip(axes[1:], (0.0, 50.0, 150.0), strict=True):
        image = expected_field(of, lens(of, defocus=defocus), wave_spectrum(wave))
        show(one, inside(of, image), f"defocus {defocus:g} Å", vmin=0.4, vmax=1.7)
    save(figure, name)


def camera(name: str) -> None:
    """Eq. 3 step by step on a frame, and the noise spectrum of vacuum after each step."""
    of, _, wave = field()
    at = lens(of)
    electrons = electrons_per_pixel(at.dose, at.sampling)
    steps = {
        "electrons as counted": Camera(mtf_table={"frequency": (0, 2), "value": (1, 1)}, readout=0),
        "after the MTF": CAMERA.model_copy(update={"readout": 0.0}),
        "with readout": CAMERA,
    }
    figure = Figure(figsize=(11.5, 3.2), layout="constrained")
    axes = figure.subplots(1, 4, width_ratios=(1, 1, 1.3, 1.3))
    intensity = inside(of, expected_field(of, at, wave_spectrum(wave)))
    for one, title in zip(axes, ("electrons as counted", "after the MTF"), strict=False):
        frame = detect(intensity, electrons, steps[title], generator(SEED, "camera"))
        show(one, frame[180:308, 180:308], f"{title}, {at.dose:g} e/Å²", vmin=-2, vmax=6)
    vacuum, low = np.ones((512, 512), np.float32), electrons_per_pixel(30, 0.075)
    centres = np.linspace(0.03, 0.99, 33)
    for (title, one), colour in zip(steps.items(), (GREEN, BLUE, RED), strict=True):
        frames = [detect(vacuum, low, one, generator(SEED, title, i)) for i in range(8)]
        axes[2].plot(centres, spectrum(frames, centres), "o", color=colour, markersize=3, label=title)
        axes[2].plot(centres, low * one.mtf(centres) ** 2 + one.readout, color=colour, linewidth=1)
    axes[2].set(yscale="log", xlabel="q over the Nyquist frequency", ylabel="noise power (electrons²)")
    axes[2].set_title("vacuum, 30 e/Å²; lines: N MTF² + N₀", fontsize=9)
    axes[2].legend(fontsize=7)
    q = np.linspace(0, 1, 200)
    for number, colour in zip(range(1, 6), (BLUE, ORANGE, GREEN, RED, PURPLE), strict=True):
        family = framedose.load_passport(f"mtf{number}").ranges()
        curves = [mtf(q, c0, c3) for c0 in (family.c0.low, family.c0.high) for c3 in (family.c3.low, family.c3.high)]
        axes[3].fill_between(q, np.min(curves, axis=0), np.max(curves, axis=0), color=colour, alpha=0.18, linewidth=0)
        middle = mtf(q, (family.c0.low + family.c0.high) / 2, (family.c3.low + family.c3.high) / 2)
        axes[3].plot(q, middle, color=colour, label=f"MTF{number}", linewidth=1.4)
    axes[3].set(xlabel="q over the Nyquist frequency", ylabel="MTF", ylim=(0, 1))
    axes[3].set_title("the families of Table 3", fontsize=9)
    axes[3].legend(fontsize=7)
    save(figure, name)


def spectrum(frames: list[Image], centres: Image) -> Image:
    """Return the mean noise power of frames on rings about ``centres``, over the Nyquist frequency."""
    power = np.mean([np.abs(np.fft.fft2(frame - frame.mean())) ** 2 for frame in frames], axis=0) / frames[0].size
    along = 2 * np.fft.fftfreq(len(frames[0]))
    radius = np.hypot(along[:, None], along[None, :])
    width = centres[1] - centres[0]
    return np.array([power[np.abs(radius - centre) < width / 2].mean() for centre in centres])


def networks(name: str) -> None:
    """How far both networks look: dilations of the MSD-net, and what one output pixel depends on."""
    msdnet = MSDNet(MSDNetConfig(), seed=1)
    figure = Figure(figsize=(11.5, 3.2), layout="constrained")
    axes = figure.subplots(1, 4, width_ratios=(1.5, 1, 1, 1.2))
    axes[0].bar(range(1, 51), msdnet.dilations, color=BLUE)
    axes[0].set(xlabel="layer of the MSD-net", ylabel="dilation (px)")
    axes[0].set_title(f"50 layers of 9x9, halo {msdnet.halo} px", fontsize=9)
    reaches = {}
    for one, (title, net) in zip(axes[1:3], shipped().items(), strict=True):
        seen = reach(net)
        show(one, np.log10(seen / seen.max()), f"what a pixel of the {title} sees", vmin=-1.5, vmax=0, cmap="viridis")
        reaches[title] = seen
    for (title, seen), colour in zip(reaches.items(), (BLUE, RED), strict=True):
        middle = seen.shape[0] // 2
        y, x = np.indices(seen.shape) - middle
        radius = np.round(np.hypot(y, x)).astype(int)
        mean = np.bincount(radius.ravel(), seen.ravel()) / np.bincount(radius.ravel())
        axes[3].semilogy(0.3 * np.arange(60), mean[:60] / mean[0], color=colour, label=title)
    axes[3].set(xlabel="distance (Å, at 0.3 Å/px)", ylabel="mean sensitivity, 1 at 0")
    axes[3].legend(fontsize=8)
    save(figure, name)


def shipped() -> dict[str, torch.nn.Module]:
    """Return the shipped networks as modules."""
    return {"U-net": framedose.load_network("unet").network, "MSD-net": framedose.load_network("msdnet").network}


def reach(network: torch.nn.Module) -> Image:
    """Return the mean absolute gradient of the middle pixel's logit with respect to the image, over some frames."""
    of, _, wave = field()
    at = lens(of, dose=1000.0)
    intensity = expected_field(of, at, wave_spectrum(wave))
    total = 0.0
    for index in range(8):
        frame = sum_pixels(inside(of, detect(intensity, 5.6, CAMERA, generator(SEED, "reach", index))), 4)
        # Other places of the same frame come to the middle.
        image = np.roll(frame, (17 * index, 29 * index), (0, 1))
        tensor = torch.tensor((image - image.mean()) / image.std(), dtype=torch.float32)[None, None]
        tensor.requires_grad_()
        network(tensor)[0, 0, 64, 64].backward()
        assert tensor.grad is not None
        total = total + tensor.grad[0, 0].abs().numpy()
    return np.asarray(total)


def evaluation(name: str) -> None:
    """How dose limits are read: structures, mean, monotone fit, bootstrap; and the area interval of one frame."""
    of = recipe(radius={"low": 7.0, "high": 11.0})
    doses = np.geomspace(10, 1e4, 13)
    split = Split("picture", make_kinds(10, 0, 0), doses.size, tuple(doses))
    network = framedose.load_network("unet")
    predict = predictor_of(network).predict
    ratios, frames = np.zeros((10, doses.size)), {}
    for index in range(10):
        made = make_specimen(of, SEED, split, index)
        wave = exit_wave(made.atoms, of.exit_wave)
        pairs = [render(of, SEED, split, index, image, wave, made.hulls) for image in range(doses.size)]
        sizes = np.full(doses.size, split.sampling(of, SEED, index, 0))
        probability = predict(np.stack([image for image, _ in pairs]).astype(np.float32), sizes)
        ratios[index] = (probability >= 0.9).mean(axis=(1, 2)) / pairs[0][1].mean()
        frames[index] = probability[5], pairs[5][1]
    figure = Figure(figsize=(11.5, 3.6), layout="constrained")
    axes, one = figure.subplots(1, 2, width_ratios=(1.5, 1))
    axes.semilogx(doses, ratios.T, color="0.8", linewidth=0.8)
    axes.semilogx(doses, ratios.mean(axis=0), "o", color=BLUE, markersize=4, label="mean over structures")
    axes.semilogx(doses, isotonic(ratios.mean(axis=0)), color=BLUE, label="monotone fit")
    limit = dose_50_area(doses, ratios, rng=generator(SEED, "limit"))
    axes.axvspan(limit.low or doses[0], limit.high or doses[-1], color=SKY, alpha=0.3, linewidth=0)
    axes.axvline(
        crossing(doses, ratios.mean(axis=0)), color=BLUE, linestyle="--", label="50 % of the area, with interval"
    )
    plateau = ratios.mean(axis=0)[doses >= 1000].mean()
    axes.axhspan(0.95 * plateau, 1.05 * plateau, color="0.9", zorder=0, label="plateau ± 5 %")
    converged = dose_converged(doses, ratios.mean(axis=0), plateau_from=1000)
    if converged:
        axes.axvline(converged, color=RED, linestyle=":", label="converged")
    axes.set(xlabel="frame dose (e/Å²)", ylabel="predicted over true area", ylim=(0, 1.15))
    axes.legend(fontsize=7, loc="lower right")
    axes.set_title("each grey line is a structure", fontsize=9)
    thresholds = np.linspace(0.01, 0.99, 99)
    probability, mask = frames[3]
    one.plot(
        thresholds, [(probability >= t).mean() / mask.mean() for t in thresholds], color=BLUE, label="area of one frame"
    )
    upper = network.metadata.area_interval.upper if network.metadata.area_interval else 0.9
    low, high = ((probability >= t).mean() / mask.mean() for t in (upper, 1 - upper))
    one.axhspan(low, high, color=SKY, alpha=0.3, linewidth=0, label="interval")
    for t in (1 - upper, upper):
        one.axvline(t, color="0.5", linewidth=0.8, linestyle="--")
    one.axhline(1, color="black", linewidth=0.8, label="true area")
    one.set(xlabel="threshold", ylabel="area over true area", title=f"area interval, {doses[5]:.0f} e/Å²")
    one.title.set_fontsize(9)
    one.legend(fontsize=7, loc="upper right")
    save(figure, name)


def physics(name: str) -> None:
    """A frame with and without its particle, what an observer looks for, what it finds, and the curves (a) and (b)."""
    of, specimen, wave = field()
    at = lens(of, dose=10.0)
    one, zero = (expected_field(of, at, wave_spectrum(w)) for w in (wave, exit_wave(specimen.bare(), of.exit_wave)))
    model = FrameModel(CAMERA, (128, 128), binning=4, margin=of.margin)
    electrons = electrons_per_pixel(at.dose, at.sampling)
    template = observer_template(model, one - zero, electrons, mean=float(zero.mean()))
    figure = Figure(figsize=(11.5, 3.1), layout="constrained")
    axes = figure.subplots(1, 4, width_ratios=(1, 1, 1.2, 1.2))
    frame = sum_pixels(inside(of, detect(one, electrons, CAMERA, generator(SEED, "physics"))), 4)
    show(axes[0], frame, "a frame of 10 e/Å² with a particle")
    show(axes[1], template, "what observer (b) looks for")
    dose = 1.5
    n = electrons_per_pixel(dose, at.sampling)
    low, background = observer_template(model, one - zero, n, mean=float(zero.mean())), model.expected(zero, n)
    for image, colour, label in ((zero, GREEN, "without"), (one, BLUE, "with the particle")):
        drawn = [sum_pixels(inside(of, detect(image, n, CAMERA, generator(SEED, label, i))), 4) for i in range(150)]
        axes[2].hist(observer_statistic(np.stack(drawn), low, background), 18, color=colour, alpha=0.6, label=label)
    axes[2].set(xlabel="statistic t", ylabel="frames of 150")
    axes[2].set_title(f"observer (b) on frames of {dose:g} e/Å²", fontsize=9)
    axes[2].legend(fontsize=7)
    doses = np.geomspace(0.1, 30, 60)
    each = doses * at.sampling**2
    axes[3].semilogx(doses, count_separation(one, zero, each).found(), color=ORANGE, label="(a) counts")
    d = frame_d_prime(model, one - zero, each, mean=float(zero.mean()))
    axes[3].semilogx(doses, frame_separation(d).found(), color=BLUE, label="(b) frames")
    axes[3].axhline(0.95, color="0.6", linewidth=0.8, linestyle="--")
    axes[3].set(xlabel="frame dose (e/Å²)", ylabel="found, at 1 % false", ylim=(0, 1.03))
    axes[3].set_title("signal known exactly", fontsize=9)
    axes[3].legend(fontsize=7, loc="lower right")
    save(figure, name)


PICTURES: dict[str, Callable[[str], None]] = {
    drawing.__name__: drawing for drawing in (path, specimen, optics, camera, networks, evaluation, physics)
}


def main(names: list[str]) -> None:
    """Make the named pictures, or all."""
    unknown = sorted(set(names) - set(PICTURES))
    if unknown:
        sys.exit(f"no such picture: {', '.join(unknown)}; there are {', '.join(PICTURES)}")
    for name in names or PICTURES:
        PICTURES[name](name)


if __name__ == "__main__":
    main(sys.argv[1:])
