"""What a network saw in the frames of one layer: kept on disk, so that another threshold is a comparison."""

import shutil
import tempfile
import weakref
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask.array as da
import numpy as np
import zarr

from framedose.camera.passport import CameraPassport
from framedose.files import Frames
from framedose.inference.frame import dose_warnings, dosed
from framedose.inference.predict import Prediction, predict
from framedose.inference.segment import Segmentation, segmentation_of
from framedose.networks.weights import LoadedNetwork


@dataclass(frozen=True, eq=False)
class Seen:
    """One frame after the network."""

    index: int
    """Of the frame."""
    prediction: Prediction
    """What it saw."""
    dose: float | None
    """Dose of the frame [e/Å2], where it is known."""


def seen(
    frames: Frames,
    indices: Sequence[int],
    network: LoadedNetwork,
    *,
    dose: float | None = None,
    camera: CameraPassport | None = None,
) -> Generator[Seen, None, None]:
    """Run a network over frames, one by one.

    Parameters
    ----------
    frames
        Of one file or layer.
    indices
        Those to look at.
    network
        From :func:`framedose.load_network`.
    dose
        Dose of every frame [e/Å2]; None takes it from the file, or from the counts and ``camera``.
    camera
        Passport that tells the dose from the counts.
    """
    for index in indices:
        frame = dosed(frames[index], dose, camera)
        dose_known, prediction = frame.dose_per_area, predict(frame, network)
        warnings = (*prediction.warnings, *dose_warnings(dose_known, camera))
        yield Seen(index, replace(prediction, warnings=warnings), dose_known)


class Stored:
    """Probabilities of the frames of a layer; those that no network has looked at are NaN.

    Parameters
    ----------
    frames
        The frames.
    network
        What looks at them.
    """

    def __init__(self, frames: Frames, network: LoadedNetwork) -> None:
        self.frames, self.network = frames, network
        first = frames[0]
        self.sampling = first.sampling
        folder = tempfile.mkdtemp(prefix="framedose-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        shape = first.image.shape
        # A frame that was not written takes no space.
        self._array = zarr.create_array(
            store=folder,
            shape=(len(frames), *shape),
            chunks=(1, *shape),
            dtype="float32",
            fill_value=np.nan,
            compressors=None,
        )
        # Of the frames that were looked at: dose, warnings, and where there are data.
        self._beside: dict[int, tuple[float | None, tuple[str, ...], tuple[slice, slice]]] = {}

    def keep(self, frame: Seen) -> None:
        """Store what was seen in a frame."""
        self._array[frame.index] = frame.prediction.probability
        self._beside[frame.index] = frame.dose, frame.prediction.warnings, frame.prediction.window

    @property
    def indices(self) -> list[int]:
        """The frames that were looked at."""
        return sorted(self._beside)

    def dose(self, index: int) -> float | None:
        """Return the dose of a frame [e/Å2], where it is known."""
        return self._beside[index][0]

    def result(self, index: int, threshold: float) -> Segmentation:
        """Return mask, area and warnings of a frame that was looked at."""
        _, warnings, window = self._beside[index]
        prediction = Prediction(np.asarray(self._array[index]), warnings, window)
        return segmentation_of(prediction, self.network, threshold=threshold, sampling=self.sampling)

    def probabilities(self) -> Any:
        """Return the lazy array of a layer, (y, x) for one frame, else (frames, y, x).

        A new one each time: napari keeps what it has read of an array, and the frames fill up.
        """
        lazy = da.from_array(self._array, chunks=self._array.chunks, name=False)
        return lazy[0] if len(self.frames) == 1 else lazy

    def masks(self, threshold: float) -> Any:
        """Return the lazy masks, 0 and 1, in the shape of :meth:`probabilities`; NaN is no particle."""
        return (self.probabilities() >= threshold).astype(np.uint8)
