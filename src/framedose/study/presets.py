"""Presets: what a study starts from."""

from typing import Any

# The paper: Tables 1 to 3 with MTF4 and the high dose range (the recipe's defaults), 1000 structures, 10 image epochs,
# 512x512 pixels, 500 validation images, 300 epochs of ADAM at a constant rate. Radii are those of the group's earlier
# work that fit 1.5 times into the field. A third of a million images of 512x512 for each network: days on a CPU.
_PAPER: dict[str, Any] = {
    "dataset": {
        "specimen": {"radius": {"low": 5.0, "high": 12.0}},
        "camera": "mtf4",
    },
    "unet": {"network": {}, "training": {"steps": 300 * 1000 // 8, "batch": 8, "validate_every": 500}},
    "msdnet": {"network": {}, "training": {"steps": 300 * 1000 // 8, "batch": 8, "validate_every": 500}},
    "evaluation": {"doses": {"low": 10.0, "high": 1e4, "count": 13}},
}

_COSINE: dict[str, Any] = {"schedule": "cosine", "clip": 1.0, "augment": True}

# The paper's dataset with pixels summed 4x4, for two cores and an evening; fields without a particle are added, as no
# network that never saw one can be trusted there.
_LAPTOP: dict[str, Any] = {
    "dataset": {
        **_PAPER["dataset"],
        "validation_structures": 100,
        "support_share": 0.1,
        "vacuum_share": 0.1,
        "binning": 4,
    },
    "unet": {
        # In the same time more steps of a narrower network are worth more: benchmarks/ablation.py, docs/training.md.
        "network": {"width": 8, "convolutions": 2},
        "training": {"steps": 12000, "batch": 4, "validate_every": 500, **_COSINE},
    },
    "msdnet": {
        "network": {"activation": "leaky_relu", "negative_slope": 0.1},
        "training": {"steps": 4500, "batch": 4, "validate_every": 250, **_COSINE},
    },
    "evaluation": {"structures": 40},
}

# Sized so that the whole study takes about ten minutes on two cores. Where the paper's value is not kept: coarser
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
        "camera": "mtf4",
    },
    "unet": {
        "network": {"width": 12, "convolutions": 2},
        "training": {"steps": 450, "batch": 4, **_COSINE},
    },
    "msdnet": {
        "network": {"layers": 24, "width": 2, "kernel": 5, "activation": "leaky_relu", "negative_slope": 0.1},
        "training": {"steps": 1250, "batch": 4, **_COSINE},
    },
}

# Real frames have uneven backgrounds, and some have coarser pixels than the networks; their pixel size is known.
_REAL_FRAMES: dict[str, Any] = {"disturb": {"background": 0.5, "coarse_share": 0.25}, "resample_to": 0.3}

# What the shipped weights are trained with: fields as varied as real frames are, because they are not all of one
# supported particle on its zone axis. Pixels of 0.13 to 0.17 Å summed 2x2 bring frames of 0.1 to 0.3 Å/px to about one
# pixel size, and the MTF is wider than Table 3, as it is in units of their different Nyquist frequencies.
_GENERAL: dict[str, Any] = {
    "dataset": {
        "structures": 1400,
        "validation_structures": 60,
        "image_epochs": 12,
        "support_share": 0.16,
        "vacuum_share": 0.08,
        "gpts": 320,
        "margin": 16,
        "binning": 2,
        "specimen": {
            "radius": {"low": 5.0, "high": 30.0, "scale": "log"},
            "twinned_share": 0.4,
            "max_particles": 4,
            "free_share": 0.3,
            "on_zone_share": 0.6,
            "plan_view_share": 0.25,
            "lean": {"low": 0.0, "high": 50.0},
            "grain_share": 0.25,
            "powder_share": 0.15,
            "thickness": {"low": 20.0, "high": 100.0},
            "film": {"low": 15.0, "high": 50.0},
            "film_share": 0.4,
            "whole": False,
        },
        "exit_wave": {"sampling": 0.15, "band_limit": 2.2, "slice_thickness": 2.0},
        "conditions": {
            "defocus": {"low": -250.0, "high": 250.0},
            "sampling": {"low": 0.13, "high": 0.17},
            "dose": {"low": 8.0, "high": 3e4, "scale": "log"},
        },
        "camera": {"c0": {"low": 0.2, "high": 1.2}, "c3": {"low": 1.5, "high": 5.0}},
    },
    # The shipped networks went on from those of the preset laptop (--start-from): weights/shipped.sh.
    # No batch normalisation: with it the same masks have probabilities nearer to the middle (docs/training.md).
    "unet": {
        "network": {"width": 8, "convolutions": 2, "normalise_window": 165},
        "training": {"steps": 24000, "batch": 4, "validate_every": 1000, **_COSINE, **_REAL_FRAMES},
    },
    "msdnet": {
        "network": {"activation": "leaky_relu", "negative_slope": 0.1, "normalise_window": 165},
        "training": {"steps": 5500, "batch": 3, "validate_every": 500, **_COSINE, **_REAL_FRAMES},
    },
    "evaluation": {"structures": 40},
}

PRESETS = {"quick": _QUICK, "laptop": _LAPTOP, "general": _GENERAL, "paper": _PAPER}
