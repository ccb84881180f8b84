"""What was seen in the frames of an input, as the files that other programs open: TIFF or OME-Zarr, GIF or MP4."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from framedose.atomic import folder_aside, write_aside
from framedose.errors import MissingPackageError
from framedose.files.writer import tiff_writer

if TYPE_CHECKING:
    import zarr

Images = Literal["tiff", "zarr"]
Movie = Literal["gif", "mp4"]
Maps = Callable[[], Iterator[npt.NDArray[np.float32]]]
"""Gives the probability maps of all frames, one at a time."""

_FRAMES_PER_SECOND = 10
# Long side of a GIF [px]; it has 256 colours, and nothing of it is compressed well.
_GIF_SIDE = 512
_PARTICLE = (0, 255, 255, 255)


def write_maps(
    folder: Path,
    name: str,
    images: Images,
    maps: Maps,
    *,
    shape: tuple[int, int, int],
    sampling: float,
    threshold: float,
) -> None:
    """Write probability (float32) and mask (uint8, 0 and 255) of all frames, with their pixel size.

    Parameters
    ----------
    folder, name
        Where, and what they are called: NAME_probability.tif and NAME_mask.tif; or NAME.zarr, OME-Zarr 0.5 with the
        mask in ``labels/mask`` as 0 and 1.
    images
        The format.
    maps
        The probability maps.
    shape
        Frames, y, x.
    sampling
        Side of a pixel [Å/px].
    threshold
        Least probability in the mask.
    """
    writer = {"tiff": _tiff, "zarr": _zarr}[images]
    with writer(folder, name, shape, sampling) as write:
        for index, probability in enumerate(maps()):
            write(index, probability, probability >= threshold)


_Write = Callable[[int, npt.NDArray[np.float32], npt.NDArray[np.bool_]], None]


@contextmanager
def _tiff(folder: Path, name: str, shape: tuple[int, int, int], sampling: float) -> Iterator[_Write]:
    frames, pixels = shape[0], shape[1] * shape[2]
    probabilities = tiff_writer(
        folder / f"{name}_probability.tif", frames=frames, frame_bytes=4 * pixels, sampling=sampling
    )
    masks = tiff_writer(folder / f"{name}_mask.tif", frames=frames, frame_bytes=pixels, sampling=sampling)
    with probabilities as write_probability, masks as write_mask:

        def write(_: int, probability: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> None:
            write_probability(probability)
            write_mask(mask * np.uint8(255))

        yield write


@contextmanager
def _zarr(folder: Path, name: str, shape: tuple[int, int, int], sampling: float) -> Iterator[_Write]:
    import zarr  # Slow to import.

    with folder_aside(folder / f"{name}.zarr") as aside:
        root = zarr.open_group(aside, mode="w")
        probabilities = _level(root, name, shape, "float32", sampling)
        labels = root.create_group("labels", attributes={"ome": {"version": "0.5", "labels": ["mask"]}})
        colours = {"colors": [{"label-value": 1, "rgba": list(_PARTICLE)}]}
        masks = _level(labels.create_group("mask"), "mask", shape, "uint8", sampling, {"image-label": colours})

        def write(index: int, probability: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]) -> None:
            probabilities[index] = probability
            masks[index] = mask.astype(np.uint8)

        yield write


def _level(
    group: zarr.Group,
    name: str,
    shape: tuple[int, int, int],
    dtype: str,
    sampling: float,
    more: dict[str, Any] | None = None,
) -> zarr.Array[Any]:
    """Make the one level of an OME-Zarr image: https://ngff.openmicroscopy.org/0.5/."""
    from zarr.codecs import ZstdCodec

    axes = [
        {"name": "t", "type": "time"},
        *({"name": axis, "type": "space", "unit": "nanometer"} for axis in "yx"),
    ]
    scale = [{"type": "scale", "scale": [1.0, sampling / 10, sampling / 10]}]
    image = {"name": name, "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image], **(more or {})}
    return group.create_array(
        "0",
        shape=shape,
        dtype=dtype,
        chunks=(1, *shape[1:]),
        compressors=ZstdCodec(level=3, checksum=True),
        dimension_names=("t", "y", "x"),
    )


def check_movie(movie: Movie | None) -> None:
    """Raise MissingPackageError if a movie of a kind cannot be written here."""
    if movie == "mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError as error:
            raise MissingPackageError(
                '--movie mp4 needs an encoder: pip install "framedose[movie]", or take gif.'
            ) from error


def write_movie(path: Path, pictures: Sequence[Path]) -> None:
    """Write pictures of one size as .gif or .mp4, 10 frames a second, atomically, one of them in memory at a time."""
    with write_aside(path) as aside:
        if path.suffix == ".gif":
            rest = (_reduced(picture) for picture in pictures[1:])
            _reduced(pictures[0]).save(
                aside, save_all=True, append_images=rest, duration=1000 // _FRAMES_PER_SECOND, loop=0
            )
            return
        from imageio_ffmpeg import write_frames

        pixels = (np.asarray(Image.open(picture).convert("RGB")) for picture in pictures)
        first = next(pixels)
        # Frames of odd sides are scaled to even ones, which the format needs.
        encoder = write_frames(str(aside), first.shape[1::-1], fps=_FRAMES_PER_SECOND, macro_block_size=2)
        encoder.send(None)
        for frame in chain([first], pixels):
            encoder.send(np.ascontiguousarray(frame))
        encoder.close()


def _reduced(picture: Path) -> Image.Image:
    image = Image.open(picture).convert("RGB")
    image.thumbnail((_GIF_SIDE, _GIF_SIDE))
    return image
