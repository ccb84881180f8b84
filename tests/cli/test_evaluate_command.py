"""The commands that evaluate and compare, on a tiny simulated series and on a recorded one."""

import csv
import json
import sys

import numpy as np
import pytest
import yaml
from ase.cluster import Octahedron

from framedose.camera.noise import detect
from framedose.camera.passport import load_passport
from framedose.cli import main
from framedose.random import generator
from framedose.units import electrons_per_pixel

RECIPE = {
    "gpts": 256,
    "margin": 16,
    "binning": 4,
    "specimen": {"radius": {"low": 4.0, "high": 6.0}, "thickness": {"low": 5.0, "high": 8.0}},
    "exit_wave": {"sampling": 0.2, "band_limit": 1.6},
}
# What a microscopist might write: how much a frame varies about each place.
FILTERS = """
import numpy as np
from scipy.ndimage import uniform_filter

def spread(frames):
    relative = frames / frames.mean(axis=(1, 2), keepdims=True)
    mean, square = (np.stack([uniform_filter(f, 9) for f in part]) for part in (relative, relative**2))
    variance = np.clip(square - mean**2, 0, None)
    return (variance / (variance + 0.02)).astype(np.float32)

def eager(frames):
    return spread(frames) ** 0.5

def logits(frames):
    return 5 * spread(frames) - 2

def flat(frames):
    return spread(frames)[:, 0]

number = 0.5

def broken(frames):
    return np.full_like(frames, np.nan)
"""
DOSES = (10, 30, 100, 300, 1000, 3000, 10000)


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A folder with a ramp of two particles and the filters, and the process in it."""
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    words = ["--series", "replica", "--particles", "2", "--frames", "5", "--empty", "1", "--workers", "1"]
    assert main(["simulate", str(folder / "recipe.yaml"), *words, "--out", str(folder / "replica")]) == 0
    (folder / "my_filters.py").write_text(FILTERS)
    return folder


@pytest.fixture
def here(series, monkeypatch):
    monkeypatch.chdir(series)
    yield series
    sys.modules.pop("my_filters", None)


@pytest.fixture(scope="module")
def evaluated(series):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(series)
        networks = ["--network", "my_filters:spread", "--network", "eager one=my_filters:eager"]
        assert main(["evaluate", "replica", *networks, "--threshold", "0.5", "--resamples", "100", "--out", "out"]) == 0
    return series / "out"


def test_results_tables_and_report_are_there(evaluated):
    content = json.loads((evaluated / "results.json").read_text())
    assert list(content["networks"]) == ["spread", "eager one"]
    assert list(content["comparisons"]) == ["spread and eager one"]
    result = content["networks"]["spread"]
    assert result["threshold"] == 0.5
    assert len(result["curves"]["f1"]["mean"]) == 5
    assert result["curves"]["support_false_area"] is not None
    with (evaluated / "limits.csv").open() as file:
        quantities = {(row["network"], row["quantity"]) for row in csv.DictReader(file)}
    assert ("eager one", "first_detection") in quantities
    assert ("spread", "dose_50_area at 0.99") in quantities
    html = (evaluated / "report.html").read_text()
    assert "Compared on the same frames: spread and eager one" in html
    assert content["comparisons"]["spread and eager one"]["verdict"] in html
    assert {"area.png", "overlays.png", "reliability.png"} < {path.name for path in evaluated.iterdir()}


def test_what_was_measured_is_not_measured_again(here, evaluated, capsys):
    before = (evaluated / "spread.measured.npz").stat().st_mtime_ns
    sys.modules.pop("my_filters", None)
    words = ["--network", "my_filters:spread", "--threshold", "0.5", "--resamples", "100", "--out", "out"]
    assert main(["evaluate", "replica", *words]) == 0
    assert (evaluated / "spread.measured.npz").stat().st_mtime_ns == before
    assert "spread" in capsys.readouterr().out
    # The file of the functions has changed: they may be others.
    (here / "my_filters.py").write_text(FILTERS + "\n# edited\n")
    assert main(["evaluate", "replica", *words]) == 0
    assert (evaluated / "spread.measured.npz").stat().st_mtime_ns > before


def test_two_files_can_be_compared_later(here, evaluated, capsys):
    files = [f"out/{name}.measured.npz" for name in ("spread", "eager one")]
    assert main(["compare", *files, "--threshold", "0.5", "--out", "comparison.json"]) == 0
    said = capsys.readouterr().out
    assert "equal false area" in said
    assert json.loads((here / "comparison.json").read_text())["verdict"] in said


def test_an_experiment_is_planned_from_limits(evaluated, capsys):
    words = ["--dose-rate", "500", "--camera-rate", "40", "--budget", "5000"]
    assert main(["plan", str(evaluated), *words]) == 0
    said = capsys.readouterr().out
    assert "spread, 500 e/Å2/s, budget 5000 e/Å2, spent after 10 s" in said
    assert "Assumed:" in said
    plans = json.loads((evaluated / "plan.json").read_text())
    results = json.loads((evaluated / "results.json").read_text())["networks"]
    assert [one["network"] for one in plans] == list(results)
    limit = results["spread"]["dose_50_true_positive"]
    assert plans[0]["needs"][1]["dose"] == limit["value"]


def test_a_plan_can_simulate_its_own_series(here, capsys):
    (here / "recipe.yaml").write_text("preset: paper\nseed: 7\n")
    recipe = [
        "recipe.yaml",
        "--camera",
        "counting",
        "--sampling",
        "0.2",
        "--gpts",
        "128",
        "--binning",
        "2",
        "--margin",
        "8",
    ]
    specimen = ["--specimen.radius.low", "4", "--specimen.radius.high", "6"]
    waves = ["--exit_wave.sampling", "0.2", "--exit_wave.band_limit", "1.6", "--structures", "2", "--workers", "1"]
    network = ["--network", "my_filters:spread", "--dose-rate", "100", "--out", "my plan"]
    assert main(["plan", *recipe, *specimen, *waves, *network]) == 0
    assert "100 e/Å2/s" in capsys.readouterr().out
    made = yaml.safe_load((here / "my plan" / "series" / "recipe" / "complete.yaml").read_text())
    assert made["conditions"]["sampling"]["high"] == 0.2
    assert (made["seed"], made["exit_wave"]["slice_thickness"]) == (7, 1.0)
    assert (here / "my plan" / "limits" / "plan.json").exists()
    assert main(["plan", "my plan/limits", "--dose-rate", "100", "--sampling", "0.1"]) == 2
    assert "give it alone" in capsys.readouterr().err
    assert main(["plan", "replica", "--dose-rate", "100"]) == 2
    assert "holds no results.json" in capsys.readouterr().err
    assert main(["plan", "my plan/limits", "--dose-rate", "-1"]) == 2
    assert "--dose-rate must be positive" in capsys.readouterr().err


def test_baselines_are_tuned_and_stand_beside_networks(here, series, capsys):
    small = ["--structures", "2", "--validation_structures", "3", "--image_epochs", "1", "--workers", "1"]
    assert main(["simulate", "recipe.yaml", *small, "--conditions.dose.low", "3000", "--out", "training"]) == 0
    words = ["--network", "my_filters:spread", "--baselines", "training", "--resamples", "100", "--out", "beside"]
    assert main(["evaluate", "replica", *words]) == 0
    assert "matched lattice filter" in capsys.readouterr().out
    results = json.loads((here / "beside" / "results.json").read_text())["networks"]
    assert list(results) == ["spread", "bragg_otsu", "local_variance", "matched_lattice"]
    # Otsu parts vacuum into two classes as well.
    assert results["bragg_otsu"]["vacuum_false_area_max"] > 0.1


def test_an_onnx_file_is_evaluated_as_the_network_it_was_made_from(here):
    pytest.importorskip("onnxruntime")
    assert main(["weights", "export", "unet", "--onnx", "unet.onnx"]) == 0
    words = ["--network", "unet", "--network", "exported=unet.onnx", "--resamples", "100", "--out", "onnx"]
    assert main(["evaluate", "replica", *words]) == 0
    both = [np.load(here / "onnx" / f"{name}.measured.npz") for name in ("unet", "exported")]
    np.testing.assert_allclose(
        both[0]["particle"].cumsum(axis=-1), both[1]["particle"].cumsum(axis=-1), atol=0.01 * 64 * 64
    )
    comparison = json.loads((here / "onnx" / "results.json").read_text())["comparisons"]["unet and exported"]
    assert np.abs(comparison["equal_threshold"]["f1_difference"]["mean"]).max() < 0.02


def recorded(folder):
    """Frames of fringes in a disc at rising dose, in counts of the OneView passport, and their doses as CSV."""
    passport = load_passport("oneview")
    y, x = np.mgrid[:96, :96]
    disc = np.hypot(y - 48, x - 48) < 25
    expected = (1 + 0.9 * disc * np.cos(2 * np.pi * x / 8)).astype(np.float32)
    frames = [
        detect(expected, electrons_per_pixel(dose, 0.3), passport.simulated(), generator(0, "frame", dose))
        for dose in DOSES
    ]
    np.save(folder / "frames.npy", np.stack(frames).astype(np.float32))
    (folder / "doses.csv").write_text("frame,dose\n" + "".join(f"{i},{dose}\n" for i, dose in enumerate(DOSES)))
    return disc


def test_micrographs_are_measured_against_their_last_frames(here, capsys):
    disc = recorded(here)
    words = ["frames.npy", "--sampling", "0.3", "--doses", "doses.csv", "--camera", "oneview", "--truth-frames", "2"]
    network = ["--network", "my_filters:spread", "--threshold", "0.6"]
    assert main(["evaluate", *words, *network, "--out", "recorded"]) == 0
    said = capsys.readouterr().out
    assert "of the noise only" in said
    result = json.loads((here / "recorded" / "results.json").read_text())["networks"]["spread"]
    assert result["dose_50_area"]["noise_only"]
    assert result["curves"]["area_ratio"]["mean"][-1] == pytest.approx(1, abs=0.1)
    measured = np.load(here / "recorded" / "spread.measured.npz")
    assert measured["particle"][0, 0].sum() == pytest.approx(disc.sum(), rel=0.25)
    assert len(result["curves"]["vacuum_false_area"]) == len(DOSES)


def test_labelled_micrographs_are_scored_one_by_one(here, capsys):
    disc = recorded(here)
    (here / "panels").mkdir(exist_ok=True)
    frames = np.load(here / "frames.npy")
    for index in (-1, -2):
        np.save(here / "panels" / f"panel {-index}.npy", frames[index])
        np.save(here / "panels" / f"panel {-index}_label.npy", 200 * disc.astype(np.uint8))
    files = ["panels/panel 1.npy", "panels/panel 2.npy", "--labels", "panels", "--sampling", "0.3"]
    words = ["--network", "my_filters:spread", "--threshold", "0.6", "--resamples", "100", "--out", "labelled"]
    assert main(["evaluate", *files, *words]) == 0
    assert "2 of 2 particles found, 0 false objects, F1 as a count 1;" in capsys.readouterr().out
    with (here / "labelled" / "labelled.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["panel 1.npy", "panel 2.npy"]
    assert all(0.85 < float(row["f1"]) < 1 for row in rows)
    result = json.loads((here / "labelled" / "results.json").read_text())["networks"]["spread"]
    assert result["f1"]["mean"] == pytest.approx(np.mean([float(row["f1"]) for row in rows]))
    # One particle in each, and no false object: alone it has what the image has.
    assert result["f1_per_particle"] == pytest.approx(result["f1"]["mean"])
    assert result["f1_of_count"] == 1
    assert (here / "labelled" / "panel 1.png").exists()
    assert main(["evaluate", *files, *words]) == 2
    assert "labelled" in capsys.readouterr().err
    np.save(here / "panels" / "lonely.npy", frames[0])
    assert main(["evaluate", "panels/lonely.npy", *files[2:], *words[:-1], "other labels"]) == 2
    assert "must hold one label of lonely.npy" in capsys.readouterr().err
    assert not (here / "other labels").exists()
    capsys.readouterr()
    assert main(["evaluate", files[0], "--labels", "nowhere", *files[4:], *words[:-1], "more"]) == 2
    assert "--labels 'nowhere' is no folder" in capsys.readouterr().err
    (here / "again").mkdir()
    (here / "again" / "panel 1.npy").write_bytes((here / "panels" / "panel 1.npy").read_bytes())
    assert main(["evaluate", files[0], "again/panel 1.npy", *files[2:], *words[:-1], "more"]) == 2
    assert "another image is called 'panel 1' too" in capsys.readouterr().err
    assert not (here / "more").exists()
    assert main(["evaluate", *files, *words[:-1], "other rim", "--rim", "-1"]) == 2
    assert "--rim must be a number of Å that is not negative, got -1" in capsys.readouterr().err
    assert not (here / "other rim").exists()


def test_labels_may_be_boolean_and_negative_but_single(here, capsys):
    disc = recorded(here)
    (here / "kinds").mkdir()
    frame = np.load(here / "frames.npy")[-1]
    words = ["--sampling", "0.3", "--network", "my_filters:spread", "--threshold", "0.6", "--resamples", "100"]
    for name, label in (("boolean", disc), ("negative", -1 * disc.astype(np.int16))):
        np.save(here / f"{name}.npy", frame)
        np.save(here / "kinds" / f"{name}.npy", label)
        assert main(["evaluate", f"{name}.npy", "--labels", "kinds", *words, "--out", f"{name} label"]) == 0
        assert "1 of 1 particles found" in capsys.readouterr().out
    np.save(here / "two.npy", np.stack([frame, frame]))
    np.save(here / "kinds" / "two.npy", disc)
    assert main(["evaluate", "two.npy", "--labels", "kinds", *words, "--out", "two labels"]) == 2
    assert "two.npy: holds 2 frames" in capsys.readouterr().err
    words[3] = "my_filters:flat"
    assert main(["evaluate", "boolean.npy", "--labels", "kinds", *words, "--out", "flat"]) == 2
    assert "must have the shape of its masks" in capsys.readouterr().err
    assert not (here / "flat").exists()


def test_an_evaluation_is_not_replaced_by_that_of_another_series(here, evaluated, capsys):
    recorded(here)
    before = (here / "out" / "results.json").read_bytes()
    words = ["frames.npy", "--sampling", "0.3", "--doses", "doses.csv", "--camera", "oneview", "--truth-frames", "2"]
    assert main(["evaluate", *words, "--network", "my_filters:spread", "--out", "out"]) == 2
    assert "holds the evaluation of another series" in capsys.readouterr().err
    assert (here / "out" / "results.json").read_bytes() == before


def test_a_label_of_nothing_counts(here, capsys):
    (here / "nothing").mkdir()
    np.save(here / "empty.npy", np.random.default_rng(0).normal(9, 1, (48, 64)).astype(np.float32))
    np.save(here / "nothing" / "empty.npy", np.zeros((48, 64), np.uint8))
    words = ["--labels", "nothing", "--sampling", "0.3", "--network", "my_filters:spread", "--out", "scores of none"]
    assert main(["evaluate", "empty.npy", *words]) == 0
    with (here / "scores of none" / "labelled.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["particles"], row["recall"], row["f1_per_particle"]) == ("0", "", "")


@pytest.mark.parametrize("label", ["../x", ".x", "a/b", ""])
def test_labels_that_are_no_names(here, capsys, label):
    assert main(["evaluate", "x.npy", "--labels", ".", "--network", f"{label}=unet", "--out", "no name"]) == 2
    assert "a label is the name of a file too" in capsys.readouterr().err
    assert not (here / "no name").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs the folder of a simulated series, or micrographs"),
        (["replica", "--network", "my_filters:sprad"], "my_filters:sprad cannot be imported"),
        (["replica", "--network", "my_filters:spread", "--network", "x.onnx"], "x.onnx"),
        (["replica", "--network", "unet", "--network", "unet"], "Two networks are called 'unet'"),
        (["replica", "--network", "my_filters:broken"], "probabilities must be finite"),
        (["replica", "--network", "my_filters:logits"], "must lie within 0 and 1, got"),
        (["replica", "--network", "my_filters:number"], "is no function, but a float"),
        (["replica", "--seed", "-1"], "--seed must be a whole number"),
        (["replica", "--labels", ".", "--physics", "no.json"], "--baselines and --physics go with a simulated series"),
        (["frames.npy", "--sampling", "0.3", "--physics", "no.json"], "--physics go with a simulated series"),
        (["replica", "--split", "test"], "no series test"),
        (["replica", "--threshold", "2"], "threshold"),
        (["frames.npy", "--sampling", "0.3"], "need --camera"),
        (
            ["frames.npy", "--sampling", "0.3", "--camera", "oneview", "--doses", "two.csv"],
            "one positive dose for each",
        ),
        (["frames.npy", "--sampling", "0.3", "--camera", "oneview", "--doses", "text.csv"], "column 'dose' of numbers"),
        (["frames.npy", "--sampling", "0.3", "--camera", "oneview", "--doses", "same.csv"], "have the dose 10 e/"),
    ],
)
def test_mistakes_cost_one_line(here, words, message, capsys):
    recorded(here)
    (here / "two.csv").write_text("dose\n1\n2\n")
    (here / "text.csv").write_text("dose\nhigh\n")
    (here / "same.csv").write_text("dose\n" + "10\n" * len(DOSES))
    capsys.readouterr()
    assert main(["evaluate", *words, "--out", "mistake"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.splitlines()[-1].startswith("framedose: error:")
    assert not (here / "mistake" / "results.json").exists()


def test_foreign_folders_and_series_are_refused(here, evaluated, capsys):
    assert main(["evaluate", "replica", "--network", "my_filters:spread", "--out", "replica"]) == 2
    assert "is not an evaluation's" in capsys.readouterr().err
    assert main(["compare", "out/spread.measured.npz", "doses.csv"]) == 2
    assert "no NAME.measured.npz" in capsys.readouterr().err
    files = [f"out/{name}.measured.npz" for name in ("spread", "eager one")]
    assert main(["compare", *files, "--seed", "-1"]) == 2
    assert "--seed must be a whole number" in capsys.readouterr().err
    card = here / "out" / "eager one.measured.json"
    (here / "other").mkdir(exist_ok=True)
    (here / "other" / "eager one.measured.npz").write_bytes((here / "out" / "eager one.measured.npz").read_bytes())
    (here / "other" / "eager one.measured.json").write_text(json.dumps(json.loads(card.read_text()) | {"series": "x"}))
    assert main(["compare", "out/spread.measured.npz", "other/eager one.measured.npz"]) == 2
    assert "different series" in capsys.readouterr().err


def test_a_network_that_knows_the_structure_files_of_the_series_is_warned_of(here, tiny_weights, capsys):
    for name, shells in (("known", 4), ("new", 5)):
        (here / name).mkdir()
        Octahedron("Pt", shells, cutoff=1).write(here / name / "particle.xyz")
        own = RECIPE | {"specimen": {"structures": f"{name}/*.xyz", "mask_elements": ["Pt"]}}
        (here / f"{name}.yaml").write_text(yaml.safe_dump(own))
        words = ["--series", "ramp", "--particles", "1", "--frames", "5", "--empty", "1", "--workers", "1"]
        assert main(["simulate", f"{name}.yaml", *words, "--out", f"{name}-series"]) == 0
    # The second dataset of two that it was trained on.
    weights = here / "knowing.safetensors"
    weights.write_bytes(tiny_weights().read_bytes())
    card = json.loads(tiny_weights().with_suffix(".json").read_text())
    recipe = yaml.safe_load((here / "known-series" / "recipe" / "complete.yaml").read_text())
    card["provenance"] = {"dataset": {"specimen": {"structures": None}}, "more_datasets": [{"dataset": recipe}]}
    weights.with_suffix(".json").write_text(json.dumps(card))
    for name in ("known", "new"):
        capsys.readouterr()
        words = [
            "--network",
            str(weights),
            "--network",
            "my_filters:spread",
            "--resamples",
            "100",
            "--out",
            f"of-{name}",
        ]
        assert main(["evaluate", f"{name}-series", *words]) == 0
        warned = capsys.readouterr().err
        message = "warning: knowing was trained on 1 of the structure files of this series, such as known/particle.xyz"
        assert (message in warned) == (name == "known")
        assert "spread was trained" not in warned
