"""Every file of the real data is read as its manifest says, or refused with the reason."""

import numpy as np
import pytest

from framedose.errors import CalibrationError, FileFormatError, ImageError
from framedose.files import read

ROSETTA, NCEM, NION = "readers_rosettasciio/", "readers_ncempy/", "readers_nionswift_io/"

# File, options, (frames, y, x), sampling [Å/px], lowest and highest value over all frames.
READ = [
    (ROSETTA + "digitalmicrograph_2D_multi_signal.dm3", {}, (1, 512, 512), 0.177516, (0, 9739)),
    (ROSETTA + "digitalmicrograph_2D_test-1.dm3", {"sampling": 0.5}, (1, 2, 2), 0.5, (1, 4)),
    (ROSETTA + "digitalmicrograph_2D_test-1.dm4", {"sampling": 0.5}, (1, 2, 2), 0.5, (1, 4)),
    (ROSETTA + "digitalmicrograph_2D_test_STEM_image.dm3", {}, (1, 68, 68), 2.48538, (29407, 36106)),
    (ROSETTA + "digitalmicrograph_3D_test-1.dm3", {"sampling": 0.5}, (2, 2, 2), 0.5, (1, 8)),
    (ROSETTA + "digitalmicrograph_3D_test-2.dm4", {"sampling": 0.5}, (2, 2, 2), 0.5, (1, 8)),
    (ROSETTA + "digitalmicrograph_test_stackbuilder_imagestack.dm3", {}, (3, 2, 16), 599.829, (593415, 640661)),
    (ROSETTA + "emd_example_image.emd", {"sampling": 0.5}, (1, 3, 3), 0.5, (0, 8)),
    (ROSETTA + "tia_new_128x128-TEM_search.emi", {}, (1, 128, 128), 52.6121, (255, 14171)),
    (ROSETTA + "tia_new_128x128-TEM_search_1.ser", {}, (1, 128, 128), 52.6121, (255, 14171)),
    (ROSETTA + "tia_new_128x128_TEM_acquire-sum1.emi", {}, (1, 128, 128), 214.793, (-473, 482)),
    (ROSETTA + "tia_new_128x128_TEM_acquire-sum1_1.ser", {}, (1, 128, 128), 214.793, (-473, 482)),
    (ROSETTA + "tia_old_64x64_TEM_images_acquire.emi", {}, (1, 64, 64), 62.8183, (7737.38, 49743)),
    (ROSETTA + "tia_old_64x64_TEM_images_acquire_1.ser", {}, (1, 64, 64), 62.8183, (7737.38, 49743)),
    (ROSETTA + "tia_old_64x64x5_TEM_preview.emi", {}, (5, 64, 64), 62.8183, (345.939, 2818.54)),
    (ROSETTA + "tia_old_64x64x5_TEM_preview_1.ser", {}, (5, 64, 64), 62.8183, (345.939, 2818.54)),
    # The colour picture beside the image is not data.
    (ROSETTA + "tiff_olympus_SIS.tif", {"sampling": 0.5}, (1, 101, 112), 0.5, (5469, 11339)),
    (ROSETTA + "tiff_test_dm_image_um_unit.dm3", {}, (1, 68, 68), 1686.75, (2866, 3774)),
    (ROSETTA + "tiff_test_loading_image_saved_with_DM.tif", {}, (1, 68, 68), 1686.75, (2866, 3774)),
    (ROSETTA + "tiff_test_loading_image_saved_with_DM_stack.tif", {"sampling": 0.5}, (2, 68, 68), 0.5, (2866, 3774)),
    (ROSETTA + "tiff_test_loading_image_saved_with_imageJ.tif", {}, (1, 68, 68), 1686.75, (2866, 3774)),
    (
        ROSETTA + "tiff_test_loading_image_saved_with_imageJ_no_scale.tif",
        {"sampling": 0.5},
        (1, 68, 68),
        0.5,
        (2866, 3774),
    ),
    (ROSETTA + "tiff_test_loading_image_saved_with_imageJ_stack.tif", {}, (2, 68, 68), 1686.75, (2866, 3774)),
    (
        ROSETTA + "tiff_test_loading_image_saved_with_imageJ_stack_no_scale.tif",
        {"sampling": 0.5},
        (2, 68, 68),
        0.5,
        (2866, 3774),
    ),
    (NCEM + "Camera Ceta Imaging Micro.emd", {}, (1, 512, 512), 31.3884, (-10, 7)),
    # 30 x 0.02 Å, so only with a pixel size of the user's.
    (NCEM + "dmTest_3D_int16_64,65,66.dm3", {"sampling": 0.5}, (66, 65, 64), 0.5, (0, 63)),
    (NCEM + "temp.mrc", {}, (3, 128, 128), 2.0, (5.61329e-05, 0.999993)),
    *((NION + f"ref_F_0_2.dm{n}", {"sampling": 0.5}, (1, 3, 2), 0.5, (0, 5)) for n in (3, 4)),
    *((NION + f"ref_F_1_2.dm{n}", {"sampling": 0.5}, (4, 3, 2), 0.5, (0, 23)) for n in (3, 4)),
    *((NION + f"ref_T_0_2.dm{n}", {"sampling": 0.5}, (3, 4, 5), 0.5, (0, 59)) for n in (3, 4)),
    ("holospy_ultrascan_vacuum/00_ref_Vbp_130V_0V_bin2_crop.hdf5", {}, (1, 512, 512), 9.19752, (1389, 6448)),
    ("holospy_ultrascan_vacuum/01_holo_Vbp_130V_0V_bin2_crop.hdf5", {}, (1, 512, 512), 9.19752, (620, 6357)),
    ("im2model_SnO2/4_SnO2_0.0288nm.tif", {"sampling": 0.288}, (1, 1024, 1024), 0.288, (0, 65025)),
    ("scottlab_hrtem_generalization/Au5nm_0.png", {"sampling": 0.77}, (1, 132, 133), 0.77, (55, 226)),
]

# File, options, error, words of the reason.
REFUSED = [
    (ROSETTA + "digitalmicrograph_2D_test-1.dm3", {}, CalibrationError, "--sampling"),
    (ROSETTA + "digitalmicrograph_2D_test-14.dm3", {}, ImageError, "boolean"),
    (ROSETTA + "digitalmicrograph_2D_test_diffraction_pattern.dm3", {"sampling": 1}, CalibrationError, "1/nm"),
    (ROSETTA + "digitalmicrograph_2D_test_diffraction_pattern_tags_removed.dm3", {}, CalibrationError, "1/nm"),
    (ROSETTA + "digitalmicrograph_2D_test_fft_packed_complex8.dm4", {"sampling": 1}, ImageError, "complex"),
    (ROSETTA + "digitalmicrograph_3D_test-1.dm3", {}, CalibrationError, "--sampling"),
    (ROSETTA + "digitalmicrograph_3D_test-2.dm4", {}, CalibrationError, "--sampling"),
    (ROSETTA + "emd_example_image.emd", {}, CalibrationError, "--sampling"),
    (ROSETTA + "emd_fei_example_complex_fft.emd", {}, ImageError, "complex"),
    (ROSETTA + "tia_old_64x64_diffraction_acquire.emi", {}, CalibrationError, "1 / nm"),
    (ROSETTA + "tia_old_64x64_diffraction_acquire_1.ser", {}, CalibrationError, "not plausible"),
    (ROSETTA + "tiff_JEOL-SightX-TEM-mag-dummy.tif.gz", {}, FileFormatError, "unpack"),
    (ROSETTA + "tiff_TVIPS_bin4.zip", {}, FileFormatError, "unpack"),
    (ROSETTA + "tiff_olympus_SIS.tif", {}, CalibrationError, "--sampling"),
    (ROSETTA + "tiff_test_loading_image_saved_with_DM_stack.tif", {}, CalibrationError, "square.*16867.4 x 1686.74 Å"),
    (ROSETTA + "tiff_test_loading_image_saved_with_imageJ_no_scale.tif", {}, CalibrationError, "--sampling"),
    (ROSETTA + "tiff_test_loading_image_saved_with_imageJ_stack_no_scale.tif", {}, CalibrationError, "--sampling"),
    (ROSETTA + "tvips_test_tvips_2233_000.tvips", {}, CalibrationError, "1/nm"),
    (NCEM + "Camera Ceta Diffraction Micro.emd", {}, CalibrationError, "1 / nm"),
    (NCEM + "dmTest_3D_int16_64,65,66.dm3", {"allow_unequal": True}, CalibrationError, "wrong entry"),
    (NCEM + "dmTest_float32_nonSquare_diffPixelSize.dm3", {}, CalibrationError, "2 x 10 Å.*--allow-unequal"),
    (NCEM + "emd_type1_stringDims.h5", {"sampling": 1}, ImageError, r"\(6, 5, 4, 3\)"),
    *((NION + f"ref_F_0_2.dm{n}", {}, CalibrationError, "µ.*not a length") for n in (3, 4)),
    *((NION + f"ref_F_1_2.dm{n}", {}, CalibrationError, "µn.*not a length") for n in (3, 4)),
    *((NION + f"ref_F_2_1.dm{n}", {"sampling": 1}, ImageError, "spectrum") for n in (3, 4)),
    *((NION + f"ref_T_0_2.dm{n}", {}, CalibrationError, "µn.*not a length") for n in (3, 4)),
    *((NION + f"ref_{name}.dm5", {"sampling": 1}, FileFormatError, "DM4") for name in ("F_0_2", "F_1_2", "F_2_1")),
    (NION + "ref_T_0_2.dm5", {}, FileFormatError, "DM4"),
    ("im2model_SnO2/4_SnO2_0.0288nm.tif", {}, CalibrationError, "--sampling"),
    ("ucam_soot/ExampleImage.tif", {"sampling": 0.555}, ImageError, "colour"),
    ("ucam_soot/ExampleImage_px-nm.mat", {}, FileFormatError, "export it as TIFF"),
    ("scottlab_hrtem_generalization/Au5nm_0.png", {}, CalibrationError, "--sampling"),
    ("emilys_thonrings/img_1.raw", {"sampling": 1}, FileFormatError, "numpy.fromfile"),
    ("emilys_thonrings/Merlin-200keV-SPCM016.mtf", {}, FileFormatError, "export it as TIFF"),
]


@pytest.mark.parametrize(("name", "options", "shape", "sampling", "limits"), READ)
def test_read(real_data, name, options, shape, sampling, limits):
    frames = read(real_data / name, **options)
    images = np.stack([frame.image for frame in frames])
    assert images.shape == shape
    assert images.dtype == np.float32
    assert [frame.sampling for frame in frames] == pytest.approx([sampling] * len(frames), rel=1e-5)
    assert (images.min(), images.max()) == pytest.approx(limits, rel=1e-5)
    assert [frame.frame for frame in frames] == list(range(shape[0]))


@pytest.mark.parametrize(("name", "options", "error", "words"), REFUSED)
def test_refused(real_data, name, options, error, words):
    with pytest.raises(error, match=words) as caught:
        list(read(real_data / name, **options))
    assert str(real_data / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_reader_file_is_forgotten(real_data):
    known = {name for name, *_ in (*READ, *REFUSED)}
    folders = (ROSETTA, NCEM, NION)
    there = {folder + file.name for folder in folders for file in (real_data / folder).iterdir()}
    texts = {folder + name for folder in folders for name in ("MANIFEST.tsv", "SOURCE.txt", "LICENSE", "COPYING.txt")}
    assert there - texts == {name for name in known if name.startswith(folders)}


@pytest.mark.parametrize(
    ("name", "exposure"),
    [
        (ROSETTA + "tiff_test_dm_image_um_unit.dm3", 0.5),
        (NCEM + "Camera Ceta Imaging Micro.emd", 0.4),
        (ROSETTA + "tia_new_128x128-TEM_search.emi", 0.1),
        (ROSETTA + "tia_new_128x128-TEM_search_1.ser", None),
        ("holospy_ultrascan_vacuum/00_ref_Vbp_130V_0V_bin2_crop.hdf5", 10.0),
    ],
)
def test_exposure(real_data, name, exposure):
    assert read(real_data / name)[0].exposure == exposure


def test_unequal_sides_are_resampled_on_demand(real_data):
    (frame,) = read(real_data / NCEM / "dmTest_float32_nonSquare_diffPixelSize.dm3", allow_unequal=True)
    # 2 Å along y, 10 Å along x: the field stays.
    assert frame.image.shape == (64, 640)
    assert frame.sampling == 2.0
    assert any("2 x 10 Å" in flag for flag in frame.flags)


def is_scanned(path):
    return any(flag.startswith("scanned: ") for frame in read(path) for flag in frame.flags)


@pytest.mark.parametrize(
    ("name", "scanned"),
    [
        (ROSETTA + "digitalmicrograph_2D_multi_signal.dm3", True),
        (ROSETTA + "digitalmicrograph_2D_test_STEM_image.dm3", True),
        (ROSETTA + "tiff_test_dm_image_um_unit.dm3", False),
        (ROSETTA + "tia_new_128x128-TEM_search.emi", False),
        (NCEM + "Camera Ceta Imaging Micro.emd", False),
    ],
)
def test_images_of_stem_are_flagged(real_data, name, scanned):
    assert is_scanned(real_data / name) == scanned


# What differs in a file of the same program from STEM.
STEM = [
    # The third detector of that microscope is DF2.
    ((NCEM + "Camera Ceta Imaging Micro.emd",), {b'"DetectorIndex":"1"': b'"DetectorIndex":"2"'}),
    (
        (ROSETTA + "tia_old_64x64_TEM_images_acquire.emi", ROSETTA + "tia_old_64x64_TEM_images_acquire_1.ser"),
        # A camera in STEM would record diffraction patterns.
        {b" TEM uP SA Zoom Image": b"STEM uP SA Zoom Image", b"CameraNamePath": b"WithoutACamera"},
    ),
]


@pytest.mark.parametrize(("names", "changes"), STEM)
def test_the_same_files_from_stem(real_data, tmp_path, names, changes):
    for name in names:
        content = (real_data / name).read_bytes()
        for old, new in changes.items():
            assert len(new) == len(old)
            assert old in content or name != names[0]
            content = content.replace(old, new)
        (tmp_path / (real_data / name).name).write_bytes(content)
    assert is_scanned(tmp_path / (real_data / names[0]).name)
