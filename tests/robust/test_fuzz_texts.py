"""Damaged and hostile settings, passports, tables, weights and results: read, or refused in one line."""

import json

import numpy as np
import pytest
import yaml
from damage import damaged
from fuzzing import PROFILE
from hypothesis import given
from hypothesis import strategies as st

from framedose.camera.passport import load_passport, write_passport
from framedose.cli import main
from framedose.study.config import study_config

TEXTS = {
    "passport": ("camera.yaml", None),
    "recipe": ("recipe.yaml", yaml.safe_dump({"seed": 1, **study_config("quick").dataset.model_dump(mode="json")})),
    "study": ("study.yaml", yaml.safe_dump(study_config("quick").model_dump(mode="json"))),
    "training": ("training.yaml", yaml.safe_dump(study_config("laptop").msdnet.model_dump(mode="json"))),
    "doses": ("doses.csv", "frame,dose\n0,10\n1,1e2\n2,300.5\n"),
}
# Scalars that YAML reads as something else than they look.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.just(float("nan")),
    st.sampled_from([10**400, -1, 0, 1e308, "2026-02-31", "0x1", {}, [], {1: 2}, [[]]]),
)


def whole(kind, folder):
    """Write the undamaged file."""
    name, text = TEXTS[kind]
    if text is None:
        write_passport(folder / name, load_passport("oneview"))
    else:
        (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("kind", TEXTS)
def test_damaged_texts(kind, victim, tmp_path):
    path = whole(kind, tmp_path)
    assert victim.opens(kind, path) == ("read", "")

    @PROFILE
    @given(content=damaged(path.read_bytes()))
    def check(content):
        path.write_bytes(content)
        victim.opens(kind, path)

    check()


@pytest.mark.parametrize("kind", ["passport", "recipe", "study", "training"])
def test_values_of_every_kind_in_every_place(kind, victim, tmp_path):
    path = whole(kind, tmp_path)
    content = yaml.safe_load(path.read_text(encoding="utf-8"))

    @PROFILE
    @given(data=st.data())
    def check(data):
        changed = json.loads(json.dumps(content))
        inner = changed
        key = data.draw(st.sampled_from(sorted(inner)))
        while isinstance(inner[key], dict) and inner[key] and data.draw(st.booleans()):
            inner = inner[key]
            key = data.draw(st.sampled_from(sorted(inner)))
        inner[key] = data.draw(VALUES)
        path.write_text(yaml.safe_dump(changed, allow_unicode=True), encoding="utf-8")
        victim.opens(kind, path)

    check()


@PROFILE
@given(text=st.text(max_size=200))
def test_any_text(text, victim, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.yaml").write_text(text, encoding="utf-8", errors="replace")
    for kind in ("passport", "recipe", "doses"):
        victim.opens(kind, folder / "a.yaml")


def laughs(levels=40):
    """Some lines of YAML that mean 9^40 words."""
    lines = ["l0: &l0 lol"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def merges(levels=40):
    """Some lines of YAML whose merged mapping has 2^40 keys."""
    lines = ["m0: &m0 {a: 1}"]
    lines += [f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}]}}" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!python/object/apply:os.mkdir [MARK]",
        "!!python/object/new:os.mkdir [MARK]",
        "seed: !!python/object/apply:subprocess.check_output [[mkdir, MARK]]",
        "seed: !!python/name:os.system",
        "? !!python/module:os\n: 1",
        laughs(),
        merges(),
        "[" * 20_000,
        "{a: " * 20_000,
        "seed: " + "9" * 10_000,
        "seed: 2026-02-31",
        "seed: .nan",
        "\0",
        "- 1\n- 2",
        "1: 2",
        "? [1, 2]\n: 3",
    ],
    ids=lambda text: text[:24],
)
def test_hostile_yaml(text, victim, tmp_path):
    mark = tmp_path / "code was run"
    path = tmp_path / "a.yaml"
    path.write_text(text.replace("MARK", json.dumps(str(mark))), encoding="utf-8")
    for kind in ("passport", "recipe", "study", "training"):
        outcome, words = victim.opens(kind, path)
        assert outcome == "refused"
        assert len(words) < 2000
    assert not mark.exists()


@pytest.mark.parametrize("value", ["[1", "2026-02-31", "!!python/name:os.system", "{" * 5000, "9" * 10_000])
def test_hostile_values_on_the_command_line(value, capsys):
    assert main(["simulate", "--print-recipe", "--conditions.dose.low", value]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "conditions.dose" in error


@pytest.fixture
def result_files(tmp_path):
    """Files of an evaluation: what ``plan`` and ``compare`` read."""
    zeros = np.zeros((2, 3, 4), np.int64)
    arrays = dict.fromkeys(("particle", "background", "vacuum", "support"), zeros)
    np.savez_compressed(tmp_path / "a.measured.npz", **arrays)
    (tmp_path / "a.measured.json").write_text(json.dumps({"series": "x", "network": "y", "threshold": 0.9}))
    (tmp_path / "results.json").write_text(json.dumps({"networks": {"unet": {"threshold": 0.9}}}))
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "opened", "name"),
    [
        ("measured", "a.measured.npz", "a.measured.npz"),
        ("measured", "a.measured.npz", "a.measured.json"),
        ("evaluated", "results.json", "results.json"),
    ],
)
def test_damaged_results(kind, opened, name, victim, result_files):
    path = result_files / name

    @PROFILE
    @given(content=damaged(path.read_bytes(), header=400))
    def check(content):
        path.write_bytes(content)
        victim.opens(kind, result_files / opened)

    check()
    for content in (b"", b"[]", b"null", b"[" * 10_000, b'{"networks": [1]}', b'{"networks": {"a": 1}}'):
        path.write_bytes(content)
        assert victim.opens(kind, result_files / opened)[0] == "refused"
