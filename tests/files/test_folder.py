import numpy as np
import pytest

from framedose.errors import CalibrationError, FileFormatError, ImageError
from framedose.files import read, write_tiff


def frame(number, shape=(6, 8)):
    image = np.full(shape, number, np.float32)
    image[0, 0] = -1
    return image


def numbers(frames):
    return [int(one.image[1, 1]) for one in frames]


def test_frames_come_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 100, 1):
        write_tiff(tmp_path / f"Frame {number}.tif", frame(number), 0.5)
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / ".hidden.tif").write_text("nothing")
    frames = read(tmp_path)
    assert numbers(frames) == [1, 9, 10, 100]
    assert [one.frame for one in frames] == [0, 1, 2, 3]
    assert frames[2].origin.endswith("Frame 10.tif")
    assert frames[2].sampling == pytest.approx(0.5)
    assert numbers(frames[-2:]) == [10, 100]


def test_an_in_situ_tree_is_in_the_order_of_time(tmp_path):
    expected = []
    for hour, minute, second, index in [(0, 0, 9, 0), (0, 0, 10, 0), (0, 0, 10, 1), (0, 2, 0, 0), (1, 0, 0, 0)]:
        place = tmp_path / f"Hour_{hour:02d}" / f"Minute_{minute:02d}" / f"Second_{second:02d}"
        place.mkdir(parents=True, exist_ok=True)
        expected.append(len(expected) + 1)
        name = f"series_Hour_{hour:02d}_Minute_{minute:02d}_Second_{second:02d}_Frame_{index:04d}.tif"
        write_tiff(place / name, frame(expected[-1]), 0.5)
    (tmp_path / "other").mkdir()
    write_tiff(tmp_path / "other" / "not of the series.tif", frame(99), 0.5)
    assert numbers(read(tmp_path)) == expected
    assert numbers(read(tmp_path / "Hour_00")) == expected[:-1]


@pytest.mark.parametrize(
    ("odd", "sampling", "error", "words"),
    [
        (frame(3, (6, 9)), 0.5, ImageError, r"b\.tif: has the shape \(6, 9\)"),
        (frame(3), 0.6, CalibrationError, r"b\.tif: has pixels of 0\.6 Å"),
        (np.stack([frame(3), frame(4)]), 0.5, FileFormatError, r"b\.tif: holds 2 frames"),
    ],
)
def test_a_file_that_is_unlike_the_first_is_named(tmp_path, odd, sampling, error, words):
    write_tiff(tmp_path / "a.tif", frame(1), 0.5)
    write_tiff(tmp_path / "b.tif", odd, sampling)
    with pytest.raises(error, match=words):
        list(read(tmp_path))


def test_a_given_pixel_size_makes_them_alike(tmp_path):
    write_tiff(tmp_path / "a.tif", frame(1), 0.5)
    write_tiff(tmp_path / "b.tif", frame(2), 0.6)
    assert [one.sampling for one in read(tmp_path, sampling=0.55)] == [0.55, 0.55]


def test_a_folder_without_frames(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(FileFormatError, match="holds no file"):
        read(tmp_path)


def test_files_are_opened_when_they_are_asked_for(tmp_path):
    write_tiff(tmp_path / "a.tif", frame(1), 0.5)
    (tmp_path / "b.tif").write_bytes(b"damaged")
    frames = read(tmp_path)
    assert len(frames) == 2
    assert numbers(frames[:1]) == [1]
    with pytest.raises(FileFormatError, match=r"b\.tif"):
        frames[1]


def test_a_frame_in_two_formats_is_not_two_frames(tmp_path):
    for number in (1, 2):
        write_tiff(tmp_path / f"f_{number}.tif", frame(number), 0.5)
    np.save(tmp_path / "f_2.npy", frame(2))
    with pytest.raises(FileFormatError, match=r"holds 'f_2\.\w+' and 'f_2\.\w+', one frame in two formats"):
        read(tmp_path)
