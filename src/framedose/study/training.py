"""One network trained on one dataset: weights with their provenance, curves and their picture, in a folder."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framedose.area_interval import AreaInterval, area_interval, least_frames
from framedose.camera.noise_fall import noise_fall
from framedose.config import Range, build, hull, parse_yaml
from framedose.dataset.folder import IMAGES
from framedose.dataset.recipe import DatasetRecipe, training_parts
from framedose.dataset.store import ImageSet
from framedose.errors import CalibrationError, ConfigurationError, FileFormatError, WeightsError
from framedose.networks.config import NetworkConfig, UNetConfig
from framedose.networks.defocus import with_same_rings
from framedose.networks.registry import Network
from framedose.networks.weights import LoadedNetwork, WeightsMetadata, particle_probability, save_network
from framedose.provenance import versions
from framedose.study.figures import learning_curves_figure
from framedose.training.batches import Images, JoinedImages, Sample, StoredImages, validation_batches
from framedose.training.config import TrainingConfig
from framedose.training.endless import EndlessImages
from framedose.training.loop import Curves, Trained, train
from framedose.training.record import CurvesRecord
from framedose.training.resampled import ResampledImages, SampledImages

# Coverage of the interval that is given with every area.
AREA_LEVEL = 0.9
# Fields whose noise is looked at, at most: the extremes of so many change little with more.
_NOISE_FIELDS = 200


@dataclass(frozen=True)
class TrainingData:
    """A dataset's folder, and what it was made from.

    Parameters
    ----------
    folder
        Of ``framedose simulate`` or of a study.
    recipe, seed
        What determines its images.
    more
        Other datasets, whose training images are mixed in; those to validate on are of the first.
    """

    folder: Path
    recipe: DatasetRecipe
    seed: int
    more: "tuple[TrainingData, ...]" = ()

    @classmethod
    def of(cls, folder: Path, *more: Path) -> "TrainingData":
        """Return the dataset that ``framedose simulate`` made in a folder, joined with those in others.

        Raises
        ------
        FileFormatError
            If the folder holds no dataset.
        """
        card = folder / "recipe" / "complete.yaml"
        try:
            values = parse_yaml(card.read_text(encoding="utf-8"))
            seed = values.pop("seed")
        except (OSError, ValueError, AttributeError, KeyError) as error:
            raise FileFormatError(
                f"{str(folder)!r} is no dataset, it has no recipe/complete.yaml that can be read: make one with "
                "framedose simulate."
            ) from error
        # The files that its specimens came from need not be here.
        recipe = build(DatasetRecipe, values, where=str(card), context={"made": True})
        return cls(folder, recipe, seed, tuple(cls.of(other) for other in more))

    @property
    def parts(self) -> "tuple[TrainingData, ...]":
        """This dataset and the others."""
        return self, *self.more

    def images(self, config: TrainingConfig, classes: int) -> Images:
        """Return the training images, of all datasets."""
        images = [_brought_to(config.resample_to, part._images(config, classes)) for part in self.parts]
        return JoinedImages(images) if self.more else images[0]

    def _images(self, config: TrainingConfig, classes: int) -> SampledImages:
        if not config.endless:
            return self._stored("train", classes)
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else "cpu"
        _, split = training_parts(self.recipe)[0]
        return EndlessImages(self.folder, self.recipe, self.seed, split, torch.device(device), classes=classes)

    def validation(self, classes: int, *, resample_to: float | None) -> Images:
        """Return the validation images."""
        return _brought_to(resample_to, self._stored("validation", classes))

    def area_interval(self, network: Network, metadata: WeightsMetadata) -> AreaInterval | None:
        """Return the area interval of a network on the validation images; None where they are too few for one."""
        images = self.validation(1, resample_to=metadata.resampled_to)
        if images.fields < least_frames(AREA_LEVEL):
            return None
        probability, masks = [], []
        with torch.inference_mode():
            for frames, labels, _ in validation_batches(images, size=8):
                probability.append(particle_probability(network, frames, metadata).numpy())
                masks.append(labels.numpy().astype(bool))
        return area_interval(np.concatenate(probability), np.concatenate(masks), level=AREA_LEVEL)

    def noise_fall(self, *, resample_to: float | None) -> Range | None:
        """Return the range of the noise's fall in the training images, an image of each field; None for tiny ones."""
        known = [fall for part in self.parts for fall in part._noise_falls(resample_to) if fall is not None]
        return Range(low=min(known), high=max(known)) if known else None

    def _noise_falls(self, resample_to: float | None) -> list[float | None]:
        images = _brought_to(resample_to, self._stored("train", 1))
        fields = np.unique(np.linspace(0, images.fields - 1, _NOISE_FIELDS).round().astype(int))
        samples = [Sample(place, int(field), place) for place, field in enumerate(fields)]
        return [noise_fall(images.load([sample], 0)[0][0].numpy()) for sample in samples]

    def _stored(self, split: str, classes: int) -> StoredImages:
        return StoredImages(ImageSet(self.folder / IMAGES, split), classes=classes)

    def sampling(self) -> Range:
        """Return the range of pixel sizes of the stored images [Å/px]."""
        return hull([part.recipe.sampling for part in self.parts])

    def drawn(self, name: str) -> Range:
        """Return the range that a condition is drawn from, such as ``dose``, over all datasets."""
        return hull([getattr(part.recipe.conditions, name) for part in self.parts])


def _brought_to(sampling: float | None, images: SampledImages) -> Images:
    return images if sampling is None else ResampledImages(images, sampling)


def train_network(
    data: TrainingData,
    out: Path,
    name: str,
    network: NetworkConfig,
    config: TrainingConfig,
    *,
    seed: int,
    start_from: LoadedNetwork | None = None,
    max_minutes: float | None = None,
) -> Trained:
    """Train a network, or go on with it.

    The folder ``out`` gets the weights ``NAME.safetensors`` with ``NAME.json``, the checkpoint, and the learning curves
    as CSV, TensorBoard events and picture, these while the training runs.

    Parameters
    ----------
    data
        What it is trained on.
    out, name
        Where its files lie, and how they begin.
    network, config, seed
        What is trained, how, and the seed of its weights and draws.
    start_from
        Weights of the same network and about the same pixel size to start from.
    max_minutes
        Stop after this time; the same call goes on from there.

    Raises
    ------
    ConfigurationError, CalibrationError, WeightsError, FileFormatError, TrainingError
        If data, network and the weights to start from do not suit each other, or as in
        :func:`framedose.training.loop.train`.
    """
    labelled = all(part.recipe.support_class for part in data.parts)
    if network.classes > 1 and not (labelled and network.classes == 3):
        raise ConfigurationError(
            f"network.classes {network.classes} needs images with as many classes: 1, or 3 (vacuum, particle, support) "
            "on a dataset that was made with --support-class true."
        )
    if start_from is not None:
        _check_start(start_from, network, config.resample_to, data)
    images = data.images(config, network.classes)
    # Before the training: what is missing for it is missing now.
    noise_fall = data.noise_fall(resample_to=config.resample_to)
    curves_record, picture = CurvesRecord(out, name), out / f"{name}.curves.png"

    def record(curves: Curves) -> None:
        curves_record(curves)
        learning_curves_figure({name: curves}, picture)

    trained = train(
        network,
        config,
        images,
        data.validation(network.classes, resample_to=config.resample_to),
        seed=seed,
        checkpoint=out / f"{name}.checkpoint.safetensors",
        label=f"training {name}",
        start_from=start_from,
        max_minutes=max_minutes,
        record=record,
    )
    if int(os.environ.get("RANK", 0)) == 0 and trained.curves["step"]:
        # A run killed after its last checkpoint has nothing to train any more, but its picture may be an old one.
        record(trained.curves)
    made_from = {
        "training": config.model_dump(mode="json"),
        "steps": trained.steps,
        "dataset": data.recipe.model_dump(mode="json"),
        "dataset_seed": data.seed,
        "more_datasets": [
            {"dataset": other.recipe.model_dump(mode="json"), "dataset_seed": other.seed} for other in data.more
        ],
        "seed": seed,
        "images": images.made_from,
        "started_from": None if start_from is None else start_from.metadata.weights_sha256,
    }
    provenance: dict[str, Any] = {**made_from, "versions": versions(), "curves": trained.curves}
    if int(os.environ.get("RANK", 0)) == 0:
        metadata = WeightsMetadata(
            network=network,
            sampling=data.sampling(),
            resampled_to=config.resample_to,
            dose=data.drawn("dose"),
            noise_fall=noise_fall,
            energy=data.recipe.exit_wave.energy,
            defocus=with_same_rings(
                [part.recipe.conditions.defocus for part in data.parts],
                [part.recipe.exit_wave.energy for part in data.parts],
            ),
            provenance=provenance,
        )
        interval = data.area_interval(trained.network, metadata)
        described = metadata.model_copy(update={"area_interval": interval})
        save_network(out / f"{name}.safetensors", trained.network, described)
    return trained


def _check_start(start: LoadedNetwork, network: NetworkConfig, resample_to: float | None, data: TrainingData) -> None:
    """Refuse weights of another network, or of pixels of another size."""
    # No weight depends on the window of the normalisation.
    theirs, mine = start.metadata.network.model_dump(exclude={"normalise_window"}), network.model_dump()
    if isinstance(network, UNetConfig) and network.norm == "none" and theirs.get("width", math.inf) < network.width:
        # Such a U-net is widened.
        theirs["width"] = network.width
    different = [f"{key} {theirs[key]}" for key in theirs if theirs[key] != mine.get(key)]
    if different:
        raise WeightsError(
            f"start_from {start.name!r} is another network than is to be trained, it has {', '.join(different)}: set "
            "network to the same. Only the width of a U-net without normalisation layers may grow."
        )
    trained = _seen(start.metadata.sampling, start.metadata.resampled_to)
    sampling = _seen(data.sampling(), resample_to)
    if trained.high < sampling.low or sampling.high < trained.low:
        raise CalibrationError(
            f"start_from {start.name!r} was trained on pixels of {trained.low:g} to {trained.high:g} Å, and would see "
            f"those of {str(data.folder)!r} at {sampling.low:g} to {sampling.high:g} Å: set training.resample_to, "
            "simulate pixels of the same size, or begin with new weights."
        )


def _seen(sampling: Range, resampled_to: float | None) -> Range:
    """Return the pixel sizes that a network sees [Å/px]."""
    return sampling if resampled_to is None else Range(low=resampled_to, high=resampled_to)
