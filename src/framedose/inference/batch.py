"""Files in, files out: segment micrographs and write what was seen, all of it or nothing."""

import csv
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from framedose.atomic import write_aside, write_json
from framedose.errors import ConfigurationError, OutputExistsError
from framedose.files import read, write_tiff
from framedose.inference.overlay import write_overlay
from framedose.inference.predict import check
from framedose.inference.segment import check_threshold, segment
from framedose.networks.weights import LoadedNetwork, load_network
from framedose.progress import progress
from framedose.provenance import file_digest, versions


@dataclass(frozen=True)
class SegmentedFrame:
    """One line of ``segmentation.csv``."""

    file: str
    """Name of the input file."""
    frame: int
    """Index within the file, from 0."""
    area_nm2: float
    """Area of the mask [nm2]."""
    fraction: float
    """Share of the frame that the mask covers."""
    warning: str
    """Why the result may not be trusted, or nothing."""


def segment_files(
    files: Sequence[str | Path],
    *,
    network: str | Path = "msdnet",
    sampling: float | None = None,
    threshold: float = 0.9,
    out: str | Path = "framedose-segment",
) -> list[SegmentedFrame]:
    """Segment the micrographs in ``files`` and write the results into a new folder.

    All inputs are read and checked before anything is written, and the folder appears under its name when it is
    complete: a failure leaves nothing behind. For every file NAME it holds, in the shape and with the pixel size of the
    input, NAME_probability.tif (float32) and NAME_mask.tif (uint8, 0 and 255); to be looked at, NAME_overlay.png, or
    NAME_overlay_frame0.png and so on for a stack; for all together ``segmentation.csv`` and, saying how they were made,
    ``segmentation.json``.

    Parameters
    ----------
    files
        PNG or TIFF files, single frames or stacks.
    network
        ``"unet"``, ``"msdnet"``, or the path of a weights file.
    sampling
        Side of a pixel [Å/px] of all files; None takes it from each file.
    threshold
        Least probability of a pixel in the mask, between 0 and 1.
    out
        The folder to make; it must not exist, or be empty.

    Returns
    -------
    list of SegmentedFrame
        The lines of ``segmentation.csv``.

    Raises
    ------
    ConfigurationError
        If there is no file, two files would write the same results, the threshold is not between 0 and 1, or the folder
        cannot be made.
    OutputExistsError
        If ``out`` holds something.
    WeightsError, FileFormatError, CalibrationError, ImageError
        If the network or one of the files cannot be used.
    """
    paths = [Path(file) for file in files]
    out = Path(out)
    check_threshold(threshold)
    _refuse_used_folder(out)
    _refuse_equal_names(paths)
    loaded = load_network(network)
    # Read twice, so that one file at a time is in memory.
    frames = [_checked_frames(path, loaded, sampling) for path in paths]
    with _new_folder(out) as folder:
        work = _segment_each(paths, loaded, folder, sampling=sampling, threshold=threshold)
        rows = list(progress(work, total=sum(frames), label="segment"))
        settings = {
            "network": loaded.name,
            "network_metadata": loaded.metadata.model_dump(mode="json"),
            "sampling": sampling,
            "threshold": threshold,
            "inputs": {str(path): file_digest(path) for path in paths},
            "versions": versions(),
        }
        write_json(folder / "segmentation.json", settings)
        _write_csv(folder / "segmentation.csv", rows)
    return rows


def _segment_each(
    paths: Sequence[Path], network: LoadedNetwork, folder: Path, *, sampling: float | None, threshold: float
) -> Iterator[SegmentedFrame]:
    for path in paths:
        micrographs = read(path, sampling=sampling)
        shape = (len(micrographs), *micrographs[0].image.shape)
        probability, mask = np.empty(shape, np.float32), np.empty(shape, np.uint8)
        for index, micrograph in enumerate(micrographs):
            result = segment(micrograph, network, threshold=threshold)
            probability[index], mask[index] = result.probability, result.mask * np.uint8(255)
            number = f"_frame{index:0{len(str(len(micrographs) - 1))}d}" if len(micrographs) > 1 else ""
            write_overlay(
                folder / f"{path.stem}_overlay{number}.png", micrograph.image, result.mask, micrograph.sampling
            )
            yield SegmentedFrame(path.name, index, result.area_nm2, result.fraction, "; ".join(result.warnings))
        single = 0 if len(micrographs) == 1 else slice(None)
        write_tiff(folder / f"{path.stem}_probability.tif", probability[single], micrographs[0].sampling)
        write_tiff(folder / f"{path.stem}_mask.tif", mask[single], micrographs[0].sampling)


def _checked_frames(path: Path, network: LoadedNetwork, sampling: float | None) -> int:
    """Return the number of frames of a file that can be segmented, or raise."""
    micrographs = read(path, sampling=sampling)
    for micrograph in micrographs:
        check(micrograph, network)
    return len(micrographs)


def _refuse_equal_names(paths: Sequence[Path]) -> None:
    if not paths:
        raise ConfigurationError("No file to segment: name at least one PNG or TIFF file.")
    seen: dict[str, Path] = {}
    for path in paths:
        # Some file systems do not tell A from a.
        other = seen.setdefault(path.stem.casefold(), path)
        if other is not path:
            raise ConfigurationError(
                f"{other} and {path} would both write {path.stem}_mask.tif; segment them apart, each with its --out."
            )


def _refuse_used_folder(out: Path) -> None:
    if out.is_dir():
        entries = sorted(entry.name for entry in out.iterdir())
        if entries:
            raise OutputExistsError(
                f"--out {str(out)!r} holds {entries[0]!r} already, nothing is overwritten: choose another --out."
            )
    elif out.exists():
        raise OutputExistsError(f"--out {str(out)!r} is a file, choose another --out.")


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """Give a hidden folder beside ``out`` to fill, and make it ``out`` when the block ends well."""
    aside = out.absolute().with_name(f".{out.absolute().name}.{uuid.uuid4().hex[:8]}")
    try:
        aside.mkdir(parents=True)
    except OSError as error:
        raise ConfigurationError(
            f"--out {str(out)!r} cannot be made: {error.strerror}. Choose another --out."
        ) from error
    try:
        yield aside
        if out.exists():
            out.rmdir()  # Empty, or another process has filled it meanwhile and this raises.
        aside.rename(out)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _write_csv(path: Path, rows: Sequence[SegmentedFrame]) -> None:
    with write_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(SegmentedFrame)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
