"""Mistakes become one line in napari's corner; what is a defect of ours keeps its traceback."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from napari.utils.notifications import show_error

from framedose.errors import FramedoseError


def one_line(error: BaseException) -> str:
    """Return what an error says, on one line, with the controls' names in place of the command line's options.

    Examples
    --------
    >>> one_line(FramedoseError("frame.png: no pixel size; give it with --sampling."))
    'frame.png: no pixel size; give it with sampling.'
    """
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return re.sub(r"--(?=[a-z])", "", " ".join(text.split()))


@contextmanager
def notified() -> Iterator[None]:
    """Show what is raised on purpose within the block, and go on after it."""
    try:
        yield
    except (FramedoseError, OSError) as error:
        show_error(one_line(error))
