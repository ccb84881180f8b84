"""One reader for micrographs: a file in, calibrated frames out, or a reason why not."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from framedose.errors import CalibrationError, FileFormatError, FramedoseError, ImageError
from framedose.files.calibration import known_sampling
from framedose.files.tiff import read_tiff
from framedose.micrograph import Micrograph

_SIGNATURES = {
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    # Classic and BigTIFF, little and big endian.
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}
_SUFFIXES = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}


def read(path: str | Path, *, sampling: float | None = None) -> list[Micrograph]:
    """Read the frames of a PNG or TIFF file.

    Parameters
    ----------
    path
        The file. The pages of a TIFF, or the first axis of a three-dimensional one, are frames.
    sampling
        Side of a pixel [Å/px]; what the file says of it is then not used. A PNG cannot tell a pixel size of a
        microscope, so there it must be given.

    Returns
    -------
    list of Micrograph
        One per frame, float32 (y, x), in the order of the file. Colour images with three equal channels become grey,
        and a constant alpha channel is dropped.

    Raises
    ------
    FileFormatError
        If the file is empty, truncated, damaged, or of a kind that is not read.
    CalibrationError
        If there is no pixel size, or one that cannot be used.
    ImageError
        If the image is complex, boolean, in colour, constant, or not finite.
    OSError
        If the file is missing or may not be read.
    """
    path = Path(path)
    if sampling is not None and not (np.isfinite(sampling) and sampling > 0):
        raise CalibrationError(f"--sampling must be a positive number of Å per pixel, got {sampling}.")
    kind = _kind(path)
    try:
        if kind == "PNG":
            pixels, found = _read_png(path), None
        else:
            pixels, found = read_tiff(path, calibrated=sampling is not None)
    except FramedoseError:
        raise
    except Exception as error:  # A decoder meets damage with any exception.
        reason = " ".join(str(error).split()) or type(error).__name__
        remedy = "Copy it again from its source, or export it again without compression."
        raise FileFormatError(f"{path}: cannot be decoded as {kind}: {reason}. {remedy}") from error
    pixels = _grey(pixels, origin=str(path))
    sampling = known_sampling(sampling or found, origin=str(path))
    return [Micrograph(frame, sampling, origin=str(path), frame=index) for index, frame in enumerate(pixels)]


def _kind(path: Path) -> str:
    if path.is_dir():
        raise FileFormatError(f"{path}: is a folder; name the files in it.")
    with path.open("rb") as file:
        head = file.read(8)
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise FileFormatError(
            f"{path}: cannot be read, framedose reads {', '.join(_SUFFIXES)}. Export it as TIFF (32 or 16 bit)."
        )
    if not head:
        raise FileFormatError(f"{path}: the file is empty. Copy it again from its source.")
    if not head.startswith(_SIGNATURES[kind]):
        raise FileFormatError(f"{path}: is not a {kind} file, whatever its name says (it begins with {head!r}).")
    return kind


def _read_png(path: Path) -> npt.NDArray[Any]:
    with Image.open(path, formats=["PNG"]) as image:
        # A palette holds the grey levels or the colours.
        return np.asarray(image.convert("RGBA") if image.mode == "P" else image)[np.newaxis]


def _grey(pixels: npt.NDArray[Any], *, origin: str) -> npt.NDArray[np.float32]:
    """Return (frames, y, x) float32 from (frames, y, x) or (frames, y, x, channels) of any kind of number."""
    if not pixels.size:
        raise FileFormatError(f"{origin}: holds no pixels, shape {pixels.shape}. Copy it again from its source.")
    if pixels.dtype.kind == "c":
        raise ImageError(f"{origin}: the image is complex (a Fourier transform or a wave); give the real-space image.")
    if pixels.dtype.kind == "b":
        raise ImageError(f"{origin}: the image is boolean (a mask); give the micrograph that it was made from.")
    if pixels.ndim == 4:
        if pixels.shape[-1] in (2, 4):
            alpha, pixels = pixels[..., -1], pixels[..., :-1]
            if alpha.min() != alpha.max():
                raise ImageError(f"{origin}: parts of the image are transparent; export it without an alpha channel.")
        if (pixels != pixels[..., :1]).any():
            raise ImageError(
                f"{origin}: the colour channels differ (false colour or coloured marks); export the image in grey."
            )
        pixels = pixels[..., 0]
    with np.errstate(over="ignore"):  # Too large for float32 becomes infinity, which Micrograph refuses.
        return pixels.astype(np.float32)
