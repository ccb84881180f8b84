"""The paper's figures at a size of seconds: what is shared, what is recorded, and what is refused."""

import json

import numpy as np
import pytest

from framedose.camera.passport import load_passport
from framedose.cli import main
from framedose.config import merged
from framedose.dataset.store import ImageSet
from framedose.errors import ConfigurationError, OutputExistsError
from framedose.paper import results, workshop
from framedose.paper.results import RESULTS, PaperResult, chosen_results, reproduce
from framedose.paper.scales import SCALES, Scale, scale_of
from framedose.paper.series_figures import area_ratio
from framedose.paper.workshop import Trained, Workshop
from framedose.study.config import study_config
from framedose.study.recorded import RecordedSeries

TINY = {
    "dataset": {
        "structures": 6,
        "validation_structures": 3,
        "image_epochs": 2,
        "support_share": 0.0,
        "vacuum_share": 0.0,
        "gpts": 256,
        "margin": 16,
        "binning": 4,
        "specimen": {"radius": {"low": 4.0, "high": 6.0}, "thickness": {"low": 5.0, "high": 8.0}},
        "exit_wave": {"sampling": 0.2, "band_limit": 1.6},
    },
    "unet": {"network": {"width": 2, "poolings": 2}, "training": {"steps": 3, "batch": 2}},
    "msdnet": {"network": {"layers": 3, "width": 1, "kernel": 3}, "training": {"steps": 3, "batch": 2}},
    # Networks of three steps see everything at this one.
    "evaluation": {"threshold": 0.05, "resamples": 100},
}
IDS = ["fig1", "fig4", "soi3", "soi5", "soi9", "table1", "table2", "table3"]


def tiny(folder, seed=0, **changes):
    scale = Scale(
        study=study_config("quick", merged(TINY, {"seed": seed})),
        training_sizes=(2, 6),
        replica_structures=2,
        replica_frames=5,
        ramp_frames=6,
        empty=1,
        vacuum_frames=6,
    )
    return Workshop(folder, scale, **changes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A reproduction of some figures; the workshop and the record."""
    shop = tiny(tmp_path_factory.mktemp("reproduce") / "out")
    return shop, reproduce(IDS, shop, scale="tiny")


def test_every_result_is_recorded_with_its_files(made):
    shop, record = made
    assert json.loads((shop.folder / "reproduce.json").read_text()) == json.loads(json.dumps(list(record.values())))
    assert list(record) == IDS
    for name, result in record.items():
        assert result["id"] == name
        assert result["status"] == "done"
        assert result["scale"] == "tiny"
        assert result["files"]
        assert all((shop.folder / file).stat().st_size > 20 for file in result["files"]), name
    assert "fig4/area-replica.png" in record["fig4"]["files"]
    assert "fig4/ramp/limits.csv" in record["fig4"]["files"]


def test_networks_and_exit_waves_are_shared(made):
    shop, _ = made
    networks = {path.name for path in (shop.folder / "networks").iterdir()}
    assert networks == {"msdnet-mtf4-high", "unet-mtf4-high", "msdnet-mtf3-high", "msdnet-mtf4-high-2"}
    assert {path.name for path in (shop.folder / "specimens").iterdir()} == {"training", "replica", "ramp"}
    four, three, few = (
        ImageSet(shop.folder / "datasets" / name / "images.zarr", "train")
        for name in ("mtf4-high", "mtf3-high", "mtf4-high-2")
    )
    # The same particle under the same conditions, another camera.
    assert np.array_equal(four.load(1, 0)[1], three.load(1, 0)[1])
    assert not np.array_equal(four.load(1, 0)[0], three.load(1, 0)[0])
    assert four.conditions["dose"].tolist() == three.conditions["dose"].tolist()
    # Fewer structures are the first ones.
    assert few.shape[0] == 2
    assert np.array_equal(four.load(1, 1)[0], few.load(1, 1)[0])


def test_what_is_finished_is_not_made_again(made, monkeypatch):
    shop, record = made

    def never(*_, **__):
        raise AssertionError("All was finished.")

    monkeypatch.setattr(workshop, "train_network", never)
    monkeypatch.setattr(workshop, "make_waves", never)
    monkeypatch.setattr("framedose.study.evaluate.measure", never)
    again = reproduce(["fig4", "soi5"], shop, scale="tiny")
    for name in IDS:
        assert again[name]["values"] == record[name]["values"]


def test_numbers_of_the_figures(made):
    shop, record = made
    values = {name: result["values"] for name, result in record.items()}
    replica = values["fig4"]["replica"]
    assert set(replica["networks"]) == {"MSD-net, MTF4, high doses", "U-net, MTF4, high doses"}
    pair = replica["pairs"]["MSD-net, MTF4, high doses over U-net, MTF4, high doses"]
    assert {"dose_ratio_at_equal_threshold", "dose_ratio_at_equal_false_area", "verdict"} < set(pair)
    # The ramp is of one particle, and has no interval over particles.
    assert values["fig4"]["ramp"]["pairs"].popitem()[1]["area_ratio_40_to_100"]["low"] is None
    scores = shop.measured(Trained("msdnet"), "replica").counts().f1
    assert values["soi9"]["networks"]["MSD-net, MTF4, high doses"]["mean_f1"] == pytest.approx(scores.mean())
    assert set(values["soi5"]) == {"2", "6"}
    assert values["soi5"]["6"]["train"]["images"] == 6
    assert values["table2"] == {"high": [1e2, 1e6], "low": [1e1, 1e4], "full": [1e1, 1e6]}
    assert values["table3"]["mtf5"] == {"c0": [0.6, 0.8], "c3": [2.0, 5.0], "readout": [0.005, 0.015]}
    assert values["table1"]["defocus"] == [-200.0, 200.0, "Å", "linear"]


def test_area_ratio_is_paired(made):
    shop, _ = made
    one = shop.measured(Trained("msdnet"), "replica")
    same = area_ratio(one, one, (10, 1e4), level=0.9, resamples=100, seed=0)
    # What differs between structures is the same in both, and cancels.
    assert same["value"] == same["low"] == same["high"] == 1
    nothing = area_ratio(one, one, (2e4, 3e4), level=0.9, resamples=100, seed=0)
    assert nothing == {"value": None, "low": None, "high": None}


def test_camera_figures_recover_the_constant_camera(tmp_path):
    shop = tiny(tmp_path / "out")
    record = reproduce(["fig5", "fig6", "soi6", "soi7", "soi8"], shop, scale="tiny")
    assert [result["status"] for result in record.values()] == ["done"] * 5
    first, last = (record[name]["values"]["simulated"] for name in ("soi6", "soi7"))
    # The paper's fits of its first and last frame: C 0.51 and 0.01.
    assert first["C"] > 0.2 > 0.05 > last["C"]
    assert record["fig5"]["values"]["simulated"]["joint_fit"]["c0"] == pytest.approx(0.28, abs=0.01)
    # A joint fit finds the readout that was simulated; Eq. 2 on single fits is biased (docs/calibration.md).
    assert record["fig6"]["values"]["simulated"]["joint_fit_readout"] == pytest.approx(0.01, rel=0.1)
    assert not (shop.folder / "networks").exists()


def test_real_series_is_shown_beside_the_simulated_ones(made):
    shop, _ = made
    ramp, camera = shop.series("ramp"), load_passport("mtf3").simulated()
    frames = [ramp.images(index)[0] for index in range(ramp.doses.size)]

    class Frame:
        origin, frame, sampling = "ramp", 0, float(ramp.samplings("particle")[0])

        def __init__(self, image):
            self.image = image

    recorded = RecordedSeries([Frame(f) for f in frames], ramp.doses.tolist(), camera, made_from="test", seed=0)
    beside = tiny(shop.folder, recorded=recorded)
    record = reproduce(["fig4"], beside, scale="tiny")["fig4"]
    assert record["status"] == "done"
    assert "fig4/overlays-recorded.png" in record["files"]
    # What is seen at the end is the truth there: the areas are shares of that.
    numbers = record["values"]["recorded"]["networks"]["U-net, MTF4, high doses"]
    assert numbers["false_area_high_dose"] == pytest.approx(0, abs=0.1)


def test_a_result_that_fails_is_recorded_and_the_others_are_made(tmp_path, monkeypatch, capsys):
    def fails(shop, folder):
        raise ConfigurationError("no such thing")

    monkeypatch.setitem(results.RESULTS, "fig1", PaperResult("never", fails))
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "fig1", "table2"]) == 2
    printed = capsys.readouterr()
    assert "failed: no such thing" in printed.out
    assert "fig1 could not be made" in printed.err
    listed = json.loads((tmp_path / "framedose-reproduction-quick" / "reproduce.json").read_text())
    assert [(entry["id"], entry["status"][:6]) for entry in listed] == [("fig1", "failed"), ("table2", "done")]


def test_foreign_folders_and_unknown_results_are_refused(made, tmp_path, capsys):
    shop, _ = made
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(OutputExistsError, match="is not a reproduction's"):
        reproduce(["table2"], tiny(tmp_path), scale="tiny")
    with pytest.raises(OutputExistsError, match="another scale, seed or version"):
        reproduce(["table2"], tiny(shop.folder, seed=1), scale="tiny")
    with pytest.raises(ConfigurationError, match="did you mean fig4"):
        chosen_results(["figg4"])
    for words, message in (
        (["fig4", "--scale", "huge"], "--scale must be one of quick, laptop, paper, got 'huge'"),
        (["fig4", "--camera", "oneview"], "give them with --series"),
        (["fig4", "--workers", "0"], "--workers must be at least 1"),
    ):
        assert main(["reproduce", *words, "--out", str(tmp_path / "new")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_list_has_every_result_of_the_paper(capsys):
    assert main(["reproduce"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    figures = [f"fig{n}" for n in range(1, 9)] + [f"soi{n}" for n in range(3, 10)]
    assert listed == [*figures, "table1", "table2", "table3", "fullrange"] == list(RESULTS)
    assert chosen_results(["all"]) == listed
    assert chosen_results(["soi9", "fig2"]) == ["fig2", "soi9"]


@pytest.mark.parametrize("name", SCALES)
def test_scales_have_the_papers_training_and_no_empty_fields(name):
    scale = scale_of(name, 3)
    recipe = scale.study.dataset
    assert scale.study.seed == 3
    assert recipe.support_share == recipe.vacuum_share == 0
    assert max(scale.training_sizes) == recipe.structures
    # Equal steps for all networks of a scale that are compared.
    if name != "quick":
        assert scale.study.unet.training.steps == scale.study.msdnet.training.steps
        assert recipe.structures == 1000
        assert recipe.binning <= 2
