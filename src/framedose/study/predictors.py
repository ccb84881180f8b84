"""What can be evaluated: shipped networks, weights, ONNX files, functions of the user's own, and the baselines."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit

from framedose.config import Range, digest
from framedose.dataset.folder import IMAGES
from framedose.dataset.store import ImageSet
from framedose.errors import ConfigurationError, MissingPackageError, WeightsError
from framedose.evaluation.baselines import BraggOtsu, LocalVariance, MatchedLattice, tune
from framedose.evaluation.series import Floats, Images
from framedose.inference.rim import with_rim
from framedose.networks.weights import LoadedNetwork, WeightsMetadata, load_network
from framedose.progress import progress
from framedose.provenance import file_digest
from framedose.resample import probability_to_shape, resample

# A pixel size so far outside of the training's is resampled; nearer ones are what the network was made to stand.
_TOLERANCE = 1.1
# Where a network knows one pixel size only, it takes what is that size but for the rounding of a sampling.
_ROUNDED = 2e-3


@dataclass(frozen=True, eq=False)
class Predictor:
    """Something that gives the probability of particle, and the pixel sizes that it knows."""

    name: str
    """What tables and figures call it."""
    probability: Callable[[Images], Images]
    """Frames (n, y, x) to probabilities, same shape."""
    sampling: Range | None
    """Pixel sizes that it was trained on [Å/px]; None for a function that takes any."""
    sha256: str
    """Hash of the weights (and of how they are used), or of the file that the function stands in."""
    is_baseline: bool = False
    """Whether it is one of the classical filters."""
    structures: tuple[str, ...] = ()
    """Structures of the user's own that it was trained on: files, or patterns of files."""
    resampled_to: float | None = None
    """The one pixel size that its training images were brought to [Å/px]."""

    def has_seen(self, structures: str | None) -> list[str]:
        """Return the files of a series' own structures that it was trained on, as far as they lie where they lay."""
        files = set(glob(structures)) if structures else set()
        return sorted(files.intersection(file for pattern in self.structures for file in glob(pattern)))

    def predict(self, frames: Images, samplings: Floats, *, rim: float = 0.0) -> Images:
        """Return the probability of particle for frames (n, y, x) of some pixel sizes (n,) [Å/px].

        A frame whose pixels are more than a tenth finer or coarser than any of the training is resampled to the middle
        of these, and its probability back; of a network that was trained at one pixel size, every frame to that.

        To compare with the labels of the training, the hull of atoms' centres, there is no ``rim`` [Å] around it
        (:mod:`framedose.inference.rim`). A function of the user's own draws its outlines as it likes.
        """
        if self.sampling is None:
            return self.probability(frames)
        low, high = self.sampling.low, self.sampling.high
        middle, near = (low + high) / 2, (low / _TOLERANCE <= samplings) & (samplings <= high * _TOLERANCE)
        if self.resampled_to is not None:
            middle, near = self.resampled_to, np.isclose(samplings, self.resampled_to, rtol=_ROUNDED, atol=0)
        found = np.empty(frames.shape, np.float32)
        if near.any():
            hulls = self.probability(frames[near])
            found[near] = [with_rim(hull, size, rim) for hull, size in zip(hulls, samplings[near], strict=True)]
        for index in np.flatnonzero(~near):
            coarse, _ = resample(frames[index], samplings[index], middle)
            hull = self.probability(coarse[None])[0]
            found[index] = probability_to_shape(with_rim(hull, middle, rim), frames.shape[1:])
        return found


def load_predictor(name: str) -> Predictor:
    """Load a predictor by name.

    Parameters
    ----------
    name
        ``best``, ``unet``, ``msdnet``; a .safetensors file; a .onnx file of ``framedose weights export``; or
        ``MODULE:FUNCTION``, a function from frames (n, y, x), float32, to probabilities of the same shape. The module
        may lie in the working folder.

    Raises
    ------
    WeightsError
        If the weights cannot be loaded.
    ConfigurationError
        If there is no such function.
    MissingPackageError
        If an ONNX file is given and onnxruntime is not installed.
    """
    if Path(name).suffix == ".onnx":
        return _onnx(Path(name))
    module, colon, function = name.partition(":")
    # One letter before a colon is a drive.
    if colon and len(module) > 1:
        return _function(module, function)
    return predictor_of(load_network(name))


def predictor_of(network: LoadedNetwork) -> Predictor:
    """Return a loaded network as a predictor."""
    metadata = network.metadata
    return Predictor(
        network.name,
        network.probability,
        metadata.sampling,
        metadata.identity,
        structures=_own_structures(metadata),
        resampled_to=metadata.resampled_to,
    )


def _own_structures(metadata: WeightsMetadata) -> tuple[str, ...]:
    """Return the structure files of all datasets that a network was trained on."""
    found = []
    for part in metadata.datasets:
        try:
            found.append(part["dataset"]["specimen"]["structures"])
        except (KeyError, TypeError):
            continue  # Weights that something else than ``framedose train`` has written.
    return tuple(pattern for pattern in found if isinstance(pattern, str))


def tuned_baselines(folder: Path, *, threshold: float) -> dict[str, Predictor]:
    """Return the classical baselines, tuned on the validation images of a dataset.

    Their scores are shifted in the logit so that the threshold that each was tuned to stands at ``threshold``.

    Parameters
    ----------
    folder
        Of a dataset or a study, with pixels of the size of the series that they are for.
    threshold
        That of the evaluation.
    """
    images = ImageSet(folder / IMAGES, "validation")
    pairs = [images.load(index, 0) for index in range(images.shape[0])]
    frames, masks = (np.stack(part) for part in zip(*pairs, strict=True))
    sizes = images.conditions["sampling"][:, 0]
    middle = float(np.median(sizes))
    predictors: dict[str, Predictor] = {}
    filters: tuple[BraggOtsu | LocalVariance | MatchedLattice, ...] = (BraggOtsu(), LocalVariance(), MatchedLattice())
    for baseline in progress(filters, total=len(filters), label="tune baselines"):
        tuning = tune(baseline, frames, masks, middle)
        known = Range(low=float(sizes.min()), high=float(sizes.max()))
        name = tuning.baseline.name
        sha256 = digest([tuning.baseline.model_dump(mode="json"), middle])
        predictors[name] = Predictor(
            name, _shifted(tuning.baseline, middle, threshold), known, sha256, is_baseline=True
        )
    return predictors


def _shifted(
    baseline: BraggOtsu | LocalVariance | MatchedLattice, sampling: float, threshold: float
) -> Callable[[Images], Images]:
    shift = logit(threshold) - logit(baseline.threshold)

    def predict(frames: Images) -> Images:
        scores = np.clip(baseline.score(frames, sampling), 1e-7, 1 - 1e-7)
        # What was at its threshold must stay there in spite of rounding.
        shifted: Images = np.where(scores == np.float32(baseline.threshold), threshold, expit(logit(scores) + shift))
        return shifted.astype(np.float32)

    return predict


def _function(module: str, function: str) -> Predictor:
    sys.path.insert(0, "")
    try:
        loaded = importlib.import_module(module)
        found: Callable[[Images], Images] = getattr(loaded, function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"--network {module}:{function} cannot be imported: {error}. Give MODULE:FUNCTION, of a module that is "
            "installed or lies in this folder."
        ) from error
    finally:
        sys.path.remove("")
    if not callable(found):
        raise ConfigurationError(f"--network {module}:{function} is no function, but a {type(found).__name__}.")
    source = getattr(loaded, "__file__", None)
    # Another function of the same file is another predictor.
    return Predictor(function, found, None, digest([function, file_digest(Path(source)) if source else ""]))


def _onnx(path: Path) -> Predictor:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError(
            f"Running {str(path)!r} needs the package onnxruntime: python -m pip install onnxruntime"
        ) from error
    if not path.is_file():
        raise WeightsError(f"network {str(path)!r}: the file does not exist.")
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        values = session.get_modelmeta().custom_metadata_map
        sampling = Range(low=float(values["sampling_low"]), high=float(values["sampling_high"]))
        resampled_to = float(values["resampled_to"]) if values.get("resampled_to") else None
    except Exception as error:  # onnxruntime has no common class of its errors.
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{str(path)!r} is no network of framedose weights export: {reason}.") from error

    def predict(frames: Images) -> Images:
        parts: list[Any] = [session.run(None, {"images": frame[None, None]})[0][0, 0] for frame in frames]
        return np.stack(parts)

    return Predictor(path.stem, predict, sampling, file_digest(path), resampled_to=resampled_to)
