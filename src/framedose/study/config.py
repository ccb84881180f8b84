"""The settings of a whole study."""

from difflib import get_close_matches
from typing import Any

from pydantic import Field

from framedose.config import Settings, build, merged
from framedose.dataset.recipe import DatasetRecipe
from framedose.errors import ConfigurationError
from framedose.evaluation.summary import EvaluationConfig
from framedose.networks.config import MSDNetConfig, UNetConfig
from framedose.random import LARGEST_SEED
from framedose.study.presets import PRESETS
from framedose.training.config import TrainingConfig


class UNetTraining(Settings):
    """The U-net and how it is trained."""

    network: UNetConfig
    """Its size."""
    training: TrainingConfig
    """Its training."""


class MSDNetTraining(Settings):
    """The MSD-net and how it is trained."""

    network: MSDNetConfig
    """Its size."""
    training: TrainingConfig
    """Its training."""


class StudyConfig(Settings):
    """Everything that determines the numbers of a study."""

    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    """Seed of everything random."""
    dataset: DatasetRecipe
    """What the networks are trained on."""
    unet: UNetTraining
    """The U-net."""
    msdnet: MSDNetTraining
    """The MSD-net."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How the dose limits are measured."""


def study_config(preset: str = "quick", *overrides: dict[str, Any]) -> StudyConfig:
    """Return the settings of a preset with changes on top, later ones over earlier ones.

    Parameters
    ----------
    preset
        ``"quick"``: minutes on two cores. ``"general"``: hours, on varied specimens, as the shipped weights.
        ``"paper"``: the paper's own, for days or a GPU. ``"laptop"``: the paper's with pixels summed 4x4.
    *overrides
        Nested mappings of settings, for example ``{"dataset": {"structures": 100}}``.

    Raises
    ------
    ConfigurationError
        If the preset or a key is unknown, or a value is out of range.

    Examples
    --------
    >>> study_config("quick", {"seed": 3}).seed
    3
    """
    if preset not in PRESETS:
        near = get_close_matches(preset, PRESETS, n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}.{guess}")
    # Complete, so that one end of a range can be changed alone.
    values: dict[str, Any] = build(StudyConfig, PRESETS[preset], where=f"preset {preset}").model_dump()
    for override in overrides:
        values = merged(values, override)
    return build(StudyConfig, values, where="settings")
