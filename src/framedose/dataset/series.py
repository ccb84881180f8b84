"""Named series: particles imaged again and again at rising dose, as the paper does to compare networks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from framedose.config import build, merged
from framedose.dataset.recipe import DatasetRecipe, Part, Split, make_kinds
from framedose.errors import ConfigurationError


@dataclass(frozen=True)
class NamedSeries:
    """A series that any study can be evaluated on."""

    steps: Callable[[float, float, int], npt.NDArray[np.float64]]
    """Frame doses from one to another, so many of them, rising."""
    low: float
    """Least frame dose [e/Å2]."""
    high: float
    """Greatest frame dose [e/Å2]."""
    frames: int
    """Frames of each particle."""
    changes: dict[str, Any]
    """What it changes in a recipe."""


# A.4: conditions of the experiment; its pixel size is not given there and stays that of the recipe.
_CONDITIONS = {
    "blur": {"low": 0.1, "high": 0.2},
    "focal_spread": {"low": 5.0, "high": 6.0},
    "defocus": {"low": 48.0, "high": 50.0},
    "cs": {"low": 7e4, "high": 8e4},
    **{name: {"low": 0.0, "high": 0.0} for name in ("astigmatism", "coma", "trefoil", "drift")},
}
_PAPERS = {
    "on_zone_share": 1.0,
    "plan_view_share": 0.0,
    "lean": {"low": 0.0, "high": 0.0},
    "grain_share": 0.0,
    "powder_share": 0.0,
    "free_share": 0.0,
    "film_share": 0.0,
    "max_particles": 1,
    "whole": True,
}
_EXPERIMENT: dict[str, Any] = {"conditions": _CONDITIONS, "camera": "mtf3", "specimen": _PAPERS}

# The test shows what the recipe itself draws, each particle with one draw of its conditions at all doses.
# The paper's replica (A.4) has its doses anywhere in 10..1e4 e/Å2; even steps of the logarithm are the same on average.
# The ramp is the dose of the paper's experiment (section 3), with as many frames as have a step of 10 e/Å2.
SERIES = {
    "test": NamedSeries(np.geomspace, 10, 1e4, 13, {}),
    "replica": NamedSeries(np.geomspace, 10, 1e4, 1000, _EXPERIMENT),
    "ramp": NamedSeries(np.linspace, 10, 1300, 130, _EXPERIMENT),
}


def named_series(
    name: str,
    recipe: DatasetRecipe,
    *,
    structures: int = 1,
    frames: int | None = None,
    supports: int = 0,
    vacuum: int = 0,
    given: Mapping[str, Any] | None = None,
) -> Part:
    """Return the recipe and the split of a named series.

    Parameters
    ----------
    name
        ``"replica"``, ``"ramp"`` or ``"test"``.
    recipe
        What the specimens, the field of view, the pixel summing and the pixel size are taken from. In replica and ramp
        the imaging conditions and the camera (MTF3) are the paper's, and particles are on their zone axis on the
        support in profile, as the paper's is; a test has all of it from the recipe.
    structures
        Particles, each with a series of its own; the paper has one.
    frames
        Frames of each series; the paper's number by default.
    supports, vacuum
        Series without a particle, for the null test.
    given
        Values of the recipe that hold in place of the series' own. A range of ``conditions.dose`` is that of the
        frames.

    Raises
    ------
    ConfigurationError
        If there is no such series, or nothing in it, or atoms of its fields have no displacement.
    """
    if name not in SERIES:
        raise ConfigurationError(f"series must be one of {', '.join(SERIES)}, got {name!r}.")
    if structures < 1 or (frames is not None and frames < 1):
        raise ConfigurationError(f"A series needs at least one particle and frame, got {structures} and {frames}.")
    series, given = SERIES[name], given or {}
    own = merged(recipe.model_dump(), {"conditions": {"dose": {"low": series.low, "high": series.high}}})
    # Complete, so that one end of a range can be given alone.
    own = build(DatasetRecipe, merged(own, series.changes), where="recipe").model_dump()
    changed = build(DatasetRecipe, merged(own, given), where="recipe")
    if supports and (missing := changed.missing_displacements(bare=True)):
        raise ConfigurationError(f"{missing}.")
    dose = changed.conditions.dose
    doses = tuple(float(f"{one:.6g}") for one in series.steps(dose.low, dose.high, frames or series.frames))
    return changed, Split(name, make_kinds(structures, supports, vacuum), len(doses), doses)
