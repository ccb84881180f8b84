"""DM3/DM4, EMD, HyperSpy HDF5, MRC, SER/EMI and TVIPS, read by RosettaSciIO.

We choose its reader ourselves, by the file's kind, so that none that would run code from a file is ever tried.
"""

import logging
import math
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from framedose.errors import FileFormatError, ImageError
from framedose.files.calibration import Scale, is_length
from framedose.files.source import Source

_READERS = {
    "DM": "digitalmicrograph",
    "EMD": "emd",
    "HyperSpy": "hspy",
    "MRC": "mrc",
    "TIA": "tia",
    "TVIPS": "tvips",
}
# Read in pieces of one frame, where RosettaSciIO lets us choose; SER it can only read as a whole.
_CHUNKED, _WHOLE = ("DM", "MRC"), ("TIA",)
_SPECTRA = ("EELS", "EDS_TEM", "EDS_SEM", "CL")
_ELECTRONS = ("e-", "electron", "electrons")

# What the header of an MRC file says of its version, and IMOD of itself.
_MRC_2014, _IMOD = 2014, 1146047817

# Where a format keeps the exposure of a frame [s]; {index} is the number of the image in the file.
_EXPOSURES = (
    "metadata.Acquisition_instrument.TEM.Detector.Camera.exposure",
    "original_metadata.ObjectInfo.AcquireInfo.DwellTimePath",
    "original_metadata.ImageList.TagGroup{index}.ImageTags.Acquisition.Parameters.High Level.Exposure (s)",
    "original_metadata.ImageList.TagGroup{index}.ImageTags.DataBar.Exposure Time (s)",
    "original_metadata.Detectors.Detector-{detector}.ExposureTime",
    "original_metadata.fei_header.exp_time",
)
# Where a format keeps the mode of the microscope, which begins with STEM where it was that.
_MODES = (
    "metadata.Acquisition_instrument.TEM.acquisition_mode",
    "original_metadata.ObjectInfo.ExperimentalDescription.Mode",
    "original_metadata.ImageList.TagGroup{index}.ImageTags.Microscope Info.Illumination Mode",
)
# And where one keeps what recorded the image: a unit that scans, or one of several detectors.
_SCAN_UNIT = "original_metadata.ImageList.TagGroup{index}.ImageTags.DigiScan"
_DETECTOR_TYPE = "original_metadata.Detectors.Detector-{detector}.DetectorType"
_BRIGHTNESS = "original_metadata.ImageList.TagGroup{index}.ImageData.Calibrations.Brightness"
_DETECTOR = "original_metadata.BinaryResult.DetectorIndex"


def open_rosetta(path: Path, kind: str) -> Source:
    """Find the one image or stack of a file.

    Parameters
    ----------
    path
        The file.
    kind
        ``"DM"``, ``"EMD"``, ``"HyperSpy"``, ``"MRC"``, ``"TIA"`` or ``"TVIPS"``.

    Raises
    ------
    FileFormatError
        If the file holds no image, or several.
    ImageError
        If the image is a spectrum image, or has more than one axis of frames.
    """
    signals = _signals(path, kind)
    images = [index for index, signal in enumerate(signals) if signal["data"].ndim >= 2]
    if not images:
        raise FileFormatError(f"{path}: holds no image ({_names(signals)}). Give the image that belongs to it.")
    if len(images) > 1:
        raise FileFormatError(
            f"{path}: holds {len(images)} images ({_names([signals[i] for i in images])}). Save the one to use alone."
        )
    (index,) = images
    signal = signals[index]
    data = signal["data"]
    if signal["metadata"].get("Signal", {}).get("signal_type") in _SPECTRA:
        raise ImageError(f"{path}: is a spectrum image of shape {data.shape}; give a micrograph.")
    if data.ndim > 3:
        raise ImageError(f"{path}: has the shape {data.shape}; split it into stacks with one axis of frames.")
    axes = signal["axes"]
    if kind == "EMD" and [is_length(_unit(axis)) for axis in axes] == [True, True, False]:
        # Some programs write x first, others time; RosettaSciIO takes the first for granted.
        data, axes = data.T, axes[::-1]
    frames = len(data) if data.ndim == 3 else 1
    if kind in _CHUNKED and data.nbytes > path.stat().st_size:
        # Nothing is packed here; the mere list of the pieces of so many frames would take for ever.
        raise FileFormatError(
            f"{path}: is damaged or truncated, the shape {data.shape} of its header needs {data.nbytes} bytes. Copy it "
            "again from its source."
        )
    if data.ndim == 3 and kind in _CHUNKED:
        data = _signals(path, kind, chunks=(1, -1, -1))[index]["data"]
    if kind == "MRC" and data.dtype == np.uint8 and _is_signed(path):
        data = data.view(np.int8)
    return Source(
        frames,
        np.dtype(np.uint8) if data.dtype.names else data.dtype,
        lambda frame: _frame(data, frame),
        _decoded_pixels(data),
        scale=None if kind == "MRC" and _has_no_cell(signal) else _scale(axes[-2:]),
        exposure=_exposure(signal, index),
        electrons=_electrons(signal, index),
        scanned=_is_scanned(signal, index),
    )


def _signals(path: Path, kind: str, **options: Any) -> list[dict[str, Any]]:
    file_reader = import_module(f"rsciio.{_READERS[kind]}").file_reader
    with _quiet():
        try:
            signals = file_reader(str(path), lazy=kind not in _WHOLE, **options)
        except ValueError as error:
            if "RGBA" not in str(error):
                raise
            signals = file_reader(str(path), lazy=False)
    return list(signals)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what RosettaSciIO says of metadata that we do not use."""
    logger = logging.getLogger("rsciio")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _frame(data: Any, frame: int) -> npt.NDArray[Any]:
    """Return one frame of a NumPy or Dask array, colours as a last axis."""
    chosen = data[frame] if data.ndim == 3 else data
    if hasattr(chosen, "compute"):
        from dask.local import get_sync  # Its name alone would load the whole of distributed.

        chosen = chosen.compute(scheduler=get_sync)
    if chosen.dtype.names:
        return np.stack([chosen[name] for name in ("R", "G", "B")], axis=-1)
    return np.asarray(chosen)


def _decoded_pixels(data: Any) -> int:
    """Return the pixels of a frame, or of the pieces that it lies in where these are larger."""
    piece = math.prod(max(sizes) for sizes in data.chunks) if hasattr(data, "chunks") else data.size
    return int(max(math.prod(data.shape[-2:]), piece))


def _names(signals: Sequence[Mapping[str, Any]]) -> str:
    titles = (
        signal["metadata"]["General"].get("title") or signal["metadata"]["General"]["original_filename"]
        for signal in signals
    )
    return ", ".join(f"{title} {signal['data'].shape}" for title, signal in zip(titles, signals, strict=True))


def _scale(axes: Sequence[Mapping[str, Any]]) -> Scale:
    y, x = axes
    return Scale(float(y["scale"]), float(x["scale"]), _unit(y), _unit(x))


def _unit(axis: Mapping[str, Any]) -> str:
    return str(axis.get("units") or "")


def _has_no_cell(signal: Mapping[str, Any]) -> bool:
    # RosettaSciIO then says 1 nm.
    return not all(int(signal["original_metadata"]["std_header"][key]) > 0 for key in ("MX", "MY"))


def _is_signed(path: Path) -> bool:
    """Return whether bytes (mode 0) are signed: in files of MRC2014, unless IMOD says otherwise; not in older ones.

    The words of the header are those of www.ccpem.ac.uk/mrc_format/mrc2014.php and bio3d.colorado.edu/imod.
    """
    with path.open("rb") as file:
        header = file.read(160)
    (version,), (stamp, flags) = struct.unpack("<i", header[108:112]), struct.unpack("<iI", header[152:160])
    return bool(flags & 1) if stamp == _IMOD else version // 10 == _MRC_2014


def _exposure(signal: Mapping[str, Any], index: int) -> float | None:
    detector = _at(signal, _DETECTOR)
    for path in _EXPOSURES:
        value = _number(_at(signal, path.format(index=index, detector=detector)))
        if value is not None and value > 0:
            return value
    return None


def _is_scanned(signal: Mapping[str, Any], index: int) -> bool:
    """Return whether the file says that the image was recorded in STEM."""
    modes = (str(_at(signal, path.format(index=index))).strip().upper() for path in _MODES)
    detector = _at(signal, _DETECTOR_TYPE.format(detector=_at(signal, _DETECTOR)))
    has_unit = _at(signal, _SCAN_UNIT.format(index=index)) is not None
    return has_unit or detector == "ScanningDetector" or any(mode.startswith("STEM") for mode in modes)


def _electrons(signal: Mapping[str, Any], index: int) -> tuple[float, float] | None:
    """Return the intensity calibration of DigitalMicrograph if it is in electrons."""
    brightness = _at(signal, _BRIGHTNESS.format(index=index)) or {}
    gain, zero = _number(brightness.get("Scale")), _number(brightness.get("Origin"))
    if str(brightness.get("Units")).strip().lower() not in _ELECTRONS or not gain or gain <= 0 or zero is None:
        return None
    return gain, zero


def _at(tree: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a path of keys, or None."""
    for key in path.split("."):
        if not isinstance(tree, Mapping) or key not in tree:
            return None
        tree = tree[key]
    return tree


def _number(value: Any) -> float | None:
    try:
        # An extended header of MRC has a value for each of 1024 frames.
        number = float(np.ravel(value)[0])
    except (TypeError, ValueError, IndexError):
        return None
    return number if math.isfinite(number) else None
