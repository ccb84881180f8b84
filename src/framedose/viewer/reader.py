"""napari's way to ask for a file: a function that opens it, or None."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from framedose.errors import FileFormatError
from framedose.files import read
from framedose.files.formats import readable
from framedose.viewer.layers import layer_data
from framedose.viewer.notify import notified

LayerData = tuple[Any, ...]


def get_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Return the reader if framedose reads this file or folder.

    Parameters
    ----------
    path
        A file or a folder of frames. Several at once are opened one by one, not as a stack: a series is a folder.
    """
    if isinstance(path, list):
        return None
    if not Path(path).is_dir():
        return open_layers if readable(Path(path)) else None
    try:
        read(path)
    except FileFormatError:  # Holds no file that framedose reads; another plugin may.
        return None
    return open_layers


def open_layers(path: str) -> list[LayerData]:
    """Open a file as one Image layer; if it cannot be used, say why in one line and open nothing."""
    with notified():
        return [layer_data(Path(path))]
    return [(None,)]
