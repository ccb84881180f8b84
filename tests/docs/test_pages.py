"""What the pages of the documentation show, link to and name is there."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
# Of a picture of "How it works" [bytes].
_LARGEST = 200_000


def ids(path):
    return str(path.relative_to(DOCS))


@pytest.mark.parametrize("page", [*PAGES, PROJECT / "README.md", PROJECT / "CONTRIBUTING.md"], ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not link.startswith(("http", "#")):
            assert (page.parent / link.partition("#")[0]).exists(), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_scripts_and_tests_that_are_named_exist(page):
    for path in re.findall(r"\b((?:benchmarks|tests|docs)/[\w/]+\.py)", page.read_text(encoding="utf-8")):
        assert (PROJECT / path).is_file(), f"{page.name} names {path}"


def test_pictures_of_how_it_works_are_made_by_their_script_and_small():
    made = set(re.findall(r"for drawing in \(([^)]*)\)", (DOCS / "pictures.py").read_text())[0].split(", "))
    pictures = {path.stem.removeprefix("how_"): path for path in (DOCS / "images").glob("how_*.png")}
    assert set(pictures) == made
    assert all(path.stat().st_size < _LARGEST for path in pictures.values())


def test_every_term_that_is_linked_is_in_the_glossary():
    terms = {line.lower() for line in (DOCS / "glossary.md").read_text(encoding="utf-8").splitlines()}
    for page in PAGES:
        for shown, target in re.findall(r"\{term\}`([^`<]+?)(?:\s*<([^>]+)>)?`", page.read_text(encoding="utf-8")):
            assert (target or shown).lower() in terms, f"{page.name}: {target or shown}"


def test_every_command_has_its_place_in_the_documentation():
    named = (DOCS / "commands.md").read_text(encoding="utf-8")
    for command in (PROJECT / "src" / "framedose" / "cli").glob("*.py"):
        assert command.stem in ("__init__", "settings") or f"framedose {command.stem}`" in named, command.stem
