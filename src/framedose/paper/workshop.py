"""What the figures share: datasets, trained networks, series, and what each network sees of them; each made once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from framedose.config import merged
from framedose.dataset.folder import IMAGES, SPECIMENS, WAVES
from framedose.dataset.generate import make_images, make_specimens, make_waves
from framedose.dataset.recipe import DatasetRecipe, Part, training_parts
from framedose.dataset.series import named_series
from framedose.evaluation.measure import Measured
from framedose.evaluation.series import Predict, Series
from framedose.evaluation.summary import EvaluationConfig, NetworkResult, summarise
from framedose.networks.weights import LoadedNetwork, load_network
from framedose.paper.scales import Scale
from framedose.study.evaluate import measured_once
from framedose.study.labels import network_label
from framedose.study.predictors import load_predictor
from framedose.study.recorded import RecordedSeries
from framedose.study.series import StoredSeries
from framedose.study.training import TrainingData, train_network
from framedose.workers import workers

# Frames at the end of a recorded series that make its truth.
_TRUTH_FRAMES = 5


@dataclass(frozen=True)
class Trained:
    """A network of the paper: its kind, and what it is trained on.

    Parameters
    ----------
    kind
        Which of the two.
    camera
        MTF model of Table 3.
    doses
        Dose range of Table 2.
    structures
        How many; all of them if None.
    """

    kind: Literal["unet", "msdnet"]
    camera: str = "mtf4"
    doses: Literal["high", "low", "full"] = "high"
    structures: int | None = None

    @property
    def name(self) -> str:
        """Name of its files."""
        return _name(self.kind, self.camera, self.doses, self.structures)

    @property
    def label(self) -> str:
        """What figures call it."""
        few = f", {self.structures} structures" if self.structures else ""
        return f"{network_label(self.kind)}, {self.camera.upper()}, {self.doses} doses{few}"


def _name(*parts: str | int | None) -> str:
    return "-".join(str(part) for part in parts if part)


class Workshop:
    """The folder of a reproduction. What is finished in it is kept; what is missing is made when it is asked for.

    Parameters
    ----------
    folder
        Of this reproduction.
    scale
        Its sizes.
    processes
        Of the simulation; they do not change the numbers.
    recorded
        A real series of rising dose, to be shown beside the simulated ones.
    """

    def __init__(
        self, folder: Path, scale: Scale, *, processes: int = 1, recorded: RecordedSeries | None = None
    ) -> None:
        self.folder, self.scale, self.recorded = folder, scale, recorded
        self.seed = scale.study.seed
        self.evaluation: EvaluationConfig = scale.study.evaluation
        self._processes = processes

    def recipe(self, camera: str = "mtf4", doses: str = "high", structures: int | None = None) -> DatasetRecipe:
        """Return what a dataset is made of."""
        changes = {"camera": camera, "conditions": {"dose": doses}}
        base = self.scale.study.dataset.model_dump()
        if structures is not None:
            base["structures"] = structures
        # Names stand for ranges here, which they must replace as a whole.
        base["camera"], base["conditions"]["dose"] = None, None
        return DatasetRecipe.model_validate(merged(base, changes))

    def dataset(self, camera: str = "mtf4", doses: str = "high", structures: int | None = None) -> TrainingData:
        """Return the training and validation images of one camera and dose range.

        All have the same specimens and exit waves; those of fewer structures have the first of them.
        """
        recipe, folder = (
            self.recipe(camera, doses, structures),
            self.folder / "datasets" / _name(camera, doses, structures),
        )
        every_structure = training_parts(self.recipe(camera, doses))
        self._simulate(folder, training_parts(recipe), specimens="training", of=every_structure)
        return TrainingData(folder, recipe, self.seed)

    def network(self, trained: Trained) -> LoadedNetwork:
        """Return a network, trained now if it is not yet."""
        return load_network(self._weights(trained))

    def _weights(self, trained: Trained) -> Path:
        path = self.folder / "networks" / trained.name / f"{trained.kind}.safetensors"
        if not path.with_suffix(".json").exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            data, settings = self.dataset(trained.camera, trained.doses, trained.structures), self.scale.study
            part = settings.unet if trained.kind == "unet" else settings.msdnet
            train_network(data, path.parent, trained.kind, part.network, part.training, seed=self.seed)
        return path

    def series_names(self) -> list[str]:
        """Return the series that networks are compared on."""
        return ["replica", "ramp", *(["recorded"] if self.recorded is not None else [])]

    def series(self, name: str) -> StoredSeries | RecordedSeries:
        """Return a series by its name."""
        if name == "recorded" and self.recorded is not None:
            return self.recorded
        scale = self.scale
        structures, frames = {
            "replica": (scale.replica_structures, scale.replica_frames),
            "ramp": (1, scale.ramp_frames),
        }[name]
        part = named_series(
            name,
            self.recipe(),
            structures=structures,
            frames=frames,
            supports=scale.empty,
            vacuum=scale.empty,
        )
        folder = self.folder / "series" / name
        self._simulate(folder, (part,), specimens=name, of=(part,))
        return StoredSeries(folder / IMAGES, name)

    def measured(self, trained: Trained, name: str) -> Measured:
        """Return what a network sees of a series."""
        series, threshold = self.series(name), self.evaluation.threshold
        predictor = load_predictor(str(self._weights(trained)))
        folder = self.folder / "measured" / name
        folder.mkdir(parents=True, exist_ok=True)
        made_from = {"series": series.made_from, "network": predictor.sha256}
        of = self.with_truth(trained, series)
        return measured_once(folder, trained.name, predictor.predict, of, made_from, threshold)

    def predict(self, trained: Trained) -> Predict:
        """Return the prediction of a network."""
        return load_predictor(str(self._weights(trained))).predict

    def with_truth(self, trained: Trained, series: StoredSeries | RecordedSeries) -> Series:
        """Return the series with its masks; of a recorded one they are what the network sees in the last frames."""
        if isinstance(series, StoredSeries):
            return series
        threshold = self.evaluation.threshold
        return series.with_truth(self.predict(trained), frames=_TRUTH_FRAMES, threshold=threshold)

    def result(self, measured: Measured) -> NetworkResult:
        """Return the scores and limits of what was measured."""
        return summarise(measured, self.evaluation, seed=self.seed)

    def _simulate(self, folder: Path, parts: tuple[Part, ...], *, specimens: str, of: tuple[Part, ...]) -> None:
        """Make the images of ``parts`` from the specimens of a name, which are those of the parts ``of``."""
        done = folder / "complete"
        if done.exists() and done.read_text() == self._digest(parts):
            return
        kept = self.folder / "specimens" / specimens
        kept.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        # One process needs no crew.
        with workers(self._processes) as run:
            entries = make_specimens(kept / SPECIMENS, of, self.seed, run)
            for recipe, split in of:
                make_waves(kept / WAVES, recipe, self.seed, split, entries[split.name], run)
            for recipe, split in parts:
                images, waves = folder / IMAGES, kept / WAVES
                make_images(images, waves, recipe, self.seed, split, entries[split.name], run)
        done.write_text(self._digest(parts))

    def _digest(self, parts: tuple[Part, ...]) -> str:
        return " ".join(split.digest(recipe, self.seed) for recipe, split in parts)
