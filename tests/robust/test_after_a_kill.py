"""What a process leaves that is killed at the worst moment is in nobody's way, and is removed."""

import json
from contextlib import suppress

import pytest

from framedose.atomic import folder_aside, sweep, write_aside
from framedose.config import Range
from framedose.dataset.recipe import DatasetRecipe, training_parts
from framedose.dataset.render import make_specimen
from framedose.errors import OutputExistsError
from framedose.specimen.config import SpecimenConfig
from framedose.study import evaluate
from framedose.study.claim import claim


def left_by(writer, path):
    """Return the name that ``writer`` writes to before anything has the name of ``path``."""
    name = ""
    with suppress(KeyboardInterrupt), writer(path) as aside:
        name = aside.name
        raise KeyboardInterrupt
    return name


@pytest.mark.parametrize("name", ["unet.safetensors", "results.json", "curves", "two words.csv"])
def test_what_is_half_written_is_swept_and_nothing_else(name, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    for folder in (tmp_path, inner):
        (folder / left_by(write_aside, folder / name)).write_text("half")
        half = folder / left_by(folder_aside, folder / "store")
        half.mkdir()
        (half / "chunk").write_text("half")
    kept = [".lock", ".notes.txt", name, ".a.12345", "deadbeef.txt"]
    for one in kept:
        (tmp_path / one).write_text("mine")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "inner"])
    assert not list(inner.iterdir())


def test_a_folder_whose_card_was_half_written_can_be_claimed(tmp_path):
    card = tmp_path / "out" / "study.json"
    card.parent.mkdir()
    (card.parent / left_by(write_aside, card)).write_text('{"dig')
    claim(card, {"digest": "a"}, whose="a study's")
    assert json.loads(card.read_text()) == {"digest": "a"}
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").write_text("dear reader")
    with pytest.raises(OutputExistsError, match="is not a study's"):
        claim(tmp_path / "theirs" / "study.json", {"digest": "a"}, whose="a study's")


def test_numbers_of_one_network_never_stand_under_the_card_of_another(tmp_path, monkeypatch):
    """A process is killed between the numbers of the second network and their card."""

    class Numbers:
        def __init__(self, of):
            self._of = of

        def save(self, path):
            path.write_text(self._of)

    def measured(of):
        monkeypatch.setattr(evaluate, "measure", lambda *_, **__: Numbers(of))
        evaluate.measured_once(tmp_path, "net", None, None, {"network": of}, 0.9)
        return (tmp_path / "net.measured.npz").read_text()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate.Measured, "load", lambda path: path)
    assert measured("first") == "first"
    with monkeypatch.context() as patch:
        patch.setattr(evaluate, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            measured("second")
    assert measured("first") == "first"
    (tmp_path / "net.measured.json").write_text('{"netw')
    assert measured("third") == "third"


def test_a_particle_of_one_atom_is_drawn_again():
    specimen = SpecimenConfig(radius=Range(low=3, high=3), thickness=Range(low=5, high=6), whole=False)
    recipe = DatasetRecipe(structures=40, gpts=128, margin=8, binning=4, specimen=specimen)
    _, split = training_parts(recipe)[0]
    assert all(len(make_specimen(recipe, 0, split, index).hulls[0]) >= 3 for index in range(12))
