"""One micrograph: pixels that cannot lose their calibration."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from framedose.errors import CalibrationError, ConstantImageError, ImageError


@dataclass(frozen=True, eq=False)
class Micrograph:
    """One real-space frame with its pixel size.

    Parameters
    ----------
    image
        The pixels, shape (y, x), finite; any real numbers, which are kept as float32.
    sampling
        Side of a pixel [Å/px].
    quantity
        What a pixel value is: ``"counts"`` of the camera, ``"electrons"``, or ``"normalised"``.
    origin
        Where the frame comes from, for messages: a file name, or ``"simulated"``.
    frame
        Index within the file.
    exposure
        Exposure of the frame [s], or None where it is not known.
    dose_per_area
        Dose of the frame [e/Å2], or None where it is not known. The reader estimates it from the mean of a frame in
        electrons: that is the dose behind the specimen, lower than the incoming one by what is scattered out.
    flags
        Why the frame is not raw, one sentence each; see :mod:`framedose.files.rawness`.

    Raises
    ------
    ImageError
        If the image is not two-dimensional, holds NaN or infinity, or is constant.
    CalibrationError
        If the sampling, the exposure or the dose is not a positive number.
    """

    image: npt.NDArray[np.float32]
    sampling: float
    quantity: str = "counts"
    origin: str = "array"
    frame: int = 0
    exposure: float | None = None
    dose_per_area: float | None = None
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pixels = np.asarray(self.image)
        if pixels.dtype.kind not in "iufb":
            raise ImageError(f"{self.origin}: its values have the type {pixels.dtype}; give real numbers.")
        with np.errstate(over="ignore"):  # Too large for float32 becomes infinity, which is refused.
            object.__setattr__(self, "image", pixels.astype(np.float32, copy=False))
        if self.image.ndim != 2:
            raise ImageError(f"{self.origin}: a frame must have shape (y, x), got shape {self.image.shape}.")
        if not np.isfinite(self.image).all():
            raise ImageError(
                f"{self.origin}, frame {self.frame}: the image holds NaN or infinity. "
                "Mask or interpolate those pixels first."
            )
        if self.image.min() == self.image.max():
            level = self.image.flat[0]
            raise ConstantImageError(
                f"{self.origin}, frame {self.frame}: every pixel has the value {level}, there is nothing to see.",
                float(level),
            )
        for name, value, unit in (
            ("sampling", self.sampling, "Å per pixel"),
            ("exposure", self.exposure, "seconds"),
            ("dose_per_area", self.dose_per_area, "electrons per Å2"),
        ):
            if value is not None and not (np.isfinite(value) and value > 0):
                raise CalibrationError(f"{self.origin}: {name} must be a positive number of {unit}, got {value}.")
