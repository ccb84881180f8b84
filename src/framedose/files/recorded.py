"""Frames of several files as one lazy sequence of arrays, for measurements that need raw ones."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from framedose.errors import ImageError
from framedose.files.frames import Frames
from framedose.micrograph import Micrograph

# A dead line can be left out; what these did to the noise cannot be undone.
_HARMLESS = ("dead rows", "dead columns")


class Recorded(Sequence[npt.NDArray[np.float32]]):
    """The images of the frames of several files, one after the other; only the one that is asked for is in memory.

    All frames are looked at once for what is recorded beside the pixels.

    Parameters
    ----------
    parts
        From :func:`framedose.files.read`.
    """

    def __init__(self, parts: Sequence[Frames]) -> None:
        self._places = [(part, index) for part in parts for index in range(len(part))]
        heads = [_head(part[index]) for part, index in self._places]
        self.samplings = [head[0] for head in heads]
        """Side of a pixel of each frame [Å/px]."""
        self.doses = [head[1] for head in heads]
        """Dose of each frame [e/Å2], None where it is not known."""
        self.flags = {flag.split(":")[0]: (origin, flag) for _, _, _, origin, flags in heads for flag in flags}
        """What the frames betray of processing: name to the last file and the whole sentence."""
        exposures = {head[2] for head in heads}
        self.exposure = exposures.pop() if len(exposures) == 1 else None
        """Exposure of the frames [s], if it is known and the same for all."""

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> npt.NDArray[np.float32]:  # type: ignore[override]
        part, number = self._places[index]
        return part[number].image


def _head(frame: Micrograph) -> tuple[float, float | None, float | None, str, tuple[str, ...]]:
    return frame.sampling, frame.dose_per_area, frame.exposure, frame.origin, frame.flags


def refuse_processed(frames: Recorded, *, allow: bool) -> tuple[str, ...]:
    """Return what is not raw about the frames, or refuse them.

    Raises
    ------
    ImageError
        If they are not raw and that is not allowed.
    """
    processed = [f"{origin}: {flag}" for name, (origin, flag) in frames.flags.items() if name not in _HARMLESS]
    if processed and not allow:
        raise ImageError(
            f"Frames must be as the camera gave them, but {'; '.join(processed)}. Give raw frames, or "
            "--allow-processed to measure these all the same."
        )
    return tuple(f"not raw: {flag}" for flag in processed)
