"""How large a reproduction is: from minutes on two cores to the paper's own size."""

from typing import Any

from pydantic import Field

from framedose.config import Settings, merged
from framedose.errors import ConfigurationError
from framedose.study.config import StudyConfig, study_config


class Scale(Settings):
    """Sizes of everything that a reproduction is made of."""

    study: StudyConfig
    """Specimens, images and training; camera and dose range are set by each figure."""
    training_sizes: tuple[int, ...] = (10, 100, 500, 1000)
    """Structures that the networks of SOI.5 are trained on."""
    replica_structures: int = Field(20, ge=2)
    """Particles of the replica series."""
    replica_frames: int = Field(50, ge=5)
    """Frames of each of them: 1000 images, as the paper's."""
    ramp_frames: int = Field(130, ge=5)
    """Frames of the one particle of the ramp, 10 to 1300 e/Å2."""
    empty: int = Field(4, ge=1)
    """Series of bare support, and of vacuum, for the null test."""
    vacuum_frames: int = Field(48, ge=5)
    """Frames of the vacuum series that the camera figures fit."""


# No field without a particle is trained on, as in the paper: what its networks take for particle there is a result.
_ALL: dict[str, Any] = {"dataset": {"support_share": 0.0, "vacuum_share": 0.0}}

# Pixels summed 2x2 keep half of the Nyquist frequency, which the statements about MTF1-5 need; kernels of 5x5 then span
# 0.75 Å, where the paper's 9x9 span 0.68 Å. Fields of 27 Å in place of 36 Å, and fewer layers, make thirteen networks
# a night of two cores; every network has as many steps.
_LAPTOP: dict[str, Any] = {
    "dataset": {
        "gpts": 384,
        "binning": 2,
        "validation_structures": 100,
        "specimen": {"radius": {"low": 5.0, "high": 9.0}},
    },
    "unet": {"training": {"steps": 4000, "batch": 4, "validate_every": 250}},
    "msdnet": {
        "network": {"layers": 24, "kernel": 5},
        "training": {"steps": 4000, "batch": 4, "validate_every": 250},
    },
}
_QUICK: dict[str, Any] = {
    "dataset": {"structures": 60, "validation_structures": 16},
    "unet": {"training": {"steps": 100}},
    "msdnet": {"training": {"steps": 200}},
}

SCALES = ("quick", "laptop", "paper")


def scale_of(name: str, seed: int = 0) -> Scale:
    """Return a scale by its name.

    ``"quick"`` shows within half an hour that everything runs, ``"laptop"`` takes a night of two cores at 2x2 summed
    pixels, ``"paper"`` is the paper's own size and wants a GPU.

    Raises
    ------
    ConfigurationError
        If there is none of the name.
    """
    if name not in SCALES:
        raise ConfigurationError(f"--scale must be one of {', '.join(SCALES)}, got {name!r}.")
    changes = merged(_ALL, {"quick": _QUICK, "laptop": _LAPTOP, "paper": {}}[name])
    study = study_config(name, merged(changes, {"seed": seed}))
    if name == "quick":
        return Scale(
            study=study,
            training_sizes=(10, 30, 60),
            replica_structures=6,
            replica_frames=13,
            ramp_frames=26,
            vacuum_frames=16,
        )
    return Scale(study=study)
