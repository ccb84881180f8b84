"""The tutorials, done as a reader would do them: see ``lesson.py``."""

from pathlib import Path

import pytest
from lesson import Lesson, Step, steps

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "quickstart.md", *sorted(p for p in (DOCS / "tutorials").glob("*.md") if p.stem != "index")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_does_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lesson = Lesson(tmp_path)
    found = list(steps(page))
    assert found
    for step in found:
        try:
            lesson.do(step)
        except Exception as error:
            raise AssertionError(f"{page.name}, line {step.line}: {error}") from error


def test_a_command_that_fails_and_a_wrong_output_are_found(tmp_path):
    lesson = Lesson(tmp_path)
    lesson.do(Step("console", "echo one two", 1, "one ..."))
    for text, printed in (("false", None), ("echo one", "two"), ("true", "framedose: error: no")):
        with pytest.raises(AssertionError):
            lesson.do(Step("console", text, 1, printed))
    with pytest.raises(AssertionError):
        lesson.do(Step("claim", "missing.csv", 1))


def test_a_page_is_read_in_order(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```{code-block} yaml\n:caption: a.yaml\n\nseed: 1\n```\n```console\n$ cat a.yaml\nseed: 1\n"
        "$ echo \\\n  x\n```\n"
        "| file | what |\n|---|---|\n| `a.yaml` | it |\n\n```python\nprint(2)\n```\n```text\n2\n```\n"
    )
    assert [(step.kind, step.text, step.printed) for step in steps(page)] == [
        ("file", "seed: 1\n", None),
        ("console", "cat a.yaml", "seed: 1"),
        ("console", "echo \\\n  x", None),
        ("claim", "a.yaml", None),
        ("python", "print(2)\n", "2\n"),
    ]
