"""Files in, files out: segment micrographs and write what was seen, all of it or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from framedose.atomic import write_json
from framedose.camera.passport import CameraPassport, load_passport
from framedose.errors import ConfigurationError
from framedose.files import Frames, read
from framedose.files.writer import tiff_writer
from framedose.inference.overlay import write_overlay
from framedose.inference.particles import Particle
from framedose.inference.predict import check
from framedose.inference.results import new_folder, refuse_used_folder, write_rows
from framedose.inference.segment import check_options, segment
from framedose.micrograph import Micrograph
from framedose.progress import progress
from framedose.provenance import file_digest, versions

if TYPE_CHECKING:
    from framedose.networks.weights import LoadedNetwork

# Checking fewer frames than this takes no time that needs a progress bar.
_MANY = 50


@dataclass(frozen=True)
class SegmentedFrame:
    """One line of ``segmentation.csv``."""

    file: str
    """Name of the input file."""
    frame: int
    """Index within the file, from 0."""
    area_nm2: float
    """Area of the mask [nm2]."""
    area_low_nm2: float | None
    """Lower end of the interval of the area [nm2], where the network has one."""
    area_high_nm2: float | None
    """Its upper end [nm2]."""
    fraction: float
    """Share of the frame that the mask covers."""
    dose_per_area: float | None
    """Dose of the frame [e/Å2], where it is known."""
    warning: str
    """Why the result may not be trusted, or nothing."""


@dataclass(frozen=True)
class _Place:
    file: str
    """Name of the input file."""
    frame: int
    """Index within the file, from 0."""
    particle: int
    """Number within the frame, from 0, from the top down."""


@dataclass(frozen=True)
class ParticleRow(Particle, _Place):
    """One line of ``particles.csv``: where a particle was seen, then what it is like."""


def segment_files(
    files: Sequence[str | Path],
    *,
    network: str | Path = "unet",
    sampling: float | None = None,
    threshold: float = 0.9,
    dose: float | None = None,
    camera: str | Path | None = None,
    allow_unequal: bool = False,
    out: str | Path = "framedose-segment",
) -> list[SegmentedFrame]:
    """Segment the micrographs in ``files`` and write the results into a new folder.

    All inputs are read and checked before anything is written, and the folder appears under its name when it is
    complete: a failure leaves nothing behind. Frames are read, segmented and written one by one. For every input NAME
    the folder holds, in the shape and with the pixel size of the input, NAME_probability.tif (float32) and
    NAME_mask.tif (uint8, 0 and 255); to be looked at, NAME_overlay.png, or NAME_overlay_frame0.png and so on for a
    stack; for all together ``segmentation.csv``, a line a frame, ``particles.csv``, a line a particle, and, saying how
    they were made, ``segmentation.json``.

    Parameters
    ----------
    files
        What :func:`framedose.read` reads: files, single frames or stacks, and folders of frames.
    network
        ``"unet"``, ``"msdnet"``, or the path of a weights file.
    sampling
        Side of a pixel [Å/px] of all files; None takes it from each file.
    threshold
        Least probability of a pixel in the mask, between 0 and 1.
    dose
        Dose of every frame [e/Å2], for the warnings and the table; None takes it from each file.
    camera
        Passport of the camera (:func:`framedose.camera.passport.load_passport`): where neither ``dose`` nor the file
        says it, the dose behind the specimen is told from the mean count.
    allow_unequal
        Resample pixels that are not square to the finer of their sides.
    out
        The folder to make; it must not exist, or be empty.

    Returns
    -------
    list of SegmentedFrame
        The lines of ``segmentation.csv``.

    Raises
    ------
    ConfigurationError
        If there is no file, two files would write the same results, the threshold is not between 0 and 1, the dose is
        not positive, or the folder cannot be made.
    OutputExistsError
        If ``out`` holds something.
    OutputError
        If the results cannot be written, for example because the disk is full.
    WeightsError, FileFormatError, CalibrationError, ImageError
        If the network or one of the files cannot be used.
    """
    paths = [Path(file) for file in files]
    out = Path(out)
    check_options(threshold=threshold, dose=dose)
    refuse_used_folder(out)
    _refuse_equal_names(paths)
    dose_of = _dosed(dose, None if camera is None else load_passport(camera))
    inputs = [read(path, sampling=sampling, allow_unequal=allow_unequal) for path in paths]
    from framedose.networks.weights import load_network  # Loads torch, for which a wrong file name need not wait.

    loaded = load_network(network)
    total = sum(len(frames) for frames in inputs)
    every_frame = (one for frames in inputs for one in frames)
    for micrograph in progress(every_frame, total=total, label="check") if total > _MANY else every_frame:
        check(micrograph, loaded)
    with new_folder(out) as folder:
        work = (pair for frames in inputs for pair in _segment_each(frames, loaded, folder, threshold, dose_of))
        found = list(progress(work, total=total, label="segment"))
        rows = [row for row, _ in found]
        settings = {
            "network": loaded.name,
            "network_metadata": loaded.metadata.model_dump(mode="json"),
            "sampling": sampling,
            "threshold": threshold,
            "dose": dose,
            "camera": None if camera is None else str(camera),
            "allow_unequal": allow_unequal,
            "inputs": {str(frames.origin): _digest(frames) for frames in inputs},
            "versions": versions(),
        }
        write_json(folder / "segmentation.json", settings)
        write_rows(folder / "segmentation.csv", SegmentedFrame, rows)
        write_rows(folder / "particles.csv", ParticleRow, (row for _, particles in found for row in particles))
    return rows


def _segment_each(
    frames: Frames,
    network: LoadedNetwork,
    folder: Path,
    threshold: float,
    dose_of: Callable[[Micrograph], float | None],
) -> Iterator[tuple[SegmentedFrame, list[ParticleRow]]]:
    name = _result_name(frames.origin)
    first, total = frames[0], len(frames)
    probabilities = tiff_writer(
        folder / f"{name}_probability.tif", frames=total, frame_bytes=4 * first.image.size, sampling=first.sampling
    )
    masks = tiff_writer(
        folder / f"{name}_mask.tif", frames=total, frame_bytes=first.image.size, sampling=first.sampling
    )
    with probabilities as write_probability, masks as write_mask:
        for index, micrograph in enumerate(frames):
            dose = dose_of(micrograph)
            result = segment(micrograph, network, threshold=threshold, dose=dose)
            write_probability(result.probability)
            write_mask(result.mask * np.uint8(255))
            number = f"_frame{index:0{len(str(total - 1))}d}" if total > 1 else ""
            write_overlay(folder / f"{name}_overlay{number}.png", micrograph.image, result.mask, micrograph.sampling)
            low, high = result.area_interval_nm2 or (None, None)
            row = SegmentedFrame(
                frames.origin.name,
                index,
                result.area_nm2,
                low,
                high,
                result.fraction,
                dose,
                "; ".join(result.warnings),
            )
            particles = [
                ParticleRow(**asdict(particle), file=frames.origin.name, frame=index, particle=place)
                for place, particle in enumerate(result.particles)
            ]
            yield row, particles


def _dosed(dose: float | None, camera: CameraPassport | None) -> Callable[[Micrograph], float | None]:
    """Return what tells the dose of a frame [e/Å2]: the user, the file, or the camera's gain."""

    def dose_of(micrograph: Micrograph) -> float | None:
        if dose is not None or camera is None:
            return micrograph.dose_per_area if dose is None else dose
        return camera.dose_of(micrograph)

    return dose_of


def _digest(frames: Frames) -> str:
    """Return the SHA-256 of a file, or that of those of the files in a folder, in order."""
    digests = [file_digest(file) for file in frames.files]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _result_name(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _refuse_equal_names(paths: Sequence[Path]) -> None:
    if not paths:
        raise ConfigurationError("No file to segment: name at least one file or folder of frames.")
    seen: dict[str, Path] = {}
    for path in paths:
        # Some file systems do not tell A from a.
        name = _result_name(path)
        other = seen.setdefault(name.casefold(), path)
        if other is not path:
            raise ConfigurationError(
                f"{other} and {path} would both write {name}_mask.tif; segment them apart, each with its --out."
            )
