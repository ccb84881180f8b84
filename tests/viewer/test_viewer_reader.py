"""Files become layers, through napari itself."""

import dask.array
import numpy as np
import pytest

from framedose.files import Frames, read, write_tiff

pytest.importorskip("napari", reason="needs the extra napari")


def test_a_series_a_frame_a_folder_and_what_cannot_be_read(viewer, series, tmp_path, said):
    """One window for all: opening it takes longest."""
    from framedose.viewer.layers import frames_of, sampling_of
    from framedose.viewer.reader import get_reader

    (layer,) = viewer.open(str(series), plugin="framedose")
    assert isinstance(layer.data, dask.array.Array)
    assert layer.data.chunks[0] == (1, 1, 1, 1)
    np.testing.assert_array_equal(layer.data.compute(), [frame.image for frame in read(series)])
    assert layer.scale.tolist() == pytest.approx([1, 0.03, 0.03])
    assert [str(unit) for unit in layer.units] == ["pixel", "nanometer", "nanometer"]
    source = layer.metadata["framedose"]
    assert isinstance(source.frames, Frames)
    assert source.sampling == sampling_of(layer) == pytest.approx(0.3)
    assert not said()

    folder = tmp_path / "folder"
    folder.mkdir()
    for index in range(2):
        write_tiff(folder / f"{index}.tif", read(series)[index].image, 0.3)
    (layer,) = viewer.open(str(folder), plugin="framedose")
    assert layer.data.shape == (2, 64, 80)
    (layer,) = viewer.open(str(folder / "0.tif"), plugin="framedose")
    assert isinstance(layer.data, np.ndarray)
    assert layer.data.shape == (64, 80)

    # A frame that is damaged is said so when it is shown, and is not shown as if it were dark.
    data = np.stack([read(series)[0].image] * 3)
    data[2] = np.nan
    np.save(tmp_path / "bare.npy", data)
    (layer,) = viewer.open(str(tmp_path / "bare.npy"), plugin="framedose")
    assert layer.metadata["framedose"].sampling is None
    assert [str(unit) for unit in layer.units] == ["pixel"] * 3
    assert "no pixel size; give it with sampling" in said()[0]
    viewer.dims.set_point(0, 2)
    assert np.isnan(layer.data[2].compute()).all()
    assert "NaN" in said()[-1]
    # napari's own arrays are frames too, once they have a scale.
    plain = viewer.add_image(data[:2], scale=(1, 0.3, 0.3), units=("pixel", "angstrom", "angstrom"))
    assert frames_of(plain)[1].sampling == pytest.approx(0.3)

    count = len(viewer.layers)
    (tmp_path / "broken.tif").write_bytes(b"II*\0broken")
    viewer.open(str(tmp_path / "broken.tif"), plugin="framedose")
    assert len(viewer.layers) == count
    assert "broken.tif" in said()[-1]
    assert "\n" not in said()[-1]
    assert get_reader([str(series), str(series)]) is None
    assert get_reader(str(tmp_path / "text.txt")) is None
    (tmp_path / "empty").mkdir()
    assert get_reader(str(tmp_path / "empty")) is None


def test_the_manifest():
    npe2 = pytest.importorskip("npe2", reason="needs the extra napari")
    from npe2.manifest.utils import import_python_name

    from framedose.files.formats import _SUFFIXES

    manifest = npe2.PluginManifest.from_distribution("framedose")
    (reader,) = manifest.contributions.readers
    assert {pattern.removeprefix("*") for pattern in reader.filename_patterns} == set(_SUFFIXES)
    for command in manifest.contributions.commands:
        assert callable(import_python_name(command.python_name))
