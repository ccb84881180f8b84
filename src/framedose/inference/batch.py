"""Files in, files out: segment micrographs on one or many workers, and write what was seen, all of it or nothing."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from framedose.atomic import write_json
from framedose.camera.passport import load_passport
from framedose.config import digest
from framedose.errors import ConfigurationError
from framedose.files import Frames, read
from framedose.files.sums import groups
from framedose.inference.export import check_movie
from framedose.inference.folders import refuse_used_folder, resumable_folder
from framedose.inference.frame import FrameTask, Job, check_frame, segment_frame
from framedose.inference.kept import FRAMES, KeptFrame, input_name, result_name
from framedose.inference.results import Outputs, SegmentedFrame, write_results
from framedose.inference.rim import ATOM_RADIUS, check_rim
from framedose.inference.segment import check_options
from framedose.inference.tables import check_tables
from framedose.provenance import file_digest, versions
from framedose.workers import Runner, workers

# Checking fewer frames than this takes no time that needs a progress bar, or workers.
_MANY = 50
# Bytes of a name that leave room for what is added to it: file systems take 255.
_LONGEST_NAME = 200


def segment_files(
    files: Sequence[str | Path],
    *,
    network: str | Path = "best",
    sampling: float | None = None,
    threshold: float = 0.9,
    rim: float = ATOM_RADIUS,
    dose: float | None = None,
    camera: str | Path | None = None,
    allow_unequal: bool = False,
    sum_frames: int = 1,
    out: str | Path = "framedose-segment",
    outputs: Outputs | None = None,
    start_workers: Callable[[], AbstractContextManager[Runner]] = lambda: workers(1),
) -> list[SegmentedFrame]:
    """Segment the micrographs in ``files`` and write the results into a new folder.

    All inputs are read and checked before anything is written, and the folder appears under its name when it is
    complete. What is finished when a run is stopped, or when the disk is full, lies in a hidden folder beside it, and
    the same call goes on with it. One frame for each worker is in memory. For every input NAME the folder holds, in the
    shape and with the pixel size of the input, NAME_probability.tif (float32) and NAME_mask.tif (uint8, 0 and 255), or
    NAME.zarr; to be looked at, NAME_overlay.png, or for a series NAME_overlay_frame0.png and so on, NAME_tracks.png
    and perhaps a movie; for all together ``segmentation.csv``, a line a frame, ``particles.csv``, a line a particle,
    ``tracks.csv``, a line for each particle through a series, and, saying how they were made, ``segmentation.json``.

    Parameters
    ----------
    files
        What :func:`framedose.read` reads: files, single frames or stacks, and folders of frames.
    network
        ``"best"``, ``"unet"``, ``"msdnet"``, or the path of a weights file.
    sampling
        Side of a pixel [Å/px] of all files; None takes it from each file.
    threshold
        Least probability of a pixel in the mask, between 0 and 1.
    rim
        How far outlines lie outside of the centres of outer atoms [Å] (:func:`framedose.inference.segment.segment`).
    dose
        Dose of every frame [e/Å2], for the warnings and the table; None takes it from each file.
    camera
        Passport of the camera (:func:`framedose.camera.passport.load_passport`): where neither ``dose`` nor the file
        says it, the dose behind the specimen is told from the mean count.
    allow_unequal
        Resample pixels that are not square to the finer of their sides.
    sum_frames
        Frames of each input that are summed to one (:func:`framedose.summed`) before the network sees them, one sum
        after the other; the last has what is left over, too. Frames of the results are then these sums.
    out
        The folder to make; it must not exist, or be empty.
    outputs
        What is written; TIFF and CSV by default.
    start_workers
        Starts those that the frames are spread over, for example :func:`framedose.workers.workers` or
        :func:`~framedose.workers.cluster_at` with its argument bound; this process alone by default.

    Returns
    -------
    list of SegmentedFrame
        The lines of ``segmentation.csv``.

    Raises
    ------
    ConfigurationError
        If there is no file, two files would write the same results, the threshold is not between 0 and 1, the rim is
        negative, the dose is not positive, an input has fewer frames than are to be summed, or the folder cannot be
        made.
    OutputExistsError
        If ``out`` holds something, or another process is making it.
    OutputError
        If the results cannot be written, for example because the disk is full.
    WeightsError, FileFormatError, CalibrationError, ImageError
        If the network or one of the files cannot be used.
    WorkerError
        If worker processes keep dying.
    """
    outputs = outputs or Outputs()
    paths, out = [Path(file) for file in files], Path(out)
    check_options(threshold=threshold, dose=dose)
    check_rim(rim)
    _check_outputs(outputs)
    refuse_used_folder(out)
    _refuse_equal_names(paths)
    passport = None if camera is None else load_passport(camera)
    inputs = [read(path, sampling=sampling, allow_unequal=allow_unequal) for path in paths]
    for frames in inputs:
        _check_sum(sum_frames, frames)
    from framedose.networks.weights import load_network  # Loads torch, for which a wrong file name need not wait.

    loaded = load_network(network)
    digests = {str(frames.origin): _digest(frames) for frames in inputs}
    settings = {
        "network": loaded.name,
        "network_metadata": loaded.metadata.model_dump(mode="json"),
        "sampling": sampling,
        "threshold": threshold,
        "rim": rim,
        "dose": dose,
        "camera": None if camera is None else str(camera),
        "camera_digest": None if passport is None else digest(passport.model_dump(mode="json")),
        "allow_unequal": allow_unequal,
        "sum_frames": sum_frames,
        "outputs": asdict(outputs),
        "inputs": digests,
        "versions": versions(),
    }
    with resumable_folder(out, settings, kept=FRAMES) as folder:
        job = Job(
            network=str(Path(network).absolute()) if Path(network).suffix else str(network),
            identity=loaded.metadata.identity,
            threshold=threshold,
            rim=rim,
            sampling=sampling,
            allow_unequal=allow_unequal,
            dose=dose,
            camera=passport,
        )
        tasks = [_tasks(job, frames, sum_frames, digests[str(frames.origin)], folder) for frames in inputs]
        _segment([task for each in tasks for task in each], start_workers)
        kept = [[task.kept for task in each] for each in tasks]
        names = [input_name(frames.origin) for frames in inputs]
        rows = write_results(folder, kept, names, outputs, threshold=threshold)
        write_json(folder / "segmentation.json", settings)
    return rows


def _tasks(job: Job, frames: Frames, sum_frames: int, sha256: str, folder: Path) -> list[FrameTask]:
    path, name, sums = str(frames.origin.absolute()), result_name(frames.origin), groups(len(frames), sum_frames)
    return [
        FrameTask(job, path, sha256, which, KeptFrame(str(folder), name, index, len(sums)))
        for index, which in enumerate(sums)
    ]


def _segment(tasks: Sequence[FrameTask], start_workers: Callable[[], AbstractContextManager[Runner]]) -> None:
    """Check, then segment, the frames that are not done yet."""
    left = [task for task in tasks if not task.kept.done]
    if not left:
        return
    if len(left) <= _MANY:
        for task in left:
            check_frame(task)
    with start_workers() as run:
        if len(left) > _MANY:
            run(check_frame, left, "check", 0)
        run(segment_frame, left, "segment", len(tasks) - len(left))


def _check_outputs(outputs: Outputs) -> None:
    check_tables(outputs.tables)
    check_movie(outputs.movie)
    if not (math.isfinite(outputs.reach) and outputs.reach > 0):
        raise ConfigurationError(f"--reach must be a positive number of nm, got {outputs.reach}.")


def _check_sum(count: int, frames: Frames) -> None:
    if count < 1:
        raise ConfigurationError(f"--sum-frames must be at least 1, got {count}.")
    if count > len(frames):
        held = f"{len(frames)} frame{'s' if len(frames) != 1 else ''}"
        raise ConfigurationError(
            f"--sum-frames {count} is more than {frames.origin} holds ({held}): give fewer, or a longer series."
        )


def _digest(frames: Frames) -> str:
    """Return the SHA-256 of a file, or that of those of the files in a folder, in order."""
    digests = [file_digest(file) for file in frames.files]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _refuse_equal_names(paths: Sequence[Path]) -> None:
    if not paths:
        raise ConfigurationError("No file to segment: name at least one file or folder of frames.")
    seen: dict[str, Path] = {}
    for path in paths:
        name = result_name(path)
        written = os.fsencode(path).decode("utf-8", "backslashreplace")
        if written != str(path):
            raise ConfigurationError(f"{written}: the name is no UTF-8, which tables and results need: rename it.")
        if len(os.fsencode(name)) > _LONGEST_NAME:
            raise ConfigurationError(f"{path}: the name is too long for those of its results: rename it.")
        # Some file systems do not tell A from a.
        other = seen.setdefault(name.casefold(), path)
        if other is not path:
            raise ConfigurationError(
                f"{other} and {path} would both write {name}_mask.tif; segment them apart, each with its --out."
            )
