"""Training images without end: new conditions, camera and noise for stored exit waves, on the training device."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import zarr
from torch import Tensor

from framedose.camera.noise import detect, sum_pixels
from framedose.dataset.recipe import DatasetRecipe, Split
from framedose.dataset.render import mask_of
from framedose.dataset.store import check_waves
from framedose.errors import FileFormatError
from framedose.microscope.optics import expected_views
from framedose.training.batches import Sample, fields_like
from framedose.training.objective import PARTICLE
from framedose.units import electrons_per_pixel


class EndlessImages:
    """Image e of a field for epoch e, without end, with the conditions and the camera that the dataset would draw.

    A dataset stores the images 0 to E - 1 of every field; this goes on counting. The noise is torch's, so that the
    images equal stored ones in everything but the single electrons.

    Parameters
    ----------
    folder
        The dataset's folder, whose exit waves are complete.
    recipe, seed, split
        What it was made from.
    device
        Where images are computed and stay.
    classes
        Of the network: with one, labels say particle or not, also where the masks have the support.

    Raises
    ------
    FileFormatError
        If exit waves or specimens are missing.
    """

    # The device is busy with the network itself: nothing is gained by a thread.
    prefetch = False

    def __init__(
        self, folder: Path, recipe: DatasetRecipe, seed: int, split: Split, device: torch.device, *, classes: int
    ) -> None:
        self._classes = classes
        self._recipe, self._seed, self._split, self._device = recipe, seed, split, device
        # A thousand waves are less than a GPU's memory, and reading one takes longer than making an image there. On the
        # CPU the system keeps the files itself.
        self._kept: dict[int, Tensor] | None = {} if device.type == "cuda" else None
        self.made_from = split.digest(recipe, seed)
        check_waves(folder / "exit_waves.zarr", split, split.specimens_digest(recipe, seed))
        self._waves = zarr.open_group(folder / "exit_waves.zarr", mode="r")[split.name]
        try:
            specimens = json.loads((folder / "specimens.json").read_text(encoding="utf-8"))["splits"][split.name]
        except (OSError, ValueError, KeyError) as error:
            raise FileFormatError(f"{str(folder)!r} holds no specimens.json that can be read: finish it.") from error
        self._hulls = [
            [[np.array(hull) for hull in entry[key]] for key in ("hulls", "support_hulls")] for entry in specimens
        ]

    @property
    def fields(self) -> int:
        """Number of fields."""
        return len(self._split.kinds)

    @property
    def size(self) -> tuple[int, int]:
        """Pixels (y, x) of an image."""
        return (self._recipe.image_size,) * 2

    def like(self, index: int) -> range:
        """Return the fields without a particle among which field ``index`` is one."""
        return fields_like(self._split.kinds, index)

    @property
    def finest(self) -> float:
        """Smallest pixel size [Å/px], up to its rounding."""
        return self._recipe.sampling.low

    def sampling(self, sample: Sample) -> float:
        """Return the pixel size of an image [Å/px]."""
        return self._split.sampling(self._recipe, self._seed, sample.index, sample.epoch)

    def dose(self, sample: Sample) -> float:
        """Return the frame dose of an image [e/Å2]."""
        return self._split.conditions(self._recipe, self._seed, sample.index, sample.epoch).dose

    def load(self, samples: Sequence[Sample], seed: int) -> tuple[Tensor, Tensor]:
        """Return images and labels (n, y, x) on the device; ``seed`` is that of the noise."""
        recipe, split = self._recipe, self._split
        draws = [(sample.index, sample.epoch) for sample in samples]
        conditions = [split.conditions(recipe, self._seed, *draw) for draw in draws]
        cameras = [split.camera(recipe, self._seed, *draw) for draw in draws]
        field = recipe.gpts + 2 * recipe.margin
        waves = torch.stack([self._wave(sample.index) for sample in samples])
        expected = expected_views(waves, recipe.extent, field, recipe.exit_wave.energy, conditions)
        # Frozen phonons are averaged as intensities.
        expected = expected.mean(dim=1) if expected.ndim == 4 else expected
        electrons = torch.tensor(
            [electrons_per_pixel(c.dose, c.sampling) for c in conditions], dtype=torch.float32, device=self._device
        )[:, None, None]
        rng = torch.Generator(self._device).manual_seed(seed)
        inside = slice(recipe.margin, recipe.margin + recipe.gpts)
        frames = detect(expected, electrons, cameras, rng)[:, inside, inside]
        images = sum_pixels(frames, recipe.binning) / (electrons * recipe.binning**2)
        labels = np.stack(
            [self._labels(sample.index, c.sampling) for sample, c in zip(samples, conditions, strict=True)]
        )
        return images.to(torch.float32), torch.from_numpy(labels).to(self._device)

    def _wave(self, index: int) -> Tensor:
        if index >= len(self._hulls):
            # Vacuum: a plane wave.
            return torch.ones(self._waves.shape[1:], dtype=torch.complex64, device=self._device)
        if self._kept is not None and index in self._kept:
            return self._kept[index]
        try:
            wave = torch.from_numpy(self._waves[index]).to(self._device)
        except ValueError as error:
            raise FileFormatError(f"Exit wave {index} of {self._split.name!r} is damaged: {error}.") from error
        if self._kept is not None and _room_for(wave):
            self._kept[index] = wave
        return wave

    def _labels(self, index: int, sampling: float) -> np.ndarray:
        hulls, support_hulls = self._hulls[index] if index < len(self._hulls) else ([], [])
        labels = mask_of(self._recipe, sampling, hulls, support_hulls)
        return labels if self._classes > 1 else labels == PARTICLE


def _room_for(wave: Tensor) -> bool:
    """Return whether a wave leaves three quarters of the device's memory to the training."""
    if wave.device.type != "cuda":
        return True
    free, total = torch.cuda.mem_get_info(wave.device)
    return bool(free - wave.nbytes > 0.75 * total)
