"""Named series: particles imaged again and again at rising dose, as the paper does to compare networks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from framedose.config import merged
from framedose.dataset.recipe import DatasetRecipe, Part, Split, make_kinds
from framedose.errors import ConfigurationError


@dataclass(frozen=True)
class NamedSeries:
    """A series that any study can be evaluated on."""

    doses: Callable[[int], npt.NDArray[np.float64]]
    """Frame doses [e/Å2] of so many frames, rising."""
    frames: int
    """Frames that the paper has."""


# The paper's replica (A.4) has its doses anywhere in 10..1e4 e/Å2; even steps of the logarithm are the same on average.
# The ramp is the dose of the paper's experiment (section 3), with as many frames as have a step of 10 e/Å2.
SERIES = {
    "replica": NamedSeries(lambda frames: np.geomspace(10, 1e4, frames), 1000),
    "ramp": NamedSeries(lambda frames: np.linspace(10, 1300, frames), 130),
}

# A.4: conditions of the experiment; its pixel size is not given there and stays that of the recipe.
_CONDITIONS = {
    "blur": {"low": 0.1, "high": 0.2},
    "focal_spread": {"low": 5.0, "high": 6.0},
    "defocus": {"low": 48.0, "high": 50.0},
    "cs": {"low": 7e4, "high": 8e4},
}


def named_series(
    name: str,
    recipe: DatasetRecipe,
    *,
    structures: int = 1,
    frames: int | None = None,
    supports: int = 0,
    vacuum: int = 0,
) -> Part:
    """Return the recipe and the split of a named series.

    Parameters
    ----------
    name
        ``"replica"`` or ``"ramp"``.
    recipe
        What the specimens, the field of view, the pixel summing and the pixel size are taken from. Imaging conditions
        and camera (MTF3) are the paper's. Particles are on their zone axis on the support, as the paper's is.
    structures
        Particles, each with a series of its own; the paper has one.
    frames
        Frames of each series; the paper's number by default.
    supports, vacuum
        Series without a particle, for the null test.

    Raises
    ------
    ConfigurationError
        If there is no such series, or nothing in it.
    """
    if name not in SERIES:
        raise ConfigurationError(f"series must be one of {', '.join(SERIES)}, got {name!r}.")
    if structures < 1 or (frames is not None and frames < 1):
        raise ConfigurationError(f"A series needs at least one particle and frame, got {structures} and {frames}.")
    series = SERIES[name]
    doses = tuple(float(f"{dose:.6g}") for dose in series.doses(frames or series.frames))
    on_zone = {"on_zone_share": 1.0, "free_share": 0.0, "film_share": 0.0, "max_particles": 1, "whole": True}
    changes = {"conditions": _CONDITIONS, "camera": "mtf3", "specimen": on_zone}
    changed = DatasetRecipe.model_validate(merged(recipe.model_dump(), changes))
    return changed, Split(name, make_kinds(structures, supports, vacuum), len(doses), doses)
