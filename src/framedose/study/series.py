"""The simulated test series of a study, as the evaluation wants it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from framedose.dataset.recipe import DatasetRecipe, Part, Split, make_kinds
from framedose.dataset.series import named_series
from framedose.dataset.store import ImageSet
from framedose.evaluation.summary import EvaluationConfig


def evaluation_series(recipe: DatasetRecipe, config: EvaluationConfig) -> Part:
    """Return the recipe and the split of the unseen structures, each with one draw of its conditions at all doses."""
    if config.series != "test":
        counts = {"structures": config.structures, "supports": config.support_frames, "vacuum": config.vacuum_frames}
        return named_series(config.series, recipe, frames=config.frames, **counts)
    doses = tuple(config.doses.values().tolist())
    kinds = make_kinds(config.structures, config.support_frames, config.vacuum_frames)
    return recipe, Split("test", kinds, len(doses), doses)


class StoredSeries:
    """The finished series of a study (an ``evaluation.counts.Series``)."""

    def __init__(self, path: Path, name: str) -> None:
        self._images = ImageSet(path, name)
        self.made_from = self._images.made_from
        self.doses = np.asarray(self._images.doses, dtype=np.float64)
        self.masks = np.stack([self._images.load(index, 0)[1] for index in self._of("particle")])

    def sampling(self, structure: int) -> float:
        """Return the pixel size [Å/px] of one structure's images."""
        return float(self._images.conditions["sampling"][structure, 0])

    def images(self, dose_index: int) -> npt.NDArray[np.float32]:
        """Return one frame of each structure, (structures, y, x)."""
        return self._frames("particle", dose_index)

    def vacuum(self, dose_index: int) -> npt.NDArray[np.float32]:
        """Return the frames of vacuum, (n, y, x)."""
        return self._frames("vacuum", dose_index)

    def support(self, dose_index: int) -> npt.NDArray[np.float32]:
        """Return the frames of bare support, (n, y, x)."""
        return self._frames("support", dose_index)

    def _of(self, kind: str) -> list[int]:
        return [index for index, found in enumerate(self._images.kinds) if found == kind]

    def _frames(self, kind: str, dose_index: int) -> npt.NDArray[np.float32]:
        frames = [self._images.load(index, dose_index)[0] for index in self._of(kind)]
        return np.stack(frames) if frames else np.empty((0, *self.masks.shape[1:]), dtype=np.float32)
