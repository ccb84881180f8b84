"""What code over the array API needs beside it: the fastest FFT, and settings of many items as arrays."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.fft
from array_api_compat import array_namespace, device, is_numpy_namespace

from framedose.config import Settings


def fft_of(xp: Any) -> Any:
    """Return the FFT of a namespace; SciPy's for NumPy, which is several times as fast in two dimensions."""
    return scipy.fft if is_numpy_namespace(xp) else xp.fft


def as_items(settings: Any) -> list[Any]:
    """Return one settings object, or a sequence of them, as a list."""
    return [settings] if isinstance(settings, Settings) else list(settings)


def per_item(settings: Settings | Sequence[Settings], like: Any) -> SimpleNamespace:
    """Return the numbers in settings as arrays under the same names, to be combined with the array ``like``.

    Parameters
    ----------
    settings
        One object for all of ``like``, or one for each item of its first axis.
    like
        Array of at least two dimensions, three where there are several settings.

    Returns
    -------
    SimpleNamespace
        Arrays in double precision on the device of ``like``: of shape () for one object, (items, 1, ..., 1) for many.

    Raises
    ------
    ValueError
        If there are not as many settings as items.
    """
    xp, items = array_namespace(like), as_items(settings)
    shape: tuple[int, ...] = ()
    if not isinstance(settings, Settings):
        shape = (len(items), *(1,) * (like.ndim - 1))
        if like.ndim < 3 or len(items) != like.shape[0]:
            raise ValueError(
                f"{len(items)} settings need an array of shape ({len(items)}, ..., y, x), got {tuple(like.shape)}: "
                "give one object, or one for each item of the first axis."
            )
    names = [name for name in type(items[0]).model_fields if isinstance(getattr(items[0], name), int | float)]
    # By way of NumPy, because torch makes single precision of Python's numbers.
    table = np.array([[getattr(item, name) for item in items] for name in names], np.float64)
    columns = xp.asarray(table.reshape(len(names), *shape), device=device(like))
    return SimpleNamespace(**{name: columns[i, ...] for i, name in enumerate(names)})
