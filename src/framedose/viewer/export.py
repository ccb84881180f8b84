"""Write what is on the screen as ``framedose segment`` writes it."""

import shutil
from collections.abc import Generator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from framedose.atomic import write_json
from framedose.errors import ConfigurationError
from framedose.inference.folders import new_folder, refuse_used_folder
from framedose.inference.kept import FRAMES, KeptFrame, input_name, result_name
from framedose.inference.results import Outputs, write_results
from framedose.inference.rim import ATOM_RADIUS
from framedose.provenance import file_digest, versions
from framedose.viewer.stored import Stored


def export(stored: Stored, out: Path, *, threshold: float, settings: dict[str, Any]) -> Generator[int, None, None]:
    """Write the frames that were segmented into a new folder, all or nothing, and yield the index of each.

    The files are those of :func:`framedose.segment_files`. Where not every frame was segmented, the stacks hold those
    that were, in order, the tables say which, and there are no tracks.

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
    outputs = Outputs()
    with new_folder(out) as folder:
        name, total = result_name(origin), len(stored.frames)
        kept = [KeptFrame(str(folder), name, index, total) for index in indices]
        for one in kept:
            micrograph = replace(stored.frames[one.index], dose_per_area=stored.dose(one.index))
            one.keep(micrograph, stored.result(one.index, threshold))
            yield one.index
        write_results(folder, [kept], [input_name(origin)], outputs, threshold=threshold)
        shutil.rmtree(folder / FRAMES)
        made = {
            "network": stored.network.name,
            "network_metadata": stored.network.metadata.model_dump(mode="json"),
            "sampling": stored.sampling,
            "threshold": threshold,
            "rim": ATOM_RADIUS,
            **settings,
            "outputs": asdict(outputs),
            "frames": indices,
            "inputs": {str(file): file_digest(file) for file in stored.frames.files},
            "versions": versions(),
        }
        write_json(folder / "segmentation.json", made)
