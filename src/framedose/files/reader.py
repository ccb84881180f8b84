"""One reader for micrographs: a file or a folder in, calibrated frames out, or a reason why not."""

import glob
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from framedose.cleaning.borders import mean_of_data
from framedose.errors import FileFormatError, FramedoseError, ImageError
from framedose.files.calibration import pixel_sides
from framedose.files.folder import open_folder
from framedose.files.formats import file_kind
from framedose.files.frames import Frames
from framedose.files.plain import open_npy, open_png
from framedose.files.rawness import rawness_flags
from framedose.files.size import check_size
from framedose.files.source import Source
from framedose.micrograph import Micrograph
from framedose.resample import resample
from framedose.units import check_sampling


def _open_tiff(path: Path) -> Source:
    from framedose.files.tiff import open_tiff  # Each format loads only when it is met.

    return open_tiff(path)


def _open_rosetta(kind: str, path: Path) -> Source:
    from framedose.files.rosetta import open_rosetta

    return open_rosetta(path, kind)


# Least deviation of an image, in the distance of two numbers of single precision at its highest value.
_LEAST_DIGITS = 10

_OPENERS: dict[str, Callable[[Path], Source]] = {
    "PNG": open_png,
    "npy": open_npy,
    "TIFF": _open_tiff,
    "DM": partial(_open_rosetta, "DM"),
    "EMD": partial(_open_rosetta, "EMD"),
    "HyperSpy": partial(_open_rosetta, "HyperSpy"),
    "MRC": partial(_open_rosetta, "MRC"),
    "SER": partial(_open_rosetta, "TIA"),
    "EMI": partial(_open_rosetta, "TIA"),
    "TVIPS": partial(_open_rosetta, "TVIPS"),
}


def read(
    path: str | Path, *, sampling: float | None = None, allow_unequal: bool = False, allow_boolean: bool = False
) -> Frames:
    """Open a micrograph, a stack, or a folder with one frame a file.

    DM3 and DM4, EMD, HyperSpy HDF5, MRC, SER and EMI, TIFF, TVIPS, PNG and npy. The frames are read when they are asked
    for: ``read(path)[0]`` reads one, a loop one after the other.

    Parameters
    ----------
    path
        The file; or a folder, whose files are the frames in the order of the numbers in their names, including those in
        the folders ``Hour_00/Minute_00/Second_00`` of an in-situ series.
    sampling
        Side of a pixel [Å/px]; what the file says of it is then not used. A PNG or npy cannot tell a pixel size, so
        there it must be given.
    allow_unequal
        Resample pixels that are not square to the finer of their sides, which is then a flag of the frame, instead of
        refusing them.
    allow_boolean
        Read a boolean image, such as a label, as 0 and 1, instead of refusing it as no micrograph.

    Returns
    -------
    Frames
        A sequence of :class:`~framedose.Micrograph`, float32 (y, x), in the order of the file. Colour images with three
        equal channels become grey, and a constant alpha channel is dropped.

    Raises
    ------
    FileFormatError
        If the file is empty, truncated, damaged, or of a kind that is not read; when a frame is asked for, too.
    CalibrationError
        If there is no pixel size, or one that cannot be used.
    ImageError
        If the image is complex, boolean, or a spectrum; when a frame is asked for: in colour, constant, or not finite.
    OSError
        If the file is missing or may not be read.

    Examples
    --------
    >>> frame = framedose.read("frame.dm4")[0]  # doctest: +SKIP
    >>> frame.image.shape, frame.sampling, frame.quantity, frame.exposure  # doctest: +SKIP
    ((1024, 1024), 0.0754, 'counts', 0.5)
    """
    path = Path(path)
    if sampling is not None:
        check_sampling(sampling, "--sampling")
    open_one = partial(_open_file, sampling=sampling, allow_unequal=allow_unequal, allow_boolean=allow_boolean)
    return open_folder(path, open_one) if path.is_dir() else open_one(path)


def _open_file(path: Path, *, sampling: float | None, allow_unequal: bool, allow_boolean: bool) -> Frames:
    kind = file_kind(path)
    with _damage(path, kind):
        source = _OPENERS[kind](path)
    check_size(path, pixels=source.frames * source.pixels, at_a_time=source.pixels)
    if source.dtype.kind == "c":
        raise ImageError(f"{path}: the image is complex (a Fourier transform or a wave); give the real-space image.")
    if source.dtype.kind == "b" and not allow_boolean:
        raise ImageError(f"{path}: the image is boolean (a mask); give the micrograph that it was made from.")
    if source.dtype.kind not in "biuf":
        raise ImageError(f"{path}: its values have the type {source.dtype}; give real numbers.")
    sides = pixel_sides(source.scale, sampling=sampling, allow_unequal=allow_unequal, origin=str(path))

    def load(index: int) -> Micrograph:
        with _damage(path, kind):
            pixels = source.load(index)
        return _micrograph(_grey(pixels, origin=str(path)), source, sides, origin=str(path), frame=index)

    # An .emi points to the .ser files beside it, which hold the pixels.
    files = [path, *sorted(path.parent.glob(f"{glob.escape(path.stem)}_*.ser"))] if kind == "EMI" else [path]
    return Frames(path, files, range(source.frames), load)


@contextmanager
def _damage(path: Path, kind: str) -> Iterator[None]:
    """Say that a file is damaged: a decoder meets that with any exception."""
    try:
        yield
    except FramedoseError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        remedy = "Copy it again from its source" + (", or export it without compression." if kind == "TIFF" else ".")
        raise FileFormatError(f"{path}: cannot be decoded as {kind}: {reason}. {remedy}") from error


def _grey(pixels: npt.NDArray[Any], *, origin: str) -> npt.NDArray[Any]:
    """Return (y, x) from (y, x) or (y, x, channels), in the type of the file."""
    if not pixels.size:
        raise FileFormatError(f"{origin}: holds no pixels, shape {pixels.shape}. Copy it again from its source.")
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[-1] in (2, 4):
        alpha, pixels = pixels[..., -1], pixels[..., :-1]
        if alpha.min() != alpha.max():
            raise ImageError(f"{origin}: parts of the image are transparent; export it without an alpha channel.")
    coloured = (pixels != pixels[..., :1]).any(axis=-1).mean()
    if coloured:
        raise ImageError(
            f"{origin}: the colour channels differ in {coloured:.2%} of the pixels (false colour, or coloured marks to "
            "crop away); export the image in grey."
        )
    return pixels[..., 0]


def _refuse_lost_digits(pixels: npt.NDArray[Any], *, origin: str) -> None:
    """Refuse an image on an offset so high that single precision has no digits left for what varies on it."""
    if np.can_cast(pixels.dtype, np.float32):
        return
    largest, deviation = max(abs(float(pixels.min())), abs(float(pixels.max()))), float(pixels.std(dtype=np.float64))
    if 0 < deviation < _LEAST_DIGITS * float(np.spacing(np.float32(largest))):
        raise ImageError(
            f"{origin}: its values reach {largest:.3g} and vary by {deviation:.3g} only, which single precision cannot "
            "hold; take the offset off."
        )


def _micrograph(
    pixels: npt.NDArray[Any], source: Source, sides: tuple[float, float], *, origin: str, frame: int
) -> Micrograph:
    with np.errstate(over="ignore"):  # Too large for float32 becomes infinity, which Micrograph refuses.
        image = pixels.astype(np.float32)
        _refuse_lost_digits(pixels, origin=origin)
    flags = rawness_flags(pixels)
    # The colours of a palette have 16 bits, also where the picture has 8.
    is_picture = source.dtype.itemsize == 1 and any(flag.startswith("8-bit") for flag in flags)
    quantity, dose = "normalised" if is_picture else "counts", None
    if source.scanned:
        flags += ("scanned: its file says that a probe recorded it point by point (STEM)",)
    if source.electrons is not None:
        gain, zero = source.electrons
        electrons = (image - np.float32(zero)) * np.float32(gain)
        if (mean := mean_of_data(electrons)) > 0:  # Otherwise the calibration is not one.
            image, quantity, dose = electrons, "electrons", mean / (sides[0] * sides[1])
    sampling = min(sides)
    if sides[0] != sides[1]:
        image, _ = resample(image, sides, sampling)
        # As many electrons as before, on pixels that are smaller.
        image *= np.float32(sampling**2 / (sides[0] * sides[1]))
        flags += (f"resampled: its pixels were {sides[0]:g} x {sides[1]:g} Å (y, x)",)
    return Micrograph(image, sampling, quantity, origin, frame, source.exposure, dose, flags)
