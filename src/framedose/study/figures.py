"""The figures of a study that show curves, each one function that writes one PNG.

Colours are those of Okabe and Ito, which people who do not see red from green can tell apart (their yellow darker, to
be seen on white), and every curve also has its own line style and marker. Nothing here touches the state of pyplot.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framedose.evaluation.summary import Band, NetworkResult
from framedose.study.labels import network_label, number
from framedose.study.panels import write_figure

if TYPE_CHECKING:
    # It loads abTEM.
    from framedose.study.physics import PhysicsResult

Networks = Mapping[str, NetworkResult]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8A7A00", "0.45")
# Shifted in the second round of colours: of two curves of one colour neither line nor marker is the same.
_LINES = 2 * ("-", "--", "-.", ":") + 2 * ("--", "-.", ":", "-")
_STYLES = list(zip(2 * _COLOURS, _LINES, "os^DvPX*<>dph8H|", strict=True))
_DASHES = (0, (5, 4))
# Of a line that the legend leaves out.
_NO_LABEL = "_"


def area_figure(networks: Networks, path: str | Path) -> None:
    """Draw the area ratio against dose with the 50 % limit of each network.

    As in the paper (Figs. 2-4), a coloured dashed vertical line stands at each network's dose of 50 % area. Where all
    networks converge, a black one stands at the dose from which they all have, and the grey band spans the least to
    the greatest mean area from there on.
    """
    figure = Figure(figsize=(7.6, 4.4), layout="constrained")
    _draw_area(figure.subplots(), networks, None)
    # Beside filters there are more lines than fit between the curves.
    figure.legend(frameon=False, loc="outside lower center", ncols=2, fontsize=8)
    write_figure(figure, path)


def headline_figure(networks: Networks, path: str | Path, physics: PhysicsResult | None = None) -> None:
    """Draw area and F1 against dose side by side, with one legend: what networks reach, and what physics allows.

    On the left is what :func:`area_figure` draws; dotted on the right, a mask that calls every pixel particle. What
    physics allows is black: what the observer of the same task sees, and, thin, the doses of detection where the signal
    is known exactly.
    """
    figure = Figure(figsize=(11.0, 4.8), layout="constrained")
    area, f1 = figure.subplots(1, 2)
    _draw_area(area, networks, physics)
    _draw_f1(f1, networks, physics)
    figure.legend(frameon=False, loc="outside lower center", ncols=3, fontsize=8)
    write_figure(figure, path)


def null_figure(networks: Networks, path: str | Path) -> None:
    """Draw the false area on frames of vacuum only and of bare support only against dose."""
    kinds = {"vacuum only": "vacuum_false_area", "bare support only": "support_false_area"}
    if any(result.curves.support_false_area is None for result in networks.values()):
        del kinds["bare support only"]
    figure = Figure(figsize=(4.0 * len(kinds) + 0.8, 3.4), layout="constrained")
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axes, (title, field) in zip(panels, kinds.items(), strict=True):
        for name, style in zip(networks, cycle(_STYLES), strict=False):
            curves = networks[name].curves
            _draw_curve(axes, curves.doses, 100 * np.asarray(getattr(curves, field)), style, network_label(name))
        axes.set_title(title, fontsize=11)
        _draw_dose_axis(axes)
    panels[0].set_ylim(bottom=0)
    panels[0].set_ylabel("false area (% of the frame)")
    panels[0].legend(frameon=False)
    write_figure(figure, path)


def detection_figure(networks: Networks, path: str | Path) -> None:
    """Draw the share of the particles that are found, and the false objects of a field, against dose."""
    figure = Figure(figsize=(8.8, 3.6), layout="constrained")
    found, false = figure.subplots(1, 2)
    for name, style in zip(networks, cycle(_STYLES), strict=False):
        curves = networks[name].curves
        _draw_curve(found, curves.doses, curves.particles_found, style, network_label(name))
        _draw_curve(false, curves.doses, curves.false_objects, style, f"{network_label(name)}, beside a particle")
        false.plot(curves.doses, curves.vacuum_false_objects, color=style[0], linewidth=0.8, linestyle=":")
        if curves.support_false_objects is not None:
            false.plot(curves.doses, curves.support_false_objects, color=style[0], linewidth=0.8)
    found.set(ylim=(0, 1.02), ylabel="particles found (at least half of each)")
    false.set(ylabel="false objects per field")
    false.set_title("thin: on bare support (full) and vacuum (dotted)", fontsize=9)
    false.set_ylim(bottom=0)
    for axes in (found, false):
        _draw_dose_axis(axes)
        axes.legend(frameon=False, fontsize=8)
    write_figure(figure, path)


def outline_figure(networks: Networks, path: str | Path) -> None:
    """Draw the distance of predicted and true outline, and the area beside the particle, against dose."""
    figure = Figure(figsize=(8.8, 3.6), layout="constrained")
    distance, beside = figure.subplots(1, 2)
    for name, style in zip(networks, cycle(_STYLES), strict=False):
        curves = networks[name].curves
        errors = [np.nan if error is None else error for error in curves.boundary_error]
        _draw_curve(distance, curves.doses, errors, style, network_label(name))
        _draw_curve(beside, curves.doses, curves.false_area, style, network_label(name))
    distance.set_ylabel("distance of the outlines (nm)")
    beside.set_ylabel("area beside the particle / true area")
    for axes in (distance, beside):
        _draw_dose_axis(axes)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=8)
    write_figure(figure, path)


def histograms_figure(networks: Networks, path: str | Path) -> None:
    """Draw histograms of the scores of single frames of high dose."""
    figure = Figure(figsize=(11.0, 3.0), layout="constrained")
    labels = {"f1": "F1", "precision": "precision", "recall": "recall", "boundary_error": "distance of outlines (nm)"}
    for axes, (field, label) in zip(figure.subplots(1, 4), labels.items(), strict=True):
        values = {name: getattr(result.frames, field) for name, result in networks.items()}
        greatest = max((max(one) for one in values.values() if one), default=1.0)
        bins = np.linspace(0, 1 if field != "boundary_error" else max(greatest, 1e-3), 21)
        for name, (colour, line, _) in zip(values, cycle(_STYLES), strict=False):
            axes.hist(values[name], bins, histtype="step", color=colour, linestyle=line, label=network_label(name))
        axes.set(xlabel=label, ylabel="frames of high dose", xlim=(0, bins[-1]))
    figure.axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    write_figure(figure, path)


def reliability_figure(networks: Networks, path: str | Path) -> None:
    """Draw the share of particle against the probability that was given, and the calibration error against dose."""
    figure = Figure(figsize=(8.8, 3.6), layout="constrained")
    diagram, error = figure.subplots(1, 2)
    diagram.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
    for name, style in zip(networks, cycle(_STYLES), strict=False):
        result = networks[name]
        label = f"{network_label(name)}, error {number(result.reliability.error)}"
        _draw_curve(diagram, result.reliability.given, result.reliability.observed, style, label)
        _draw_curve(error, result.curves.doses, result.curves.calibration_error, style, network_label(name))
    diagram.set(xlabel="probability given", ylabel="share that is particle", xlim=(0, 1), ylim=(0, 1))
    diagram.grid(color="0.92")
    error.set_ylabel("calibration error")
    error.set_ylim(bottom=0)
    _draw_dose_axis(error)
    for axes in (diagram, error):
        axes.legend(frameon=False, fontsize=8)
    write_figure(figure, path)


def learning_curves_figure(curves: Mapping[str, Mapping[str, list[float]]], path: str | Path) -> None:
    """Draw losses and validation F1 against training steps.

    Parameters
    ----------
    curves
        For each network ``step``, and at these steps ``train_loss``, ``validation_loss`` and ``validation_f1``.
    path
        The PNG to write.
    """
    figure = Figure(figsize=(8.8, 3.6), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for (name, curve), style in zip(curves.items(), cycle(_STYLES), strict=False):
        losses.plot(curve["step"], curve["train_loss"], color=style[0], linewidth=0.8, alpha=0.4)
        _draw_curve(losses, curve["step"], curve["validation_loss"], style, network_label(name))
        _draw_curve(scores, curve["step"], curve["validation_f1"], style, network_label(name))
    losses.set(yscale="log", ylabel="binary cross entropy")
    losses.set_title("loss: training (thin), validation (marked)", fontsize=11)
    scores.set(ylim=(0, 1), ylabel="F1")
    scores.set_title("F1 on validation structures", fontsize=11)
    for axes in (losses, scores):
        axes.set_xlabel("training step")
        axes.grid(color="0.92")
        axes.legend(frameon=False)
    write_figure(figure, path)


def _area_label(name: str, result: NetworkResult) -> str:
    limit = result.dose_50_area
    if limit.value is None:
        return f"{network_label(name)}, never 50 % of the area"
    return f"{network_label(name)}, 50 % of the area {'≤' if limit.at_or_below else 'at'} {number(limit.value)} e/Å²"


def _draw_area(axes: Axes, networks: Networks, physics: PhysicsResult | None) -> None:
    _draw_dose_axis(axes)
    axes.set_ylabel("predicted area / true area")
    _draw_converged(axes, networks)
    if physics is not None:
        _draw_physics(axes, physics)
    axes.axhline(0.5, color="0.45", linewidth=0.8)
    for name, style in zip(networks, cycle(_STYLES), strict=False):
        result = networks[name]
        _draw_band(axes, result.curves.doses, result.curves.area_ratio, style, _area_label(name, result))
        if result.dose_50_area.value is not None:
            axes.axvline(result.dose_50_area.value, color=style[0], linestyle=_DASHES, linewidth=1.2)
    # Filters can call several times the particle's area particle; the networks would be lost at the bottom.
    axes.set_ylim(0, min(axes.get_ylim()[1], 2))


def _draw_f1(axes: Axes, networks: Networks, physics: PhysicsResult | None) -> None:
    """Draw F1 beside :func:`_draw_area`, whose lines are the legend of both."""
    _draw_dose_axis(axes)
    axes.set(ylim=(0, 1.02), ylabel="F1 (mean over structures)")
    if physics is not None:
        seen = physics.segmentation
        axes.plot(seen.doses, seen.f1.mean, color="black", linewidth=1.8)
    for name, style in zip(networks, cycle(_STYLES), strict=False):
        curves = networks[name].curves
        _draw_band(axes, curves.doses, curves.f1, style, _NO_LABEL)
    curves = next(iter(networks.values())).curves
    axes.plot(curves.doses, curves.f1_all_particle, color="0.45", linestyle=":", label="every pixel called particle")


def _draw_dose_axis(axes: Axes) -> None:
    axes.set(xscale="log", xlabel="frame dose (e/Å²)")
    axes.xaxis.set_major_formatter(lambda dose, _: f"{dose:.10g}")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)


def _draw_curve(axes: Axes, x: list[float], y: npt.ArrayLike, style: tuple[str, str, str], label: str) -> None:
    colour, line, marker = style
    axes.plot(x, y, color=colour, linestyle=line, marker=marker, markersize=4.5, label=label)


def _draw_band(axes: Axes, doses: list[float], band: Band, style: tuple[str, str, str], label: str) -> None:
    axes.fill_between(doses, band.low, band.high, color=style[0], alpha=0.15, linewidth=0)
    _draw_curve(axes, doses, band.mean, style, label)


def _draw_physics(axes: Axes, physics: PhysicsResult) -> None:
    seen = physics.segmentation
    axes.plot(
        seen.doses, seen.area_ratio.mean, color="black", linewidth=1.8, label="physics: observer of the same task"
    )
    known = {"likelihood ratio": physics.likelihood_ratio, "prewhitening": physics.prewhitening}
    for (name, curve), line in zip(known.items(), (":", "-."), strict=True):
        if curve.dose.value is not None:
            label = f"signal known exactly, {name}: detected at {number(curve.dose.value)} e/Å²"
            axes.axvline(curve.dose.value, color="black", linestyle=line, linewidth=0.7, label=label)


def _draw_converged(axes: Axes, networks: Networks) -> None:
    limits = [result.dose_converged for result in networks.values()]
    if None in limits:
        return
    start = max(limit for limit in limits if limit is not None)
    kept = [
        ratio
        for result in networks.values()
        for dose, ratio in zip(result.curves.doses, result.curves.area_ratio.mean, strict=True)
        if dose >= start
    ]
    end = max(dose for result in networks.values() for dose in result.curves.doses)
    label = f"all converged at {number(start)} e/Å², least to greatest area"
    axes.fill_between([start, end], min(kept), max(kept), color="0.85", linewidth=0, label=label)
    axes.axvline(start, color="black", linestyle=_DASHES, linewidth=1.2)
