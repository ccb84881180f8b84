"""The memory of the feature maps, as PyTorch and as the compiled kernels see it."""

import mmap

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from framedose.networks.kernels.cpu_layout import Layout, origin


def buffer(values: int) -> Tensor:
    """Return a float32 buffer that the system takes back as soon as it is dropped.

    On the heap these buffers do not fit into the holes that they leave: a training run grew by a megabyte each step.
    """
    return torch.from_numpy(np.frombuffer(mmap.mmap(-1, 4 * values), np.float32))


def array(tensor: Tensor) -> npt.NDArray[np.float32]:
    """Return the values of a tensor, contiguous."""
    values: npt.NDArray[np.float32] = tensor.detach().contiguous().numpy()
    return values


def origins(layout: Layout) -> npt.NDArray[np.int64]:
    """Return where the first pixel of every map is in a buffer of whole maps, shape (batch, maps)."""
    images, features = np.arange(layout.batch)[:, None], np.arange(1 + layout.layers * layout.growth)
    places: npt.NDArray[np.int64] = origin.py_func(layout, images, features)
    return places


def place(x: Tensor, maps: Tensor, layout: Layout) -> None:
    """Write images, shape (batch, 1, height, width), and their reflected halo into their maps.

    Parameters
    ----------
    x
        The images.
    maps
        The map of each, shape (batch, 1, height + 2 * halo, stride).
    layout
        Sizes.
    """
    maps.zero_()
    start, stop = layout.left - layout.halo, layout.left + layout.width + layout.halo
    maps[..., start:stop] = functional.pad(x, (layout.halo,) * 4, mode="reflect")
