"""Simulated series of rising dose: those of a study, and any that is stored, as the evaluation wants it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import zarr

from framedose.config import build, read_json
from framedose.dataset.folder import IMAGES
from framedose.dataset.recipe import DatasetRecipe, Part, Split, make_kinds
from framedose.dataset.series import SERIES, named_series
from framedose.dataset.store import ImageSet
from framedose.errors import FileFormatError
from framedose.evaluation.summary import EvaluationConfig
from framedose.kinds import FieldKind
from framedose.study.config import StudyConfig
from framedose.study.training import TrainingData


def evaluation_series(recipe: DatasetRecipe, config: EvaluationConfig) -> Part:
    """Return the recipe and the split of the unseen structures, each with one draw of its conditions at all doses."""
    if config.series != "test":
        return named_series(
            config.series,
            recipe,
            structures=config.structures,
            frames=config.frames,
            supports=config.support_frames,
            vacuum=config.vacuum_frames,
        )
    doses = tuple(config.doses.values().tolist())
    kinds = make_kinds(config.structures, config.support_frames, config.vacuum_frames)
    return recipe, Split("test", kinds, len(doses), doses)


class StoredSeries:
    """A finished series (an ``evaluation.series.Series``).

    Parameters
    ----------
    path
        The store of the images.
    name
        Of the series.

    Raises
    ------
    FileFormatError
        If it is not there, or not complete.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._images = ImageSet(path, name)
        if self._images.doses is None:
            raise FileFormatError(f"{name!r} in {str(path)!r} is no series of rising dose: choose another split.")
        self.split = Split(name, tuple(self._images.kinds), self._images.shape[1], tuple(self._images.doses))
        self.made_from = self._images.made_from
        self.doses = np.asarray(self._images.doses, dtype=np.float64)
        self.masks = np.stack([self._images.load(index, 0)[1] for index in self._of("particle")])

    def samplings(self, kind: FieldKind) -> npt.NDArray[np.float64]:
        """Return the pixel sizes (n,) [Å/px] of the frames of a kind."""
        sizes: npt.NDArray[np.float64] = self._images.conditions["sampling"][self._of(kind), 0]
        return sizes

    def images(self, dose_index: int) -> npt.NDArray[np.float32]:
        """Return one frame of each structure, (structures, y, x)."""
        return self._frames("particle", dose_index)

    def vacuum(self, dose_index: int) -> npt.NDArray[np.float32]:
        """Return the frames of vacuum, (n, y, x)."""
        return self._frames("vacuum", dose_index)

    def support(self, dose_index: int) -> npt.NDArray[np.float32]:
        """Return the frames of bare support, (n, y, x)."""
        return self._frames("support", dose_index)

    def _of(self, kind: FieldKind) -> list[int]:
        return [index for index, found in enumerate(self._images.kinds) if found == kind]

    def _frames(self, kind: FieldKind, dose_index: int) -> npt.NDArray[np.float32]:
        frames = [self._images.load(index, dose_index)[0] for index in self._of(kind)]
        return np.stack(frames) if frames else np.empty((0, *self.masks.shape[1:]), dtype=np.float32)


def open_series(folder: Path, name: str | None = None) -> StoredSeries:
    """Return the simulated series in the folder of a dataset or a study.

    Raises
    ------
    FileFormatError
        If there is none, or it is not complete.
    """
    try:
        found = list(zarr.open_group(folder / IMAGES, mode="r").group_keys())
    except FileNotFoundError as error:
        raise FileFormatError(
            f"{str(folder)!r} holds no dataset: make one with framedose simulate --series."
        ) from error
    chosen = name or next((known for known in SERIES if known in found), None)
    if chosen is None or chosen not in found:
        raise FileFormatError(
            f"{str(folder)!r} holds {', '.join(sorted(found)) or 'nothing'}, and no series "
            f"{name or 'of rising dose'}: make one with framedose simulate --series replica."
        )
    return StoredSeries(folder / IMAGES, chosen)


def origin(folder: Path) -> tuple[DatasetRecipe, int]:
    """Return the recipe and the seed of the series in the folder of a dataset or a study.

    Raises
    ------
    FileFormatError, ConfigurationError
        If the folder does not say, or in terms that are not known.
    """
    card = folder / "study.json"
    if not card.exists():
        data = TrainingData.of(folder)
        return data.recipe, data.seed
    content = read_json(card)
    config = build(StudyConfig, content.get("config") if isinstance(content, dict) else content, where=str(card))
    recipe, _ = evaluation_series(config.dataset, config.evaluation)
    return recipe, config.seed
