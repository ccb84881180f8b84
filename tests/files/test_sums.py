from dataclasses import replace

import numpy as np
import pytest

from framedose import Micrograph, summed
from framedose.errors import CalibrationError, ImageError
from framedose.files import read, write_tiff
from framedose.files.sums import groups


def frame(number=0, **values):
    image = np.random.default_rng(number).poisson(3.0, (40, 50)).astype(np.float32)
    return Micrograph(image, 0.5, frame=number, **values)


class TestSummed:
    def test_adds_pixels_exposures_and_doses(self):
        frames = [frame(number, exposure=0.25, dose_per_area=1.5) for number in range(4)]
        total = summed(frames)
        np.testing.assert_array_equal(total.image, sum(each.image for each in frames))
        assert (total.exposure, total.dose_per_area, total.frame, total.sampling) == (1.0, 6.0, 0, 0.5)

    def test_one_frame_is_itself(self):
        single = frame(exposure=0.25, flags=("dead rows: 3",))
        total = summed([single])
        assert total.image is single.image
        assert (total.exposure, total.flags) == (0.25, ("dead rows: 3",))

    def test_frames_are_not_changed(self):
        frames = [frame(0), frame(1)]
        before = frames[0].image.copy()
        summed(frames)
        np.testing.assert_array_equal(frames[0].image, before)

    def test_a_dose_that_is_not_known_of_one_is_not_known(self):
        total = summed([frame(0, dose_per_area=2.0, exposure=1.0), frame(1, exposure=1.0)])
        assert total.dose_per_area is None
        assert total.exposure == 2.0

    def test_flags_of_any_frame_once(self):
        total = summed([frame(0), frame(1, flags=("dead rows: 3",)), frame(2, flags=("dead rows: 4", "8-bit: so"))])
        assert [flag.split(":")[0] for flag in total.flags] == ["dead rows", "8-bit"]

    def test_a_lazy_series(self, tmp_path):
        pixels = np.stack([frame(number).image for number in range(5)])
        write_tiff(tmp_path / "series.tif", pixels, 0.5)
        total = summed(read(tmp_path / "series.tif")[1:4])
        np.testing.assert_array_equal(total.image, pixels[1:4].sum(axis=0))
        assert total.frame == 1

    @pytest.mark.parametrize(
        ("other", "error", "said"),
        [
            (replace(frame(1), image=frame(1).image[:-1]), ImageError, r"shape \(39, 50\), but frame 0 has \(40, 50\)"),
            (replace(frame(1), quantity="electrons"), ImageError, "quantity electrons, but frame 0 has counts"),
            (replace(frame(1), sampling=0.6), CalibrationError, "0.6 Å, but frame 0 has 0.5 Å"),
        ],
    )
    def test_frames_that_differ_are_refused(self, other, error, said):
        with pytest.raises(error, match=said):
            summed([frame(0), other])

    def test_a_pixel_size_that_was_rounded_is_the_same(self):
        assert summed([frame(0), replace(frame(1), sampling=0.50004)]).sampling == 0.5

    def test_none_are_refused(self):
        with pytest.raises(ImageError, match="no frames"):
            summed([])


class TestGroups:
    def test_one_after_the_other(self):
        assert groups(6, 2) == [range(2), range(2, 4), range(4, 6)]

    def test_the_last_has_what_is_left_over(self):
        assert groups(8, 3) == [range(3), range(3, 8)]

    def test_singly(self):
        assert groups(3, 1) == [range(1), range(1, 2), range(2, 3)]

    def test_all(self):
        assert groups(5, 5) == [range(5)]
