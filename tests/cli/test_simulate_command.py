import pytest
import yaml

from framedose.camera.passport import load_passport
from framedose.cli import main
from framedose.dataset.recipe import DatasetRecipe
from framedose.dataset.store import ImageSet
from framedose.study.config import study_config

TINY = {
    "structures": 2,
    "validation_structures": 2,
    "image_epochs": 2,
    "gpts": 256,
    "margin": 16,
    "binning": 4,
    "specimen": {"radius": {"low": 4.0, "high": 6.0}, "thickness": {"low": 5.0, "high": 8.0}},
    "exit_wave": {"sampling": 0.2, "band_limit": 1.6},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A recipe and the dataset that the command made from it, in a folder with a blank in its name."""
    folder = tmp_path_factory.mktemp("simulate")
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(TINY))
    out = folder / "my dataset"
    assert main(["simulate", str(recipe), "--out", str(out), "--workers", "1", "--conditions.dose.low", "1000"]) == 0
    return recipe, out


def printed(capsys, *words):
    capsys.readouterr()
    assert main(["simulate", *words, "--print-recipe"]) == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_the_dataset_is_what_file_and_command_line_say(made):
    complete = yaml.safe_load((made[1] / "recipe" / "complete.yaml").read_text())
    assert complete["conditions"]["dose"] == {"low": 1e3, "high": 1e6, "scale": "log"}
    assert (complete["seed"], complete["structures"]) == (0, 2)
    given = yaml.safe_load((made[1] / "recipe" / "given.yaml").read_text())
    assert given == {**TINY, "conditions": {"dose": {"low": 1000}}}


def test_the_complete_recipe_makes_the_same_dataset(made, capsys):
    complete = str(made[1] / "recipe" / "complete.yaml")
    assert main(["simulate", complete, "--out", str(made[1])]) == 0
    assert "is complete" in capsys.readouterr().out


def test_print_recipe(capsys, tmp_path):
    paper = printed(capsys)
    assert paper.pop("seed") == 0
    assert DatasetRecipe(**paper) == DatasetRecipe()
    (tmp_path / "recipe.yaml").write_text("preset: quick\nseed: 3\n")
    quick = printed(capsys, str(tmp_path / "recipe.yaml"), "--structures", "7")
    assert quick.pop("seed") == 3
    assert DatasetRecipe(**quick) == study_config("quick").dataset.model_copy(update={"structures": 7})
    assert printed(capsys, "--preset", "general", "--seed", "5")["seed"] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs a RECIPE.yaml or --preset"),
        (["missing.yaml"], "The recipe 'missing.yaml' cannot be read"),
        (["RECIPE", "more.yaml"], "Unexpected argument 'more.yaml'"),
        (["RECIPE", "--workers", "0"], "--workers must be at least 1"),
        (["RECIPE", "--workers", "2", "--scheduler", "tcp://a:1"], "give one of them"),
        (["RECIPE", "--shard", "3/2"], "between 1 and n"),
        (["RECIPE", "--shard", "two"], "--shard must be i/n"),
        (["RECIPE", "--conditions.blur.low", "3"], "low must not exceed high"),
        (["RECIPE", "--binnig", "2"], "did you mean 'binning'"),
        (["RECIPE", "--sed", "2"], "did you mean --seed"),
        (["RECIPE", "--seed", "-1"], "seed"),
        (["RECIPE", "--seed", "99999999999999999999999"], "seed"),
        (["RECIPE", "--specimen.support_zone_axis", "[0,0,0]"], "need an index other than 0"),
        (["RECIPE", "--specimen.support_plane", "[0,0,0]"], "need an index other than 0"),
        (["RECIPE", "--conditions.dose", "{low: 0, high: 9, scale: linear}"], "dose.low must be positive"),
        (["RECIPE", "--preset", "fast"], "preset must be one of quick"),
        (["RECIPE", "--specimen.element", "Xq"], "'Xq' is no element"),
        (["RECIPE", "--exit_wave.displacement", "{Au: 0.09}"], "names no value for Ce, O, which specimens"),
        (
            ["RECIPE", "--exit_wave.displacement", "{Au: 0.09, Ce: 0.1, O: 0.1}", "--specimen.film_share", "0.1"],
            "names no value for C,",
        ),
        # Of bare supports, which are in the series and not in the recipe's own fields, some are films.
        (
            [
                *("RECIPE", "--series", "test", "--support_share", "0", "--specimen.free_share", "0.5"),
                *("--exit_wave.displacement", "{Au: 0.09, Ce: 0.1, O: 0.1}"),
            ],
            "names no value for C,",
        ),
        (["RECIPE", "--specimen.radius.high", "500"], "too large for a view"),
        (["RECIPE", "--device", "cuda"], "needs CuPy"),
    ],
)
def test_bad_input_is_one_clear_line_and_writes_nothing(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("framedose.dataset.folder.find_spec", lambda _: None)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(TINY))
    assert main(["simulate", *("recipe.yaml" if word == "RECIPE" else word for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("framedose: error: ")
    assert error.count("\n") == 1
    assert message in error
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]


def test_one_end_of_what_the_file_names_can_be_changed(tmp_path, capsys):
    named = {"camera": "mtf3", "conditions": {"dose": "low"}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(TINY | named))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"dataset": named}))
    changes = {"camera.c0.low": "0.22", "conditions.dose.low": "20"}
    for command, prefix, key in (
        (["simulate", str(tmp_path / "recipe.yaml"), "--print-recipe"], "--", None),
        (["study", "--config", str(tmp_path / "study.yaml"), "--print-settings"], "--dataset.", "dataset"),
    ):
        words = [word for name, value in changes.items() for word in (prefix + name, value)]
        assert main([*command, *words]) == 0
        said = yaml.safe_load(capsys.readouterr().out)
        recipe = said if key is None else said[key]
        mtf3 = load_passport("mtf3").ranges()
        assert recipe["camera"]["c0"] == {**mtf3.c0.model_dump(), "low": 0.22}
        assert recipe["camera"]["c3"] == mtf3.c3.model_dump()
        assert (recipe["conditions"]["dose"]["low"], recipe["conditions"]["dose"]["high"]) == (20, 1e4)


def test_a_series_has_the_camera_and_the_conditions_that_were_asked_for(tmp_path):
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(TINY | {"camera": "mtf1"}))
    words = ["--series", "ramp", "--frames", "2", "--empty", "1", "--workers", "1", "--out", str(tmp_path / "ramp")]
    asked = ["--camera", "counting", "--conditions.defocus.high", "150", "--conditions.dose.high", "40"]
    assert main(["simulate", str(tmp_path / "recipe.yaml"), *words, *asked]) == 0
    made = yaml.safe_load((tmp_path / "ramp" / "recipe" / "complete.yaml").read_text())
    assert made["camera"] == load_passport("counting").ranges().model_dump(mode="json")
    assert made["conditions"]["defocus"] == {"low": 48.0, "high": 150.0, "scale": "linear"}
    assert list(ImageSet(tmp_path / "ramp" / "images.zarr", "ramp").doses) == [10, 40]


def test_an_unreachable_scheduler_is_one_clear_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("framedose.workers._ANSWER", 1)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(TINY))
    words = ["simulate", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "out")]
    assert main([*words, "--scheduler", "tcp://127.0.0.1:9"]) == 2
    error = capsys.readouterr().err
    assert "--scheduler 'tcp://127.0.0.1:9' does not answer" in error
    assert error.count("\n") == 1


def test_a_dataset_of_another_recipe_is_refused(made, capsys):
    recipe, out = made
    assert main(["simulate", str(recipe), "--out", str(out), "--structures", "3"]) == 2
    assert "holds a dataset of another recipe, seed or series" in capsys.readouterr().err


def test_show_draws_the_doses_that_are_asked_for(made, tmp_path, capsys):
    from PIL import Image

    sheets = {}
    for name, options in (("few", ["--doses", "3e3,1e5"]), ("five", []), ("small", ["--split", "validation"])):
        path = tmp_path / f"{name}.png"
        assert main(["show", str(made[1]), "--out", str(path), *options]) == 0
        with Image.open(path) as sheet:
            sheets[name] = sheet.convert("RGB")
    # Two columns of two fields; five columns, with images shown twice.
    assert sheets["five"].width > 2 * sheets["few"].width
    assert sheets["few"].height == sheets["five"].height
    assert str(tmp_path / "small.png") in capsys.readouterr().out
    colours = {colour for _, colour in sheets["few"].getcolors(1 << 20)}
    assert (0, 0xD5, 0xFF) in colours


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "'nowhere' is no dataset"),
        (["DATASET", "--doses", "30,many"], "--doses must be positive numbers"),
        (["DATASET", "--doses", "-3"], "--doses must be positive numbers"),
        (["DATASET", "--rows", "0"], "--rows must be at least 1"),
        (["DATASET", "--out", "sheet.exe"], "--out must be the name of a PNG"),
        (["DATASET", "--split", "test"], "holds no images 'test'"),
    ],
)
def test_show_refuses_what_it_cannot_draw(arguments, message, made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["show", *(str(made[1]) if word == "DATASET" else word for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
