"""The figures of a study that show frames, each one function that writes one PNG."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from framedose.study.labels import network_label, number
from framedose.study.panels import draw_frame, draw_mask, draw_outline, draw_scale_bar, new_panels, write_figure


def examples_figure(
    images: npt.ArrayLike, doses: npt.ArrayLike, mask: npt.ArrayLike, sampling: float, path: str | Path
) -> None:
    """Draw one structure at several doses, and once more at the last one with the true particle outlined.

    Parameters
    ----------
    images
        Frames (D, y, x).
    doses
        Their doses (D,) [e/Å2].
    mask
        The true particle (y, x).
    sampling
        Pixel size [Å/px].
    path
        The PNG to write.
    """
    images, doses, mask = np.asarray(images), np.asarray(doses), np.asarray(mask)
    figure, panels = new_panels(1, len(images) + 1)
    frames = [*images, images[-1]]
    titles = [*(f"{number(dose)} e/Å²" for dose in doses), "with the true outline"]
    for axes, frame, title in zip(panels[0], frames, titles, strict=True):
        draw_frame(axes, frame)
        axes.set_title(title, fontsize=9)
    draw_outline(panels[0, -1], mask)
    draw_scale_bar(panels[0, 0], mask.shape[1], sampling)
    write_figure(figure, path)


def overlay_figure(
    images: npt.ArrayLike,
    doses: npt.ArrayLike,
    mask: npt.ArrayLike,
    predicted: Mapping[str, npt.ArrayLike],
    sampling: float,
    path: str | Path,
) -> None:
    """Draw the mask of each network (row) at several doses (column), with the true particle outlined in cyan.

    The prediction is filled in orange: orange outside the outline is false, and grey inside it is missed.

    Parameters
    ----------
    images
        Frames (D, y, x).
    doses
        Their doses (D,) [e/Å2].
    mask
        The true particle (y, x).
    predicted
        For each network its masks (D, y, x).
    sampling
        Pixel size [Å/px].
    path
        The PNG to write.
    """
    images, doses, mask = np.asarray(images), np.asarray(doses), np.asarray(mask, dtype=bool)
    figure, panels = new_panels(len(predicted), len(images))
    for row, (name, masks) in zip(panels, predicted.items(), strict=True):
        row[0].set_ylabel(network_label(name), fontsize=10)
        for axes, frame, found in zip(row, images, np.asarray(masks, dtype=bool), strict=True):
            draw_frame(axes, frame)
            draw_mask(axes, found)
            draw_outline(axes, mask)
    for axes, dose in zip(panels[0], doses, strict=True):
        axes.set_title(f"{number(dose)} e/Å²", fontsize=9)
    draw_scale_bar(panels[0, 0], mask.shape[1], sampling)
    write_figure(figure, path)
