"""Datasets on disk: checksummed Zarr arrays, one shard for each field, so that no two writers share one."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from framedose.dataset.recipe import DatasetRecipe, Split
from framedose.errors import FileFormatError, OutputExistsError
from framedose.microscope.conditions import Conditions


def create_waves(path: Path, recipe: DatasetRecipe, split: Split, digest: str) -> zarr.Array[Any]:
    """Make or reopen the array of exit waves of a split: complex64, shape (specimens, y, x), one chunk each.

    With frozen phonons the shape is (specimens, configurations, y, x).
    """
    shape = recipe.exit_wave.stored_shape(recipe.extent)
    return _array(path, split.name, (split.specimens, *shape), (1, *shape), None, "complex64", digest)


def create_images(path: Path, recipe: DatasetRecipe, split: Split, seed: int, digest: str) -> zarr.Group:
    """Make or reopen a split's images and masks, shape (fields, images, y, x), one shard for each field.

    The conditions of every image stand beside them: float64, shape (fields, images, values), in the order of
    ``attrs["conditions"]``; their sampling is that of the stored, summed pixels.
    """
    size = recipe.image_size
    shape = (len(split.kinds), split.images, size, size)
    for name, kind in (("images", "float16"), ("masks", "bool")):
        _array(path, f"{split.name}/{name}", shape, (1, 1, size, size), (1, split.images, size, size), kind, digest)
    table = np.array(
        [
            [
                [getattr(c, key) * (recipe.binning if key == "sampling" else 1) for key in Conditions.model_fields]
                for image in range(split.images)
                for c in [split.conditions(recipe, seed, index, image)]
            ]
            for index in range(len(split.kinds))
        ]
    )
    _array(path, f"{split.name}/conditions", table.shape, table.shape, None, "float64", digest)[...] = table
    group = zarr.open_group(path, path=split.name, mode="r+")
    group.attrs.update({"conditions": list(Conditions.model_fields), "kinds": list(split.kinds), "doses": split.doses})
    return group


def _array(
    path: Path,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    shards: tuple[int, ...] | None,
    dtype: str,
    digest: str,
) -> zarr.Array[Any]:
    root = zarr.open_group(path, mode="a")
    if name in root:
        array = root[name]
        if not isinstance(array, zarr.Array) or array.attrs.get("made_from") != digest:
            raise OutputExistsError(f"{str(path)!r} holds {name!r} of another recipe or seed. Choose another folder.")
        return array
    return root.create_array(
        name,
        shape=shape,
        chunks=chunks,
        shards=shards,
        dtype=dtype,
        # zstd alone returns wrong data for a flipped byte without a word.
        compressors=(ZstdCodec(level=1), Crc32cCodec()),
        attributes={"made_from": digest},
    )


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
        self.kinds: list[str] = list(group.attrs["kinds"])
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
        """Return one image (y, x), float32, and its mask (y, x).

        Raises
        ------
        FileFormatError
            If the checksum of the stored data is wrong.
        """
        try:
            return self._images[index, image].astype(np.float32), self._masks[index, image]
        except ValueError as error:
            raise FileFormatError(
                f"{self._origin}: field {index} is damaged ({error}). Remove its files and run again."
            ) from error
