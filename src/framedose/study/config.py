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

# What the shipped weights are trained with: fields as varied as real frames are, because they are not all of one
# supported particle on its zone axis. Pixels of 0.13 to 0.17 Å summed 2x2 bring frames of 0.1 to 0.3 Å/px to about one
# pixel size, and the MTF is wider than Table 3, as it is in units of their different Nyquist frequencies.
_GENERAL: dict[str, Any] = {
    "dataset": {
        "structures": 1000,
        "validation_structures": 24,
        "image_epochs": 6,
        "support_share": 0.12,
        "vacuum_share": 0.08,
        "gpts": 320,
        "margin": 16,
        "binning": 2,
        "specimen": {
            "radius": {"low": 9.0, "high": 30.0, "scale": "log"},
            "max_particles": 5,
            "free_share": 0.35,
            "on_zone_share": 0.6,
            "film": {"low": 15.0, "high": 40.0},
            "film_share": 0.5,
            "whole": False,
        },
        "exit_wave": {"sampling": 0.15, "band_limit": 2.2, "slice_thickness": 2.0},
        "conditions": {
            "defocus": {"low": -250.0, "high": 250.0},
            "sampling": {"low": 0.13, "high": 0.17},
            "dose": {"low": 20.0, "high": 3e4, "scale": "log"},
        },
        "camera": {"c0": {"low": 0.2, "high": 0.9}, "c3": {"low": 1.5, "high": 5.0}},
    },
    "unet": {
        "network": {"width": 14, "convolutions": 2, "normalise_window": 165},
        "training": {
            "steps": 5000,
            "batch": 3,
            "schedule": "cosine",
            "clip": 1.0,
            "augment": True,
            "disturb": {"background": 0.7, "coarse_share": 0.25},
        },
    },
    "msdnet": {
        "network": {
            "layers": 32,
            "width": 2,
            "kernel": 5,
            "activation": "leaky_relu",
            "negative_slope": 0.1,
            "normalise_window": 165,
        },
        "training": {
            "steps": 6500,
            "batch": 3,
            "schedule": "cosine",
            "clip": 1.0,
            "augment": True,
            "disturb": {"background": 0.7, "coarse_share": 0.25},
        },
    },
    "evaluation": {"structures": 40},
}

PRESETS = {"quick": _QUICK, "general": _GENERAL}


def study_config(preset: str = "quick", *overrides: dict[str, Any]) -> StudyConfig:
    """Return the settings of a preset with changes on top, later ones over earlier ones.

    Parameters
    ----------
    preset
        ``"quick"``: minutes on two cores. ``"general"``: hours, on varied specimens; the shipped weights are from it.
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
