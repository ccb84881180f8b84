"""Frames of a series summed, so that each sum has the dose that a network needs."""

from collections.abc import Iterable
from dataclasses import replace

from framedose.errors import ImageError
from framedose.files.alike import check_alike
from framedose.micrograph import Micrograph


def summed(frames: Iterable[Micrograph]) -> Micrograph:
    """Return the sum of frames, pixel by pixel; exposures and doses are added up where all are known.

    Electrons of different frames are independent: the sum is a frame of the sum of their doses, with the readout noise
    of all of them. Nothing is aligned: a specimen that drifts is blurred, as in one long exposure.

    Parameters
    ----------
    frames
        At least one, of one shape, pixel size and quantity; taken one after the other.

    Returns
    -------
    Micrograph
        float32; ``frame`` is that of the first, ``flags`` are those of any.

    Raises
    ------
    ImageError
        If there is none, or shapes or quantities differ.
    CalibrationError
        If pixel sizes differ.

    Examples
    --------
    >>> frames = framedose.read("series.dm4")  # doctest: +SKIP
    >>> framedose.segment(framedose.summed(frames[:8])).area_nm2  # doctest: +SKIP
    12.4
    """
    each = iter(frames)
    first = next(each, None)
    if first is None:
        raise ImageError("There are no frames to sum.")
    image, exposure, dose, flags = first.image, first.exposure, first.dose_per_area, first.flags
    for frame in each:
        _check_like(frame, first)
        image = image + frame.image
        exposure, dose = _sum(exposure, frame.exposure), _sum(dose, frame.dose_per_area)
        flags += frame.flags
    # Of flags that differ by their numbers only, one is enough.
    said = {flag.split(":")[0]: flag for flag in flags}
    return replace(first, image=image, exposure=exposure, dose_per_area=dose, flags=tuple(said.values()))


def groups(frames: int, count: int) -> list[range]:
    """Return which of so many frames are summed, ``count`` each; the last sum has what is left over, too."""
    starts = range(0, frames - count + 1, count)
    return [range(start, frames if start == starts[-1] else start + count) for start in starts]


def _sum(total: float | None, value: float | None) -> float | None:
    return None if total is None or value is None else total + value


def _check_like(frame: Micrograph, first: Micrograph) -> None:
    names = f"{frame.origin}, frame {frame.frame}", f"frame {first.frame}"
    remedy = "only frames that are alike can be summed: leave it out"
    check_alike(frame, first, names, remedy)
    if frame.quantity != first.quantity:
        raise ImageError(
            f"{names[0]}: has the quantity {frame.quantity}, but {names[1]} has {first.quantity}; {remedy}."
        )
