"""Write what is on the screen as ``framedose segment`` writes it."""

from collections.abc import Generator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from framedose.atomic import write_json
from framedose.errors import ConfigurationError
from framedose.files.writer import tiff_writer
from framedose.inference.folders import new_folder, refuse_used_folder
from framedose.inference.overlay import write_overlay
from framedose.inference.results import ParticleRow, SegmentedFrame
from framedose.inference.tables import write_rows
from framedose.provenance import file_digest, versions
from framedose.viewer.stored import Stored


def export(stored: Stored, out: Path, *, threshold: float, settings: dict[str, Any]) -> Generator[int, None, None]:
    """Write the frames that were segmented into a new folder, all or nothing, and yield the index of each.

    The files are those of :func:`framedose.segment_files`: probability and mask as TIFF with the pixel size, overlays,
    ``segmentation.csv``, ``particles.csv`` and ``segmentation.json``. Where not every frame was segmented, the stacks
    hold those that were, in order, and the tables say which.

    Parameters
    ----------
    stored
        What the network saw.
    out
        The folder to make; it must not exist, or be empty.
    threshold
        Least probability of a pixel in the mask.
    settings
        What else made the result, for ``segmentation.json``.

    Raises
    ------
    ConfigurationError
        If nothing was segmented, or the folder cannot be made.
    OutputExistsError, OutputError
        If the folder holds something, or cannot be written.
    """
    indices, origin = stored.indices, stored.frames.origin
    if not indices:
        raise ConfigurationError("Nothing to export: segment a frame first.")
    refuse_used_folder(out)
    rows, particles = [], []
    name = origin.name if origin.is_dir() else origin.stem
    with new_folder(out) as folder:
        size = stored.frames[indices[0]].image.size
        open_tiff = partial(tiff_writer, frames=len(indices), sampling=stored.sampling)
        probabilities = open_tiff(folder / f"{name}_probability.tif", frame_bytes=4 * size)
        masks = open_tiff(folder / f"{name}_mask.tif", frame_bytes=size)
        with probabilities as write_probability, masks as write_mask:
            for index in indices:
                result = stored.result(index, threshold)
                write_probability(result.probability)
                write_mask(result.mask * np.uint8(255))
                number = f"_frame{index:0{len(str(len(stored.frames) - 1))}d}" if len(stored.frames) > 1 else ""
                picture = folder / f"{name}_overlay{number}.png"
                write_overlay(picture, stored.frames[index].image, result.mask, stored.sampling)
                low, high = result.area_interval_nm2 or (None, None)
                rows.append(
                    SegmentedFrame(
                        file=origin.name,
                        frame=index,
                        area_nm2=result.area_nm2,
                        area_low_nm2=low,
                        area_high_nm2=high,
                        fraction=result.fraction,
                        dose_per_area=stored.dose(index),
                        # Of some frames of a series neither is known.
                        total_dose_per_area=None,
                        time_s=None,
                        warning="; ".join(result.warnings),
                    )
                )
                particles += [
                    ParticleRow(**asdict(particle), file=origin.name, frame=index, particle=place, track=None)
                    for place, particle in enumerate(result.particles)
                ]
                yield index
        write_rows(folder / "segmentation.csv", SegmentedFrame, rows)
        write_rows(folder / "particles.csv", ParticleRow, particles)
        made = {
            "network": stored.network.name,
            "network_metadata": stored.network.metadata.model_dump(mode="json"),
            "sampling": stored.sampling,
            "threshold": threshold,
            **settings,
            "frames": indices,
            "inputs": {str(file): file_digest(file) for file in stored.frames.files},
            "versions": versions(),
        }
        write_json(folder / "segmentation.json", made)
