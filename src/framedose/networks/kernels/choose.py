"""Which kernel computes an MSD-net: the fastest that can, or the one that is asked for."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor

from framedose.errors import ImageError
from framedose.networks.kernels import reference

Backend = Literal["auto", "reference", "cpu", "cuda"]


def choose(backend: Backend, x: Tensor, parameter: Tensor) -> Callable[..., Tensor]:
    """Return the function that computes the logits; all have the signature of `reference.forward`.

    Numba and Triton are imported only where they compute.

    Parameters
    ----------
    backend
        ``reference``, ``cpu``, ``cuda``, or ``auto`` for the fastest that can.
    x
        Images.
    parameter
        One of the parameters, which are all of one type and in one place.

    Raises
    ------
    ImageError
        If a backend is asked for that cannot compute this.
    """
    if backend == "cpu" or (backend == "auto" and _suits_cpu(x, parameter)):
        if not _suits_cpu(x, parameter):
            raise ImageError(
                f"backend 'cpu' computes in float32 on the CPU, got {_kinds(x, parameter)}: convert them, or use "
                f"backend 'auto'"
            )
        from framedose.networks.kernels import cpu

        return cpu.forward
    if backend == "cuda" or (backend == "auto" and x.is_cuda and _obstacle(x, parameter) is None):
        obstacle = _obstacle(x, parameter)
        if obstacle is not None:
            raise ImageError(
                f"backend 'cuda' computes in float32 or bfloat16 on an NVIDIA GPU, got {_kinds(x, parameter)}: "
                f"{obstacle}, or use backend 'auto'"
            )
        from framedose.networks.kernels import cuda

        return cuda.forward
    return reference.forward


def storage(x: Tensor, parameter: Tensor) -> torch.dtype | None:
    """Return the type in which the GPU kernel holds the feature maps, none if it cannot compute.

    As everywhere in PyTorch that is the type of the image and the parameters, which must be the same; and under
    autocast the type of autocast, whatever theirs.
    """
    kinds = {x.dtype, parameter.dtype}
    if torch.is_autocast_enabled(x.device.type):
        wanted = torch.get_autocast_dtype(x.device.type)
        return wanted if wanted == torch.bfloat16 and kinds <= {torch.float32, torch.bfloat16} else None
    return x.dtype if kinds in ({torch.float32}, {torch.bfloat16}) else None


def _suits_cpu(*tensors: Tensor) -> bool:
    return all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)


def _obstacle(x: Tensor, parameter: Tensor) -> str | None:
    """Return what to do before the GPU kernel can compute, none if it can."""
    if find_spec("triton") is None:
        return "install triton"
    if x.device != parameter.device:
        return "move them to one device"
    if storage(x, parameter) is None:
        return "convert both to one of these types (under autocast, which must then be bfloat16, each to either)"
    if x.is_cuda:
        # Tensor cores that multiply float32 in parts, and bfloat16, begin with compute capability 8.0.
        if torch.version.hip or torch.cuda.get_device_capability(x.device) < (8, 0):
            return "take an NVIDIA GPU of compute capability 8.0 (Ampere) or newer"
        return None
    from framedose.networks.kernels.cuda_forward import INTERPRETED

    return None if x.device.type == "cpu" and INTERPRETED else "move them to a GPU"


def _kinds(x: Tensor, parameter: Tensor) -> str:
    return f"an image of {x.dtype} on {x.device} for parameters of {parameter.dtype} on {parameter.device}"
