"""Trained weights: a safetensors file, which cannot run code, with all that made it as JSON beside it."""

import os
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.overrides import TorchFunctionMode

from framedose.area_interval import AreaInterval
from framedose.atomic import write_aside, write_json
from framedose.config import Range, Settings, digest, read_json
from framedose.errors import ImageError, WeightsError
from framedose.networks.config import NetworkConfig
from framedose.networks.preprocess import normalise, particle_logit
from framedose.networks.registry import Network, build_network, parameter_count
from framedose.networks.sharpen import Sharpening
from framedose.networks.tiles import in_tiles
from framedose.networks.turns import Turns, mean_over_turns
from framedose.networks.unet import UNet
from framedose.provenance import file_digest

# The first one is what is taken where nobody says which.
SHIPPED = ("best", "unet", "msdnet")
# Images of one call of a network: bounds the memory.
_BATCH_PIXELS = 1 << 18
# A U-net sees a larger image in tiles: its maps would take 2 GB and more. The MSD-net bounds its memory itself.
_WHOLE_PIXELS = 1 << 21


class WeightsMetadata(Settings):
    """What a network is and what it was trained on."""

    network: NetworkConfig
    """Kind and size."""
    sampling: Range
    """Pixel sizes of the training images, after summing [Å/px]."""
    resampled_to: float | None = None
    """Pixel size that all training images were brought to [Å/px]; None where the network saw them as they were."""
    turns: Turns = 1
    """Turned and mirrored copies of an image whose logits are averaged."""
    sharpening: Sharpening | None = None
    """Which probabilities are called 0.5 and 0.9; None where these are."""
    dose: Range
    """Frame doses of the training images [e/Å2]."""
    noise_fall: Range | None = None
    """How the noise of the training images falls towards the Nyquist frequency (framedose.camera.noise_fall)."""
    energy: float | None = None
    """Electron energy of the training images [eV], of several that of the first dataset."""
    defocus: Range | None = None
    """Defocus of the training images, positive for underfocus [Å]."""
    area_interval: AreaInterval | None = None
    """How far the area in a frame may be from the predicted one, found on the validation images."""
    provenance: dict[str, Any]
    """Configuration, seed, versions and hashes of what the weights were made from."""
    weights_sha256: str = ""
    """Hash of the safetensors file."""

    @property
    def identity(self) -> str:
        """Hash of what predicts: the weights, from how many sides they see an image, and what is read from it."""
        read = [] if self.sharpening is None else [self.sharpening.digest()]
        plain = self.turns == 1 and not read
        return self.weights_sha256 if plain else digest([self.weights_sha256, self.turns, *read])

    @property
    def datasets(self) -> list[Any]:
        """Recipe (``dataset``) and seed (``dataset_seed``) of every dataset of its training, if the provenance says."""
        own = {key: self.provenance[key] for key in ("dataset", "dataset_seed") if key in self.provenance}
        more = self.provenance.get("more_datasets")
        return [own, *(more if isinstance(more, list) else ())]


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network with its weights, ready to predict."""

    name: str
    network: Network
    metadata: WeightsMetadata

    @property
    def sampling(self) -> float:
        """Pixel size that the network works at [Å/px]: the one that its training images had or the middle of theirs."""
        return self.metadata.resampled_to or (self.metadata.sampling.low + self.metadata.sampling.high) / 2

    @property
    def minimum_size(self) -> int:
        """Least side of an image [px]."""
        return self.network.minimum_size

    def probability(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the probability of particle, shape (n, y, x), for images (n, y, x) at the network's pixel size.

        Of a network of several classes it is the share of class 1, particle, in their softmax.

        Raises
        ------
        ImageError
            If an image holds NaN or infinity, is constant, or is smaller than ``minimum_size``.
        """
        if not np.isfinite(images).all():
            raise ImageError("The images hold NaN or infinity; mask or interpolate those pixels first.")
        if (images.min(axis=(-2, -1)) == images.max(axis=(-2, -1))).any():
            raise ImageError("An image is constant: there is nothing to see.")
        step = max(1, _BATCH_PIXELS // (images.shape[-1] * images.shape[-2]))
        results = []
        with torch.inference_mode():
            for start in range(0, len(images), step):
                part = torch.from_numpy(np.ascontiguousarray(images[start : start + step]))
                results.append(particle_probability(self.network, part, self.metadata).numpy())
        return np.concatenate(results)


def particle_probability(network: Network, images: Tensor, metadata: WeightsMetadata) -> Tensor:
    """Normalise images (n, y, x), apply a network, and return the probability of particle, shape (n, y, x).

    The logits are the mean over the copies of the images; that of particle is then sharpened, as the metadata say.
    Large images go through a U-net in tiles, with the same result.
    """
    inputs = normalise(images, network.config.normalise_window)

    def logits_of(images: Tensor) -> Tensor:
        if isinstance(network, UNet) and images[0].numel() > _WHOLE_PIXELS:
            return in_tiles(network, images)
        logits: Tensor = network(images)
        return logits

    logit, sharpening = particle_logit(mean_over_turns(logits_of, inputs, metadata.turns)), metadata.sharpening
    return torch.sigmoid(logit if sharpening is None else sharpening.of(logit))


def save_network(
    path: str | os.PathLike[str], network: Network, metadata: WeightsMetadata, dtype: torch.dtype = torch.float32
) -> None:
    """Write ``path`` (.safetensors) and the metadata beside it (.json), each atomically; it is loaded as float32."""
    tensors = {
        name: tensor.detach().to(dtype if tensor.is_floating_point() else tensor.dtype).contiguous()
        for name, tensor in network.state_dict().items()
    }
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values() if tensor.is_floating_point()):
        raise WeightsError(
            f"{os.fspath(path)!r} would hold weights that are not finite in {dtype}: nothing is written."
        )
    with write_aside(path) as aside:
        # Written by Python, which says of a full disk what it is; safetensors has one error for everything.
        aside.write_bytes(save(tensors))
    complete = metadata.model_copy(update={"weights_sha256": file_digest(Path(path))})
    write_json(Path(path).with_suffix(".json"), complete.model_dump(mode="json"))


def _filled(config: NetworkConfig, tensors: dict[str, Tensor]) -> Network:
    """Make a network with these weights, but only if they are its own: its .json may claim any size."""
    with torch.device("meta"), _Undrawn():
        claimed = parameter_count(build_network(config, seed=0))
    held = sum(tensor.numel() for tensor in tensors.values())
    if claimed > held:
        raise RuntimeError(f"that has {claimed} parameters, the file {held} numbers")
    network = build_network(config, seed=0)
    network.load_state_dict(tensors)
    if not all(bool(torch.isfinite(parameter).all()) for parameter in network.parameters()):
        raise RuntimeError("weights that are not finite")
    return network


class _Undrawn(TorchFunctionMode):
    """Draws no initial weights: on the meta device that loads PyTorch's compiler, which takes seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func is Tensor.normal_ else func(*args, **(kwargs or {}))


def load_network(name: str | os.PathLike[str]) -> LoadedNetwork:
    """Load shipped weights by name, or weights from a file.

    Parameters
    ----------
    name
        ``"best"``, ``"unet"``, ``"msdnet"``, or the path of a .safetensors file that has its .json beside it.

    Raises
    ------
    WeightsError
        If there are no such weights, they are damaged, of another kind of file, or do not fit their network.
    """
    path = Path(str(files("framedose.networks") / "shipped" / f"{name}.safetensors")) if name in SHIPPED else Path(name)
    remedy = f"Give one of {', '.join(SHIPPED)}, or the path of a .safetensors file with its .json beside it."
    if path.suffix != ".safetensors":
        near = get_close_matches(str(name), SHIPPED, n=1, cutoff=0.7)
        remedy = f"Did you mean {near[0]!r}? {remedy}" if near else remedy
        raise WeightsError(f"network must be a shipped name or a .safetensors file, got {str(name)!r}. {remedy}")
    for needed in (path, path.with_suffix(".json")):
        if not needed.is_file():
            raise WeightsError(f"network {str(name)!r}: the file {str(needed)!r} does not exist. {remedy}")
    try:
        metadata = WeightsMetadata.model_validate(read_json(path.with_suffix(".json")))
    except (ValueError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(
            f"{str(path.with_suffix('.json'))!r} is not a description of framedose weights: {reason}"
        ) from error
    if file_digest(path) != metadata.weights_sha256:
        raise WeightsError(
            f"{str(path)!r} is damaged or belongs to another .json: its SHA-256 differs. Copy both files again."
        )
    try:
        network = _filled(metadata.network, load_file(path))
    except (SafetensorError, RuntimeError, TypeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{str(path)!r} does not fit the network of its .json: {reason}") from error
    network.eval()
    return LoadedNetwork(path.stem, network, metadata)
