"""Networks as ONNX files, which other programs run without framedose and without PyTorch."""

import copy
import json
import os
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from framedose.atomic import write_aside
from framedose.errors import ConfigurationError, MissingPackageError
from framedose.networks.msdnet import MSDNet
from framedose.networks.weights import LoadedNetwork, particle_probability
from framedose.provenance import versions

_OPSET = 18
_DESCRIPTION = """Probability of particle in HR-TEM images.
images: (batch, 1, y, x), raw frames at a pixel size of the training, in any unit and on any scale, none constant or
with NaN: the normalisation is a part of this network. Both sides must have minimum_size pixels or more.
probability: (batch, 1, y, x), 0 to 1.
sampling_low, sampling_high: pixel sizes of the training [Å/px]; images are best resampled to resampled_to, or to the
middle where there is none.
dose_low, dose_high: doses of the training [e/Å2 and frame]."""


def export_onnx(path: str | os.PathLike[str], loaded: LoadedNetwork) -> None:
    """Write a network as an ONNX file that computes what `LoadedNetwork.probability` does.

    Its input ``images`` and its output ``probability`` are float32 of shape (batch, 1, y, x), of any batch and of any
    size from ``minimum_size`` on, which the file does not check. The normalisation and the sigmoid or softmax are in
    the graph, so that nobody can get them wrong. The file's metadata have the ranges of pixel size and dose of the
    training, ``minimum_size``, and the hash of the weights.

    Parameters
    ----------
    path
        The file, .onnx. An existing one is replaced as a whole.
    loaded
        The network.

    Raises
    ------
    ConfigurationError
        If ``path`` does not end with .onnx.
    MissingPackageError
        If the package onnx is not installed.
    """
    if Path(path).suffix != ".onnx":
        raise ConfigurationError(f"The ONNX file must be named *.onnx, such as unet.onnx, got {os.fspath(path)!r}.")
    try:
        import onnx
    except ImportError as error:
        raise MissingPackageError(
            f"Exporting {loaded.name!r} needs the package onnx, which is not installed: python -m pip install onnx"
        ) from error
    with write_aside(path) as aside:
        _write_graph(aside, loaded)
        model = onnx.load(aside)
        model.doc_string = _DESCRIPTION
        onnx.helper.set_model_props(model, _metadata(loaded))
        aside.write_bytes(model.SerializeToString())


class _Exported(nn.Module):
    """What the file computes."""

    def __init__(self, loaded: LoadedNetwork) -> None:
        super().__init__()
        self.metadata = loaded.metadata
        # Compiled kernels cannot be traced.
        self.network = copy.deepcopy(loaded.network)
        if isinstance(self.network, MSDNet):
            self.network.backend = "reference"

    def forward(self, images: Tensor) -> Tensor:
        return particle_probability(self.network, images[:, 0], self.metadata).unsqueeze(1)


def _write_graph(path: Path, loaded: LoadedNetwork) -> None:
    side = loaded.minimum_size
    example = torch.randn(2, 1, side + 1, side + 2, generator=torch.Generator().manual_seed(0))
    axes = {0: "batch", 2: "y", 3: "x"}
    with warnings.catch_warnings():
        # The exporter by TorchScript is deprecated but there in every PyTorch that framedose admits. Both exporters
        # are right at any size; this one takes a second, where the newer one takes half a minute and a package more.
        warnings.filterwarnings("ignore", "You are using the legacy TorchScript-based", DeprecationWarning)
        warnings.filterwarnings("ignore", "The feature will be removed", DeprecationWarning)
        # These are the networks' checks of the size, which a file does not have.
        warnings.filterwarnings("ignore", "Converting a tensor to a Python boolean")
        # The padding of a size that is not yet known is no constant.
        warnings.filterwarnings("ignore", "Constant folding - Only steps=1", UserWarning)
        torch.onnx.export(
            _Exported(loaded).eval(),
            (example,),
            path,
            dynamo=False,
            opset_version=_OPSET,
            input_names=["images"],
            output_names=["probability"],
            dynamic_axes={"images": axes, "probability": axes},
        )


def _metadata(loaded: LoadedNetwork) -> dict[str, str]:
    metadata = loaded.metadata
    one_size = {} if metadata.resampled_to is None else {"resampled_to": str(metadata.resampled_to)}
    return one_size | {
        "name": loaded.name,
        "network": metadata.network.model_dump_json(),
        "sampling_low": str(metadata.sampling.low),
        "sampling_high": str(metadata.sampling.high),
        "dose_low": str(metadata.dose.low),
        "dose_high": str(metadata.dose.high),
        "minimum_size": str(loaded.minimum_size),
        "weights_sha256": metadata.weights_sha256,
        "versions": json.dumps(versions()),
    }
