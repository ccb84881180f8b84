"""A picture of particles through time: area against time or dose, and where they went."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from framedose.atomic import write_aside
from framedose.inference.particles import Particle

# Those seen in most frames are drawn.
_MOST = 8
# Okabe and Ito's, which differ for every eye.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")


def draw_tracks(
    path: Path,
    frames: Sequence[Sequence[Particle]],
    labels: Sequence[Sequence[int]],
    against: Sequence[float],
    what: str,
) -> None:
    """Write a PNG: area of each particle against time or dose, and its path.

    Parameters
    ----------
    path
        The file, written atomically.
    frames, labels
        Particles of each frame, and their tracks.
    against
        What the area is drawn against, a value for each frame.
    what
        Its name, with the unit.
    """
    # Tracks are numbered in the order of appearance, in which a counter keeps those that are seen equally often.
    counts = Counter(label for frame in labels for label in frame)
    longest = [track for track, _ in counts.most_common(_MOST)]
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    areas, places = figure.subplots(1, 2)
    for track, colour in zip(sorted(longest), _COLOURS, strict=False):
        # A frame in which it is not seen is a gap.
        rows = np.full((len(frames), 3), np.nan)
        for index, (particles, numbers) in enumerate(zip(frames, labels, strict=True)):
            if track in numbers:
                one = particles[list(numbers).index(track)]
                rows[index] = one.area_nm2, one.centroid_y_nm, one.centroid_x_nm
        areas.plot(against, rows[:, 0], ".-", color=colour, markersize=3, linewidth=1, label=f"{track}")
        places.plot(rows[:, 2], rows[:, 1], ".-", color=colour, markersize=3, linewidth=0.7)
    areas.set(xlabel=what, ylabel="area (nm²)", ylim=(0, None))
    if longest:
        areas.legend(frameon=False, fontsize=8, title="track", ncols=2)
    places.set(xlabel="x (nm)", ylabel="y (nm)", aspect="equal")
    places.invert_yaxis()
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=150)
