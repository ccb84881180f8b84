"""``framedose weights``: trained networks, those that ship and your own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from cyclopts import App, Parameter

if TYPE_CHECKING:
    from framedose.networks.weights import LoadedNetwork

weights = App(
    name="weights",
    help="""List trained networks, show what made them, average, turn, sharpen and halve them, export them as ONNX.

    For example:

      framedose weights list

      framedose weights show unet

      framedose weights halve my-unet/unet.safetensors --out small.safetensors

      framedose weights average before.safetensors after.safetensors --out both.safetensors

      framedose weights turn both.safetensors dataset --turns 4 --out turned.safetensors

      framedose weights sharpen both.safetensors dataset --half 0.4 --nine-tenths 0.6 --out sharp.safetensors

      framedose weights export framedose-study/unet.safetensors --onnx unet.onnx
    """,
)


@weights.command(name="list")
def list_weights() -> None:
    """List the networks that ship, with the pixel sizes and doses of their training, and how many sides they see."""
    from framedose.networks.registry import parameter_count
    from framedose.networks.weights import SHIPPED, load_network

    print(f"{'name':<8}  {'kind':<6}  parameters  pixel size [Å/px]  {'dose [e/Å2]':<10}  sides")
    for name in SHIPPED:
        loaded = load_network(name)
        sampling, dose = loaded.metadata.sampling, loaded.metadata.dose
        print(
            f"{name:<8}  {loaded.metadata.network.kind:<6}  {parameter_count(loaded.network):>10}"
            f"  {f'{sampling.low:g} to {sampling.high:g}':>17}  {f'{dose.low:g} to {dose.high:g}':<11}"
            f"  {loaded.metadata.turns:>5}"
        )


@weights.command(name="show")
def show_weights(network: str, *, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> None:
    """Show everything that is known of a network: size, training, dataset, seed, versions, hashes, learning curves.

    Parameters
    ----------
    network
        best, unet or msdnet, as shipped, or the path of a .safetensors file.
    as_json
        Print JSON, with all digits, in place of YAML.
    """
    from framedose.networks.weights import load_network

    content = _described(load_network(network))
    if as_json:
        print(json.dumps(content, indent=1, ensure_ascii=False))
    else:
        print(yaml.safe_dump(_rounded(content), sort_keys=False, allow_unicode=True, width=110), end="")


@weights.command(name="halve")
def halve_weights(network: str, *, out: Path) -> None:
    """Write a network's weights with half of their digits: a file of half the size.

    It is used like any other. Each weight changes by at most 0.05 %, or by 3e-8.

    Parameters
    ----------
    network
        best, unet or msdnet, as shipped, or the path of a .safetensors file.
    out
        File to write, .safetensors, and its .json beside it. Must not exist.
    """
    import torch

    from framedose.networks.weights import load_network, save_network

    _refuse_taken(out)
    loaded = load_network(network)
    provenance = {**loaded.metadata.provenance, "halved_from": loaded.metadata.weights_sha256}
    save_network(out, loaded.network, loaded.metadata.model_copy(update={"provenance": provenance}), torch.float16)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


@weights.command(name="average")
def average_weights(*networks: str, out: Path) -> None:
    """Write the mean of the weights of networks that went on from each other, or from the same one.

    Often it is as good as each of them at what it was tuned to.

    Parameters
    ----------
    networks
        At least two of one size: best, unet or msdnet, as shipped, or paths of .safetensors files.
    out
        File to write, .safetensors, and its .json beside it. Must not exist.
    """
    from framedose.networks.average import averaged
    from framedose.networks.weights import load_network, save_network

    _refuse_taken(out)
    mean = averaged([load_network(name) for name in networks], out.stem)
    save_network(out, mean.network, mean.metadata)
    print(f"{out}: the mean of {len(networks)} networks")


@weights.command(name="turn")
def turn_weights(network: str, dataset: Path, *, turns: Literal[1, 2, 4, 8], out: Path) -> None:
    """Write a network that sees every image several times, turned and mirrored, and means its logits.

    What differs between the copies is chance: there is less false area, most
    of all at low dose, at TURNS times the cost.

    Parameters
    ----------
    network
        best, unet or msdnet, as shipped, or the path of a .safetensors file.
    dataset
        Folder of a dataset of its training: the interval of the area is found anew on its validation images.
    turns
        Copies of an image: 2, itself and turned by half; 4, turned by quarters; 8, these and their mirror images. 1
        undoes it.
    out
        File to write, .safetensors, and its .json beside it. Must not exist.
    """
    from framedose.networks.weights import load_network

    _refuse_taken(out)
    loaded = load_network(network)
    turned = replace(loaded, metadata=loaded.metadata.model_copy(update={"turns": turns}))
    _save_with_interval(out, turned, dataset)
    print(f"{out}: the mean of {turns} turned copies of an image")


@weights.command(name="sharpen")
def sharpen_weights(network: str, dataset: Path, *, half: float, nine_tenths: float, out: Path) -> None:
    """Write a network whose thresholds 0.5 and 0.9 stand for other masks.

    What had the probability HALF has 0.5 then, what had NINE-TENTHS has 0.9. The
    order of pixels stays, and so does all that is compared at equal false area;
    the probability is a score then and no share of particle any more.

    Parameters
    ----------
    network
        best, unet or msdnet, as shipped, or the path of a .safetensors file.
    dataset
        Folder of a dataset of its training: the interval of the area is found anew on its validation images.
    half
        The probability that becomes 0.5, between 0 and 1. Of a network that is sharpened already it is what that had
        before.
    nine_tenths
        The probability that becomes 0.9, above HALF. 0.5 and 0.9 undo it.
    out
        File to write, .safetensors, and its .json beside it. Must not exist.
    """
    from framedose.config import build
    from framedose.networks.sharpen import Sharpening
    from framedose.networks.weights import load_network

    _refuse_taken(out)
    sharpening = build(Sharpening, {"half": half, "nine_tenths": nine_tenths}, where="--half and --nine-tenths")
    loaded = load_network(network)
    metadata = loaded.metadata.model_copy(update={"sharpening": sharpening})
    _save_with_interval(out, replace(loaded, metadata=metadata), dataset)
    print(f"{out}: 0.5 where {half:g} was, 0.9 where {nine_tenths:g} was")


@weights.command(name="export")
def export_weights(network: str, *, onnx: Path) -> None:
    """Write a network as an ONNX file, which runs without framedose and without PyTorch.

    It takes float32 images (batch, 1, y, x) of any size in any unit and gives
    the probability of particle, of the same shape; the normalisation is inside.
    Resample images to a pixel size of the training first.

    Parameters
    ----------
    network
        best, unet or msdnet, as shipped, or the path of a .safetensors file.
    onnx
        File to write, .onnx. An existing one is replaced.
    """
    from framedose.networks.export import export_onnx
    from framedose.networks.weights import load_network

    loaded = load_network(network)
    export_onnx(onnx, loaded)
    sampling = loaded.metadata.sampling
    print(
        f"{onnx}: images (batch, 1, y, x) at {sampling.low:g} to {sampling.high:g} Å/px, "
        f"at least {loaded.minimum_size} pixels a side, to the probability of particle"
    )


def _refuse_taken(out: Path) -> None:
    from framedose.errors import ConfigurationError, OutputExistsError

    if out.suffix != ".safetensors":
        raise ConfigurationError(f"--out must be a .safetensors file, got {str(out)!r}.")
    for made in (out, out.with_suffix(".json")):
        if made.exists():
            raise OutputExistsError(f"--out {str(made)!r} exists. Choose another name.")


def _save_with_interval(out: Path, made: LoadedNetwork, dataset: Path) -> None:
    """Write a network, with the interval of the area as the validation images of a dataset give it for this one."""
    from framedose.networks.weights import save_network
    from framedose.study.training import TrainingData

    interval = TrainingData.of(dataset).area_interval(made.network, made.metadata)
    save_network(out, made.network, made.metadata.model_copy(update={"area_interval": interval}))


def _described(loaded: LoadedNetwork) -> dict[str, Any]:
    from framedose.networks.registry import parameter_count

    head = {"name": loaded.name, "parameters": parameter_count(loaded.network), "minimum_size": loaded.minimum_size}
    return head | loaded.metadata.model_dump(mode="json")


def _rounded(content: Any) -> Any:
    """Return content with floats as a reader wants them, and each list of numbers as one string: on few lines."""
    if isinstance(content, dict):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list):
        return ", ".join(str(_rounded(item)) for item in content)
    if not isinstance(content, float):
        return content
    rounded = float(f"{content:.4g}")
    # The upper threshold of an area interval may be 1 - 4e-7; 1 would be no threshold.
    return content if rounded == 1 else rounded
