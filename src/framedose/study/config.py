"""The settings of a whole study, and its presets."""

from typing import Any

from pydantic import Field

from framedose.camera.presets import MTF_PRESETS
from framedose.config import Settings, build, merged
from framedose.dataset.recipe import DatasetRecipe
from framedose.errors import ConfigurationError
from framedose.evaluation.summary import EvaluationConfig
from framedose.networks.msdnet import MSDNetConfig
from framedose.networks.unet import UNetConfig
from framedose.training.loop import TrainingConfig


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

    seed: int = Field(0, ge=0)
    """Seed of everything random."""
    dataset: DatasetRecipe
    """What the networks are trained on."""
    unet: UNetTraining
    """The U-net."""
    msdnet: MSDNetTraining
    """The MSD-net."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """How the dose limits are measured."""


# Sized so that the whole study takes about twelve minutes on two cores. Where the paper's value is not kept: coarser
# waves, smaller particles for a smaller field, pixels summed 4x4, smaller networks, and some hundred steps on a cosine
# schedule, with flips, turns and fields without a particle, in place of 300 epochs.
_QUICK: dict[str, Any] = {
    "dataset": {
        "structures": 220,
        "validation_structures": 16,
        "image_epochs": 4,
        "support_share": 0.1,
        "vacuum_share": 0.1,
        "binning": 4,
        "specimen": {"radius": {"low": 8.0, "high": 12.5}},
        "exit_wave": {"sampling": 0.15, "band_limit": 2.2},
        "camera": MTF_PRESETS["MTF4"].model_dump(),
    },
    "unet": {
        "network": {"width": 12, "convolutions": 2},
        "training": {"steps": 450, "batch": 4, "schedule": "cosine", "clip": 1.0, "augment": True},
    },
    "msdnet": {
        "network": {"layers": 24, "width": 2, "kernel": 5, "activation": "leaky_relu", "negative_slope": 0.1},
        "training": {"steps": 1250, "batch": 4, "schedule": "cosine", "clip": 1.0, "augment": True},
    },
}

PRESETS = {"quick": _QUICK}


def study_config(preset: str = "quick", *overrides: dict[str, Any]) -> StudyConfig:
    """Return the settings of a preset with changes on top, later ones over earlier ones.

    Parameters
    ----------
    preset
        ``"quick"``: minutes on two cores.
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
        raise ConfigurationError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}.")
    # Complete, so that one end of a range can be changed alone.
    values: dict[str, Any] = build(StudyConfig, PRESETS[preset], where=f"preset {preset}").model_dump()
    for override in overrides:
        values = merged(values, override)
    return build(StudyConfig, values, where="settings")
