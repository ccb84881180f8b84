"""The picture of a titration: the frame at each dose with its mask, above area and F1 against dose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framedose.study.panels import draw_frame, draw_outline, draw_scale_bar, write_figure

if TYPE_CHECKING:
    from framedose.study.titrate import Step

_BLUE, _RED = "#0072B2", "#D55E00"
_MOST_FRAMES = 6


def titration_figure(
    path: str | Path, steps: Sequence[Step], sampling: float, *, title: str, notes: Sequence[str]
) -> None:
    """Write the picture as PNG.

    Parameters
    ----------
    path
        The file.
    steps
        The frame itself, then the doses as they fall.
    sampling
        Side of a pixel [Å/px].
    title, notes
        The name of the frame, and what must be known before the curves are read.
    """
    shown = [steps[index] for index in np.unique(np.linspace(0, len(steps) - 1, _MOST_FRAMES).round().astype(int))]
    figure = Figure(figsize=(max(7.0, 1.9 * len(shown)), 6.0), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(2, 3))
    frames, curves = parts
    for axes, step in zip(frames.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        _draw(axes, step, sampling)
    area, f1 = curves.subplots(1, 2)
    doses = [step.row.dose_per_area for step in steps]
    _curve(area, doses, [step.row.area_nm2 for step in steps], _BLUE, "o-", "area of the mask [nm²]")
    _curve(f1, doses, [step.row.f1 for step in steps], _RED, "s--", "F1 against the own mask at full dose")
    f1.set_ylim(0, 1.05)
    figure.suptitle("\n".join([title, *notes]), fontsize=9)
    write_figure(figure, path)


def _draw(axes: Axes, step: Step, sampling: float) -> None:
    axes.set(xticks=[], yticks=[])
    draw_frame(axes, step.image)
    if step.mask.any() and not step.mask.all():
        draw_outline(axes, step.mask)
    draw_scale_bar(axes, step.image.shape[1], sampling)
    axes.set_title(f"{step.row.dose_per_area:.4g} e/Å²", fontsize=9)


def _curve(
    axes: Axes, doses: Sequence[float], values: Sequence[float | None], color: str, style: str, label: str
) -> None:
    """Draw values against dose; the frame itself, the first, as an open marker."""
    numbers = [np.nan if value is None else value for value in values]
    axes.plot(doses[1:], numbers[1:], style, color=color)
    axes.plot(doses[:1], numbers[:1], style[0], color=color, markerfacecolor="none", label="the frame itself")
    axes.set(xscale="log", xlabel="dose [e/Å²]", ylabel=label)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
