"""A recorded series as the evaluation wants it: one specimen at rising dose, with what is seen at the end as truth."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from framedose.camera.noise import Camera, detect
from framedose.camera.passport import CameraPassport, load_passport
from framedose.cleaning.borders import data_window
from framedose.cleaning.cleaned import cleaned
from framedose.config import digest
from framedose.errors import CalibrationError, ConfigurationError, ImageError
from framedose.evaluation.series import Floats, Images, Predict
from framedose.files import read
from framedose.kinds import FieldKind
from framedose.micrograph import Micrograph
from framedose.provenance import file_digest
from framedose.random import generator
from framedose.units import electrons_per_pixel

# Frames of vacuum that are drawn at each dose.
_VACUUM = 4


class RecordedSeries:
    """Frames of one specimen at rising dose (an ``evaluation.series.Series``).

    What has no data in some frame, the borders that a drift correction leaves, is cut off all of them.
    The truth is what a predictor sees in the last frames (the paper's pseudo ground truth); areas are shares of that.
    No camera records vacuum at every dose along the way: the null test is on vacuum drawn by the camera's own model.

    Parameters
    ----------
    frames
        Micrographs of one pixel size and shape.
    doses
        Their doses [e/Å2], in any order, all different.
    camera
        Draws the vacuum.
    made_from
        Hash of the frames, the doses and the camera.
    seed
        Of the vacuum.

    Raises
    ------
    ImageError
        If there are fewer than three frames, they differ in size, or two have the same dose.
    """

    def __init__(
        self, frames: Sequence[Micrograph], doses: Sequence[float], camera: Camera, *, made_from: str, seed: int
    ) -> None:
        if len(frames) < 3:
            raise ImageError(f"A dose series needs at least 3 frames, got {len(frames)}.")
        first = frames[0]
        other = next((f for f in frames if f.image.shape != first.image.shape or f.sampling != first.sampling), None)
        if other is not None:
            raise ImageError(
                f"All frames of a series must have one size and pixel size, {first.origin}, frame {first.frame} has "
                f"{first.image.shape} of {first.sampling:g} Å, {other.origin}, frame {other.frame} has "
                f"{other.image.shape} of {other.sampling:g} Å. Leave those out, or evaluate them apart."
            )
        values, counts = np.unique(doses, return_counts=True)
        if (counts > 1).any():
            raise ImageError(
                f"{counts.max()} frames have the dose {values[counts.argmax()]:g} e/Å2: give one frame of each dose."
            )
        order = np.argsort(doses)
        window = _common_window(frames)
        self._frames = [cleaned(frames[index].image[window]).image for index in order]
        self.made_from = made_from
        self.sampling, self._camera, self._seed = first.sampling, camera, seed
        self.doses = np.asarray(doses, dtype=np.float64)[order]
        self.masks = np.zeros((1, *self._frames[0].shape), dtype=bool)

    def with_truth(self, predict: Predict, *, frames: int, threshold: float) -> "RecordedSeries":
        """Return the series with the mask that a predictor sees on average in its last ``frames`` as truth.

        Raises
        ------
        ImageError
            If it sees nothing there.
        ConfigurationError
            If the series has not as many frames, and one more.
        """
        if not 1 <= frames < len(self._frames):
            raise ConfigurationError(
                f"--truth-frames must lie between 1 and {len(self._frames) - 1} for a series of {len(self._frames)} "
                f"frames, got {frames}."
            )
        last = np.stack(self._frames[-frames:])
        mask = predict(last, np.full(len(last), self.sampling)).mean(axis=0) >= threshold
        if not mask.any():
            raise ImageError(
                f"Nothing is seen in the last {frames} frames of the series (threshold {threshold:g}), so there is "
                "nothing to compare earlier ones with. Record a higher dose, or lower --threshold."
            )
        series = object.__new__(RecordedSeries)
        made_from = digest([self.made_from, frames, threshold])
        series.__dict__.update(self.__dict__, masks=mask[None], made_from=made_from)
        return series

    def samplings(self, kind: FieldKind) -> Floats:
        """Return the pixel size [Å/px], once for each frame of a kind."""
        return np.full({"particle": 1, "support": 0, "vacuum": _VACUUM}[kind], self.sampling)

    def images(self, dose_index: int) -> Images:
        """Return the frame of a dose, (1, y, x)."""
        frame: Images = self._frames[dose_index][None]
        return frame

    def vacuum(self, dose_index: int) -> Images:
        """Return drawn frames of vacuum, (n, y, x)."""
        electrons = electrons_per_pixel(float(self.doses[dose_index]), self.sampling)
        flat = np.ones((_VACUUM, *self.masks.shape[1:]), dtype=np.float32)
        frames: Images = detect(flat, electrons, self._camera, generator(self._seed, "vacuum", dose_index))
        return frames

    def support(self, dose_index: int) -> Images:
        """Return frames of bare support: none."""
        return np.empty((0, *self.masks.shape[1:]), dtype=np.float32)


def _common_window(frames: Sequence[Micrograph]) -> tuple[slice, slice]:
    """Return the rows and columns that have data in all frames: a drift correction leaves borders of many widths."""
    windows = [data_window(frame.image) for frame in frames]
    rows, columns = (
        slice(max(side.start for side in sides), min(side.stop for side in sides))
        for sides in zip(*windows, strict=True)
    )
    for side, size in zip((rows, columns), frames[0].image.shape, strict=True):
        if side.stop - side.start < size / 2:
            raise ImageError(
                f"{frames[0].origin}: less than half of the frames is common to all, their borders without data lie on "
                "different sides. Leave out those that drifted most."
            )
    return rows, columns


def read_series(
    paths: Sequence[Path], *, sampling: float | None, doses: Path | None, camera: str | None, seed: int
) -> RecordedSeries:
    """Read a series of micrographs.

    Parameters
    ----------
    paths
        Files and folders of micrographs.
    sampling
        Pixel size [Å/px], where the files have none.
    doses
        As the ``table`` of :func:`doses_of`.
    camera
        Passport of the camera, by its name or file.
    seed
        Of the vacuum that is drawn for the null test.

    Raises
    ------
    ConfigurationError, CalibrationError, ImageError, FileFormatError
        If no camera is given, doses or pixel sizes are not known, or the frames are no series.
    """
    files = [read(path, sampling=sampling) for path in paths]
    if camera is None:
        raise ConfigurationError(
            "Micrographs need --camera, a passport of framedose calibrate or a shipped one such as oneview: it draws "
            "the vacuum of the null test, and tells doses from counts."
        )
    passport = load_passport(camera)
    frames = [frame for one in files for frame in one]
    hashes = [file_digest(path) for one in files for path in one.files]
    known = doses_of(frames, doses, passport)
    made_from = digest([hashes, known, passport.model_dump(mode="json"), sampling, seed])
    return RecordedSeries(frames, known, passport.simulated(), made_from=made_from, seed=seed)


def doses_of(frames: Sequence[Micrograph], table: Path | None, camera: CameraPassport) -> list[float]:
    """Return the dose of each frame [e/Å2]: from a table, from the file, or from the mean count and the camera's gain.

    Parameters
    ----------
    frames
        The micrographs.
    table
        CSV with a column ``dose`` and a line for each frame, in their order; other columns are not looked at.
    camera
        Passport whose gain is used where the file does not know the dose.

    Raises
    ------
    ConfigurationError
        If the table does not hold as many positive numbers.
    CalibrationError
        If a frame's dose cannot be known.
    """
    if table is not None:
        return _read_doses(table, len(frames))
    found = [camera.dose_of(frame) for frame in frames]
    unknown = next((frame for frame, dose in zip(frames, found, strict=True) if dose is None), None)
    if unknown is not None:
        raise CalibrationError(
            f"{unknown.origin}, frame {unknown.frame}: its dose is not known, neither from the file nor from the "
            "camera's gain. Give --doses doses.csv, with a column dose [e/Å2] and a line for each frame."
        )
    return [dose for dose in found if dose is not None]


def _read_doses(table: Path, frames: int) -> list[float]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            doses = [float(row["dose"]) for row in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigurationError(f"--doses {table}: needs a column 'dose' of numbers, got {reason}.") from error
    if len(doses) != frames or not all(np.isfinite(dose) and dose > 0 for dose in doses):
        raise ConfigurationError(
            f"--doses {table}: needs one positive dose for each of the {frames} frames, got {len(doses)} lines"
            f"{', some not positive' if len(doses) == frames else ''}."
        )
    return doses
