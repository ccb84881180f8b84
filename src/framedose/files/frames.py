"""A lazy sequence of micrographs: each is read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import overload

from framedose.micrograph import Micrograph


class Frames(Sequence[Micrograph]):
    """The frames of a file or a folder, in order; only the one that is asked for is in memory.

    Parameters
    ----------
    origin
        The file or folder.
    files
        The files that hold the frames.
    indices
        The frames to give, by their numbers in the file.
    load
        Reads the frame of a number.

    Examples
    --------
    >>> frames = framedose.read("series.dm4")  # doctest: +SKIP
    >>> len(frames), frames[0].sampling  # doctest: +SKIP
    (300, 0.0754)
    >>> last_ten = frames[-10:]  # doctest: +SKIP
    """

    def __init__(
        self, origin: Path, files: Sequence[Path], indices: Sequence[int], load: Callable[[int], Micrograph]
    ) -> None:
        self.origin = origin
        self.files = tuple(files)
        self._indices = indices
        self._load = load

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Micrograph: ...
    @overload
    def __getitem__(self, index: slice) -> Frames: ...
    def __getitem__(self, index: int | slice) -> Micrograph | Frames:
        if isinstance(index, slice):
            return Frames(self.origin, self.files, self._indices[index], self._load)
        return self._load(self._indices[index])

    def __repr__(self) -> str:
        return f"<{len(self)} frame{'s' if len(self) != 1 else ''} of {self.origin}>"
