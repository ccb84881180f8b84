import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift, zoom

from framedose.camera.noise import detect
from framedose.camera.passport import load_passport
from framedose.files.rawness import dead_lines, rawness_flags

SEEDS = 20
DOSES = (1, 3, 10, 30, 100, 300, 1000)  # Electrons per pixel.


def raw(seed, electrons=30.0, size=256):
    """A detected frame with fringes, a gradient and a bright edge, in electrons."""
    rng = np.random.default_rng(seed)
    size += 64  # The camera's filter is periodic.
    y, x = np.mgrid[:size, :size]
    turn = rng.uniform(0, np.pi)
    fringes = 0.15 * np.sin(2 * np.pi * 0.12 * (np.cos(turn) * x + np.sin(turn) * y))
    intensity = (
        1 + fringes * (np.hypot(y - size / 2, x - size / 2) < size / 4) + 0.2 * x / size + 0.2 * (y > 0.8 * size)
    )
    camera = load_passport(f"mtf{seed % 5 + 1}").ranges().draw(rng)
    return detect(intensity, electrons, camera, rng)[32:-32, 32:-32]


def counts(frame, gain=1.0):
    return np.clip(np.round(frame * gain + 100), 0, 65535).astype(np.uint16)


def names(pixels):
    return [flag.split(":")[0] for flag in rawness_flags(pixels)]


@pytest.mark.parametrize("electrons", DOSES)
class TestRawFramesHaveNoFlag:
    """At every dose and seed, so that the rate of false alarms is below one in a hundred."""

    def test_electrons(self, electrons):
        assert [names(raw(seed, electrons)) for seed in range(SEEDS)] == [[]] * SEEDS

    @pytest.mark.parametrize("gain", [1.0, 20.0])
    def test_counts(self, electrons, gain):
        assert [names(counts(raw(seed, electrons), gain)) for seed in range(SEEDS)] == [[]] * SEEDS

    @pytest.mark.parametrize("dtype", [np.uint16, np.float32])
    def test_counted_electrons(self, electrons, dtype):
        frames = [np.random.default_rng(seed).poisson(electrons, (256, 200)).astype(dtype) for seed in range(SEEDS)]
        assert [names(frame) for frame in frames] == [[]] * SEEDS


def test_very_few_counts_in_bytes_are_raw():
    for electrons in (0.01, 0.1, 1, 30):
        assert names(np.random.default_rng(0).poisson(electrons, (128, 128)).astype(np.uint8)) == []


@pytest.mark.parametrize("electrons", [1, 30, 1000])
@pytest.mark.parametrize("seed", range(5))
class TestProcessedFramesHaveOne:
    def stretched(self, seed, electrons):
        frame = raw(seed, electrons)
        low, high = np.percentile(frame, (0.5, 99.5))
        return np.clip((frame - low) / (high - low), 0, 1)

    @pytest.mark.parametrize("scale", [255.0, 1.0, 7.3])
    def test_eight_bit(self, seed, electrons, scale):
        bytes_ = np.round(self.stretched(seed, electrons) * 255)
        assert "8-bit" in names(bytes_.astype(np.uint8))
        assert "8-bit" in names((bytes_ / 255 * scale).astype(np.float32))
        assert "8-bit" in names((bytes_ * 257).astype(np.uint16))

    def test_clipped_and_saturated(self, seed, electrons):
        assert {"clipped", "saturated"} <= set(names(self.stretched(seed, electrons)))

    def test_saturated_counts(self, seed, electrons):
        frame = counts(raw(seed, electrons), 50)
        assert names(np.minimum(frame, int(np.percentile(frame, 95)))) == ["saturated"]

    @pytest.mark.parametrize(("block", "of"), [(2, "1/4"), (4, "1/16"), (3, "1/9")])
    def test_averaged(self, seed, electrons, block, of):
        frame = counts(raw(seed, electrons, size=288), 20).astype(np.float32)
        mean = frame.reshape(288 // block, block, 288 // block, block).mean(axis=(1, 3))
        assert f"1/{block**2}" in "".join(flag for flag in rawness_flags(mean) if flag.startswith("averaged"))
        assert "averaged" not in names(mean * block**2)

    def test_small_values_are_no_averages(self, seed, electrons):
        frame = counts(raw(seed, electrons)).astype(np.float64)
        for scale in (1e-6, 1e-9, 1e-15):
            assert "averaged" not in names(frame * scale / frame.max())

    def test_averaged_frames(self, seed, electrons):
        two = counts(raw(seed, electrons)).astype(np.float32) + counts(raw(seed + 100, electrons))
        assert any("1/2" in flag for flag in rawness_flags(two / 2))

    @pytest.mark.parametrize(
        ("by", "order"), [((0.5, 0.5), 1), ((0.5, 0), 1), ((0, 0.45), 1), ((0.5, 0.5), 3), ((0.4, 0.1), 3)]
    )
    def test_interpolated(self, seed, electrons, by, order):
        assert "interpolated" in names(shift(raw(seed, electrons), by, order=order, mode="reflect"))

    @pytest.mark.parametrize("width", [1.0, 1.5, 3.0])
    def test_denoised(self, seed, electrons, width):
        assert "smoothed" in names(gaussian_filter(raw(seed, electrons), width))

    def test_enlarged(self, seed, electrons):
        assert set(names(zoom(raw(seed, electrons), 2, order=1))) & {"smoothed", "interpolated"}

    def test_dead_lines(self, seed, electrons):
        frame = counts(raw(seed, electrons), 20)
        frame[40] = 0
        frame[:, 100:102] = frame.max()
        assert dead_lines(frame.astype(float), 0).tolist() == [40]
        assert dead_lines(frame.astype(float), 1).tolist() == [100, 101]
        assert names(frame) == ["dead rows", "dead columns"]


def test_a_dead_line_is_named():
    frame = counts(raw(0))
    frame[:, 17] = 3
    assert rawness_flags(frame) == ("dead columns: 1 dead or hot column (17)",)


@pytest.mark.parametrize("pixels", [np.full((50, 50), 3), np.full((50, 50), np.nan), np.eye(3)])
def test_images_without_noise_are_not_called_filtered(pixels):
    assert not [flag for flag in rawness_flags(pixels) if flag.startswith(("interpolated", "smoothed"))]


RAW = [
    "holospy_ultrascan_vacuum/00_ref_Vbp_130V_0V_bin2_crop.hdf5",
    "holospy_ultrascan_vacuum/01_holo_Vbp_130V_0V_bin2_crop.hdf5",
    "readers_ncempy/Camera Ceta Imaging Micro.emd",
    "readers_rosettasciio/tia_new_128x128_TEM_acquire-sum1_1.ser",
]


class TestRealFrames:
    @pytest.mark.parametrize("name", RAW)
    def test_raw(self, real_data, name):
        from framedose.files import read

        assert read(real_data / name)[0].flags == ()

    def test_raw_counts(self, real_data):
        for path in sorted((real_data / "emilys_thonrings").glob("*.raw")):
            assert names(np.fromfile(path, "<u2").reshape(512, 512)) == []

    def test_not_raw(self, real_data):
        from framedose.files import read

        assert "8-bit" in read(real_data / "im2model_SnO2/4_SnO2_0.0288nm.tif", sampling=0.288)[0].flags[0]
        for path in sorted((real_data / "scottlab_hrtem_generalization").glob("*[0-9].png")):
            assert "8-bit" in read(path, sampling=0.77)[0].flags[0]

    def test_a_scanned_image_with_its_black_level_set_too_high(self, real_data):
        from framedose.files import read

        frame = read(real_data / "readers_rosettasciio/digitalmicrograph_2D_multi_signal.dm3")[0]
        assert [flag.split(":")[0] for flag in frame.flags] == ["clipped", "scanned"]
