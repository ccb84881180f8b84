"""The errors that framedose raises on purpose.

Each subclasses the builtin that a Python user would expect, and :class:`FramedoseError`, by which the command line
tells a mistake of the user (one clear line) from a defect of ours (a traceback). A message names the argument, the
requirement, the value that came and the remedy.
"""


class FramedoseError(Exception):
    """Base of every error that framedose raises on purpose."""


class ConfigurationError(FramedoseError, ValueError):
    """A setting is unknown, out of range, or contradicts another."""


class CalibrationError(FramedoseError, ValueError):
    """A frame lacks a physical calibration, such as its pixel size, or has one that cannot be used."""


class ImageError(FramedoseError, ValueError):
    """An image cannot be used: wrong shape or kind, too small, constant, or not finite."""


class ConstantImageError(ImageError):
    """Every pixel of an image has the same ``value``."""

    def __init__(self, message: str, value: float = 0.0) -> None:
        super().__init__(message)
        self.value = value


class FileFormatError(FramedoseError, ValueError):
    """A file is truncated, of another kind, or not one that framedose reads."""


class OutputExistsError(FramedoseError, FileExistsError):
    """The output folder holds something that must not be overwritten."""


class OutputError(FramedoseError, OSError):
    """Results cannot be written, for example because the disk is full."""


class WeightsError(FramedoseError, ValueError):
    """Weights are missing, damaged, or belong to another network."""


class SpecimenError(FramedoseError, ValueError):
    """No specimen satisfies the request."""


class TrainingError(FramedoseError, RuntimeError):
    """Training cannot go on, for example because the loss is not finite."""


class SimulationError(FramedoseError, RuntimeError):
    """The simulation cannot go on, for example because the disk is full."""


class WorkerError(FramedoseError, RuntimeError):
    """Worker processes do not start, or die again and again."""


class MissingPackageError(FramedoseError, ImportError):
    """A package that only some uses need is not installed."""
