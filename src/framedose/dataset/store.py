"""Datasets on disk: checksummed Zarr arrays, one shard for each field, so that no two writers share one."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from framedose.atomic import folder_aside
from framedose.dataset.recipe import DatasetRecipe, Split
from framedose.errors import FileFormatError, OutputExistsError
from framedose.kinds import FieldKind
from framedose.microscope.conditions import Conditions
from framedose.specimen.mask import PARTICLE


def create_waves(path: Path, recipe: DatasetRecipe, split: Split, digest: str) -> None:
    """Make the array of exit waves of a split: complex64, shape (specimens, y, x), one chunk each.

    With frozen phonons the shape is (specimens, configurations, y, x). An array that is there stays; any number of
    processes may do this at the same time.
    """
    shape = recipe.exit_wave.stored_shape(recipe.extent)
    if not (path / split.name).exists():
        _make_root(path)
        with folder_aside(path / split.name) as aside:
            _array(aside, (split.specimens, *shape), (1, *shape), None, "complex64", digest)
    _check_made_from(path, split.name, digest)


def create_images(path: Path, recipe: DatasetRecipe, split: Split, seed: int, digest: str) -> None:
    """Make a split's arrays of images and masks, shape (fields, images, y, x), one shard for each field.

    The conditions of every image stand beside them: float64, shape (fields, images, values), in the order of
    ``attrs["conditions"]``; their sampling is that of the stored, summed pixels. What is there stays, as for the waves.
    """
    if not (path / split.name).exists():
        _make_root(path)
        with folder_aside(path / split.name) as aside:
            _fill(aside, recipe, split, seed, digest)
    _check_made_from(path, f"{split.name}/images", digest)


def _make_root(path: Path) -> None:
    if not path.exists():
        with folder_aside(path) as aside:
            zarr.create_group(aside)


def _fill(folder: Path, recipe: DatasetRecipe, split: Split, seed: int, digest: str) -> None:
    keys = list(Conditions.model_fields)
    zarr.create_group(folder, attributes={"conditions": keys, "kinds": list(split.kinds), "doses": split.doses})
    size = recipe.image_size
    shape = (len(split.kinds), split.images, size, size)
    for name, kind in (("images", "float16"), ("masks", "uint8" if recipe.support_class else "bool")):
        _array(folder / name, shape, (1, 1, size, size), (1, split.images, size, size), kind, digest)
    table = np.array(
        [
            [
                [getattr(c, key) * (recipe.binning if key == "sampling" else 1) for key in keys]
                for image in range(split.images)
                for c in [split.conditions(recipe, seed, index, image)]
            ]
            for index in range(len(split.kinds))
        ]
    )
    _array(folder / "conditions", table.shape, table.shape, None, "float64", digest)[...] = table


def _array(
    path: Path, shape: tuple[int, ...], chunks: tuple[int, ...], shards: tuple[int, ...] | None, dtype: str, digest: str
) -> zarr.Array[Any]:
    return zarr.create_array(
        path,
        shape=shape,
        chunks=chunks,
        shards=shards,
        dtype=dtype,
        # zstd alone returns wrong data for a flipped byte without a word.
        compressors=(ZstdCodec(level=1), Crc32cCodec()),
        attributes={"made_from": digest},
    )


def _check_made_from(path: Path, name: str, digest: str) -> None:
    try:
        found = zarr.open_array(path, path=name, mode="r").attrs.get("made_from")
    except FileNotFoundError:
        found = None
    if found != digest:
        raise OutputExistsError(f"{str(path)!r} holds {name!r} of another recipe or seed. Choose another folder.")


def check_waves(path: Path, split: Split, digest: str) -> None:
    """Raise FileFormatError unless all exit waves of a split are there, and OutputExistsError if they are others."""
    _check_made_from(path, split.name, digest)
    missing = split.specimens - len(written(path, split.name))
    if missing:
        raise FileFormatError(f"{str(path)!r}: {missing} exit waves of {split.name!r} are missing: finish the dataset.")


def written(path: Path, name: str) -> set[int]:
    """Return the first indices whose chunk or shard is on disk; Zarr renames it into place when it is complete."""
    return {int(entry.name) for entry in (path / name / "c").glob("*") if entry.name.isdigit() and any(_files(entry))}


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and not file.name.endswith(".partial")]


class ImageSet:
    """The finished images of one split.

    Parameters
    ----------
    path
        The Zarr store.
    split
        Name of the split.

    Raises
    ------
    FileFormatError
        If there is no such split, or if it is not complete.
    """

    def __init__(self, path: Path, split: str) -> None:
        try:
            group = zarr.open_group(path, path=split, mode="r")
            self._images, self._masks = group["images"], group["masks"]
        except (FileNotFoundError, KeyError) as error:
            raise FileFormatError(f"{str(path)!r} holds no images {split!r}: make them first.") from error
        self.kinds: list[FieldKind] = list(group.attrs["kinds"])
        self.doses: list[float] | None = group.attrs["doses"]
        self.made_from: str = self._images.attrs["made_from"]
        self.conditions = dict(
            zip(group.attrs["conditions"], np.moveaxis(group["conditions"][...], -1, 0), strict=True)
        )
        missing = len(self.kinds) - len(written(path, f"{split}/images"))
        if missing:
            raise FileFormatError(
                f"{str(path)!r}: {missing} of {len(self.kinds)} fields of {split!r} are missing: finish it."
            )
        self._origin = f"{path}/{split}"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(fields, images, y, x)."""
        shape: tuple[int, int, int, int] = self._images.shape
        return shape

    def load(self, index: int, image: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Return one image (y, x), float32, and the mask (y, x) of its particles.

        Raises
        ------
        FileFormatError
            If the checksum of the stored data is wrong.
        """
        stored = self._read(self._images, index, image)
        # Of classes the first is the particle; a mask of one class is True there.
        return stored.astype(np.float32), self.labels(index, image) == PARTICLE

    def labels(self, index: int, image: int) -> npt.NDArray[Any]:
        """Return the mask (y, x) as it is stored: bool, or classes (0 vacuum, 1 particle, 2 support)."""
        return self._read(self._masks, index, image)

    def _read(self, array: Any, index: int, image: int) -> npt.NDArray[Any]:
        try:
            pixels: npt.NDArray[Any] = array[index, image]
        except ValueError as error:
            raise FileFormatError(
                f"{self._origin}: field {index} is damaged ({error}). Remove its files and run again."
            ) from error
        return pixels
