"""One micrograph in; the same at lower doses, and what a network sees of it there, out: all of it or nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from framedose.atomic import write_json
from framedose.camera.passport import load_passport
from framedose.errors import ConfigurationError
from framedose.evaluation.titration import in_electrons, share_of_dose, titrate
from framedose.files import read, write_tiff
from framedose.inference.folders import new_folder, refuse_used_folder
from framedose.inference.predict import check
from framedose.inference.segment import check_options, segment
from framedose.inference.tables import write_rows
from framedose.metrics import overlap
from framedose.micrograph import Micrograph
from framedose.progress import progress
from framedose.provenance import file_digest, versions
from framedose.random import generator

if TYPE_CHECKING:
    from framedose.networks.weights import LoadedNetwork

SELF_CONSISTENCY = (
    "F1 and area are against the network's own mask of the frame at full dose: this is self-consistency, not truth."
)
NOT_MODELLED = "Radiation damage and motion of the specimen are not modelled."


@dataclass(frozen=True)
class TitratedFrame:
    """One line of ``titration.csv``; the first is the frame itself."""

    dose_per_area: float
    """Dose [e/Å2]."""
    share: float
    """Dose over that of the frame itself."""
    electrons_per_pixel: float
    """Mean of the frame, readout and all."""
    area_nm2: float
    """Area of the mask [nm2]."""
    area_ratio: float | None
    """Area over that at full dose; None if there is none."""
    f1: float | None
    """F1 against the mask at full dose, which is self-consistency; None if that mask is empty."""
    warning: str
    """Why the result may not be trusted, or nothing."""


@dataclass(frozen=True, eq=False)
class Step:
    """One dose of a titration: the frame, the mask and the line of the table."""

    image: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    row: TitratedFrame


def titrate_file(
    file: str | Path,
    *,
    camera: str | Path,
    doses: Sequence[float],
    network: str | Path = "best",
    threshold: float = 0.9,
    sampling: float | None = None,
    dose: float | None = None,
    frame: int | None = None,
    seed: int = 0,
    out: str | Path = "framedose-titrate",
) -> list[TitratedFrame]:
    """Titrate a micrograph to lower doses, segment it at each, and write the results into a new folder.

    The folder appears under its name when it is complete. It holds, for every dose D, NAME_D.tif (float32, electrons)
    and NAME_D_mask.tif (uint8, 0 and 255), NAME_full_mask.tif, ``titration.csv``, ``titration.png``, and
    ``titration.json`` that says how they were made and what they do not tell.

    Parameters
    ----------
    file
        What :func:`framedose.read` reads. It must be raw.
    camera
        Passport of the camera: a file, or the name of one that ships with framedose.
    doses
        Doses to come down to [e/Å2], at most a tenth of that of the frame.
    network, threshold, sampling
        As in :func:`framedose.segment_files`.
    dose
        Dose of the frame [e/Å2]; None tells it from the counts, behind the specimen.
    frame
        Which frame of a stack, from 0.
    seed
        Seed of the noise. The frame at one dose does not depend on what other doses are asked for.
    out
        The folder to make; it must not exist, or be empty.

    Returns
    -------
    list of TitratedFrame
        The lines of ``titration.csv``: the frame itself, then the doses as they fall.

    Raises
    ------
    ConfigurationError
        If an option is out of range, a dose is repeated or more than a tenth of that of the frame, or the folder
        cannot be made.
    OutputExistsError, OutputError
        If ``out`` holds something, or the results cannot be written.
    WeightsError, FileFormatError, CalibrationError, ImageError
        If the network, the file or the passport cannot be used.
    """
    file, out = Path(file), Path(out)
    check_options(threshold=threshold, dose=dose)
    falling = _falling(doses)
    refuse_used_folder(out)
    passport = load_passport(camera)
    simulated = passport.simulated()
    full = in_electrons(_frame(file, sampling, frame), passport)
    full = full if dose is None else replace(full, dose_per_area=dose)
    for one in falling:
        share_of_dose(full, simulated, one)
    from framedose.networks.weights import load_network  # Loads torch, for which a wrong file name need not wait.

    loaded = load_network(network)
    check(full, loaded)
    lower = (titrate(full, simulated, one, rng=generator(seed, "titration", f"{one:g}")) for one in falling)
    with new_folder(out) as folder:
        first = _step(full, full, None, loaded, threshold)
        steps = [first]
        for micrograph in progress(lower, total=len(falling), label="titrate"):
            steps.append(_step(micrograph, full, first.mask, loaded, threshold))
        _write(folder, file.stem, full.sampling, steps)
        settings = {
            "input": {str(file): None if file.is_dir() else file_digest(file)},
            "frame": full.frame,
            "sampling": full.sampling,
            "dose": full.dose_per_area,
            "doses": falling,
            "seed": seed,
            "camera": passport.model_dump(mode="json", exclude={"curves", "fit", "frames"}),
            "network": loaded.name,
            "network_sha256": loaded.metadata.weights_sha256,
            "threshold": threshold,
            "meaning": [SELF_CONSISTENCY, NOT_MODELLED],
            "versions": versions(),
        }
        write_json(folder / "titration.json", settings)
    return [step.row for step in steps]


def _falling(doses: Sequence[float]) -> list[float]:
    if not doses or not all(math.isfinite(dose) and dose > 0 for dose in doses):
        raise ConfigurationError(f"--doses must be positive numbers of e/Å2 separated by commas, got {list(doses)}.")
    # The figures also name the files.
    if len({f"{dose:g}" for dose in doses}) < len(doses):
        raise ConfigurationError(f"--doses must differ in their first six figures, got {list(doses)}. Leave one out.")
    return sorted((float(dose) for dose in doses), reverse=True)


def _frame(file: Path, sampling: float | None, number: int | None) -> Micrograph:
    # Pixels that are not square are resampled, and then refused by name as not raw.
    frames = read(file, sampling=sampling, allow_unequal=True)
    if number is None and len(frames) > 1:
        raise ConfigurationError(f"{file}: holds {len(frames)} frames, say which with --frame, from 0.")
    number = number or 0
    if not 0 <= number < len(frames):
        raise ConfigurationError(f"--frame must lie between 0 and {len(frames) - 1} for {file}, got {number}.")
    return frames[number]


def _step(
    micrograph: Micrograph,
    full: Micrograph,
    full_mask: npt.NDArray[np.bool_] | None,
    network: LoadedNetwork,
    threshold: float,
) -> Step:
    """Segment a frame and compare it with the mask at full dose; with its own if there is none yet."""
    result = segment(micrograph, network, threshold=threshold)
    same = overlap(result.mask, result.mask if full_mask is None else full_mask)
    dose, full_dose = float(micrograph.dose_per_area or 0), float(full.dose_per_area or 0)
    row = TitratedFrame(
        dose_per_area=dose,
        share=dose / full_dose,
        electrons_per_pixel=float(micrograph.image.mean(dtype=np.float64)),
        area_nm2=result.area_nm2,
        # Two empty masks agree, but about nothing.
        area_ratio=same.area_ratio if same.truth else None,
        f1=same.f1 if same.truth else None,
        warning="; ".join(result.warnings),
    )
    return Step(micrograph.image, result.mask, row)


def _write(folder: Path, name: str, sampling: float, steps: Sequence[Step]) -> None:
    from framedose.study.titration_figure import titration_figure  # Loads matplotlib.

    full, *lower = steps
    write_tiff(folder / f"{name}_full_mask.tif", full.mask * np.uint8(255), sampling)
    for step in lower:
        write_tiff(folder / f"{name}_{step.row.dose_per_area:g}.tif", step.image, sampling)
        write_tiff(folder / f"{name}_{step.row.dose_per_area:g}_mask.tif", step.mask * np.uint8(255), sampling)
    write_rows(folder / "titration.csv", TitratedFrame, [step.row for step in steps])
    # Between two $ matplotlib would read a formula.
    title = name.replace("$", r"\$")
    titration_figure(folder / "titration.png", steps, sampling, title=title, notes=(SELF_CONSISTENCY, NOT_MODELLED))
