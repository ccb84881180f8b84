"""A contact sheet of a dataset: fields against dose, to be looked at before anything is trained."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from framedose.dataset.store import ImageSet
from framedose.study.labels import number
from framedose.study.panels import draw_frame, draw_outline, draw_scale_bar, new_panels, write_figure

Cells = list[list[tuple[int, int]]]
"""The (field, image) of every panel, row by row."""


def contact_sheet(images: ImageSet, path: str | Path, *, doses: Sequence[float] | None = None, rows: int = 6) -> None:
    """Draw images with the outline of their masks in cyan, their dose and defocus, and a scale bar.

    Every row is a field, spread over all kinds of fields, and every column a dose: of each field the image whose dose
    is nearest. Where a field has fewer images than there are doses, rows are any fields with the nearest doses.

    Parameters
    ----------
    images
        The images of one split.
    path
        The PNG to write.
    doses
        Frame doses of the columns [e/Å2]; five over the range of the dataset if None.
    rows
        Number of rows, at most.
    """
    stored = images.conditions["dose"]
    if doses is None:
        doses = np.geomspace(stored.min(), stored.max(), 5).tolist()
    cells = _choose(stored, doses, rows)
    figure, panels = new_panels(len(cells), len(doses))
    for row, chosen in zip(panels, cells, strict=True):
        for axes, (field, image) in zip(row, chosen, strict=True):
            frame, mask = images.load(field, image)
            condition = {name: float(values[field, image]) for name, values in images.conditions.items()}
            draw_frame(axes, frame)
            if mask.any():
                draw_outline(axes, mask)
            draw_scale_bar(axes, mask.shape[1], condition["sampling"])
            title = f"{number(condition['dose'])} e/Å², defocus {condition['defocus'] / 10:.0f} nm"
            axes.set_title(f"{title}\nfield {field}, {images.kinds[field]}", fontsize=7, pad=3)
    write_figure(figure, path)


def _choose(stored: npt.NDArray[np.float64], doses: Sequence[float], rows: int) -> Cells:
    # A dose of zero is allowed and has no logarithm.
    distance = np.abs(np.log(np.maximum(stored, np.finfo(float).tiny))[..., None] - np.log(doses))
    fields, images, columns = distance.shape
    if images >= columns or fields < columns:
        chosen = np.unique(np.linspace(0, fields - 1, min(rows, fields)).round().astype(int))
        return [[(int(field), image) for image in _nearest(distance[field])] for field in chosen]
    count = min(rows, fields // columns)
    nearest = _nearest(np.repeat(distance.min(axis=1), count, axis=1))
    cells = [(field, int(distance[field, :, place // count].argmin())) for place, field in enumerate(nearest)]
    return [cells[row::count] for row in range(count)]


def _nearest(distance: npt.NDArray[np.float64]) -> list[int]:
    """Return the choice with the least distances (choices, places) for every place, each once if there are enough."""
    choices, places = distance.shape
    chosen = linear_sum_assignment(distance.T)[1] if choices >= places else distance.argmin(axis=0)
    return [int(choice) for choice in chosen]
