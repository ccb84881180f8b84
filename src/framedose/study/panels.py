"""Frames side by side: what contact sheets and the report's pictures are drawn with."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from framedose.atomic import write_aside

_CYAN = "#00D5FF"
_ORANGE = (0.90, 0.62, 0.0)
_DPI = 130


def new_panels(rows: int, columns: int) -> tuple[Figure, Any]:
    """Return a figure and its axes (rows, columns), without ticks, for frames."""
    figure = Figure(figsize=(1.9 * columns, 1.9 * rows + 0.35), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
    return figure, panels


def draw_frame(axes: Axes, frame: npt.NDArray[Any]) -> None:
    """Draw a frame in grey; the levels span the central 99 % of its pixels."""
    low, high = np.percentile(frame, [0.5, 99.5])
    axes.imshow(frame, cmap="gray", vmin=low, vmax=high, interpolation="nearest")


def draw_mask(axes: Axes, mask: npt.NDArray[np.bool_]) -> None:
    """Fill a mask in orange that lets the frame be seen."""
    axes.imshow(np.dstack([np.broadcast_to(_ORANGE, (*mask.shape, 3)), 0.5 * mask]), interpolation="nearest")


def draw_outline(axes: Axes, mask: npt.NDArray[Any]) -> None:
    """Draw the outline of a mask in cyan."""
    axes.contour(mask.astype(float), levels=[0.5], colors=[_CYAN], linewidths=1.3)


def draw_scale_bar(axes: Axes, width: int, sampling: float) -> None:
    """Draw a bar of a round length, at most a third of the field of view of ``width`` pixels."""
    third = width * sampling / 10 / 3
    power = 10 ** np.floor(np.log10(third))
    length = power * max(step for step in (1, 2, 5) if step * power <= third)
    pixels = length * 10 / sampling
    x, y = 0.06 * width, axes.get_ylim()[0] - 0.06 * width
    stroke = [withStroke(linewidth=3, foreground="black")]
    axes.plot(
        [x, x + pixels],
        [y, y],
        color="white",
        linewidth=2.5,
        path_effects=[withStroke(linewidth=4.5, foreground="black")],
    )
    axes.text(
        x + pixels / 2,
        y - 0.03 * width,
        f"{length:g} nm",
        color="white",
        ha="center",
        va="bottom",
        fontsize=8,
        path_effects=stroke,
    )


def write_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure atomically, in the resolution of the report."""
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=_DPI)
