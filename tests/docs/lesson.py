"""Reads a tutorial and does what it prints, in the order in which it stands there.

- A fenced block ``console``: every line that starts with ``$ `` is run by bash. The lines after it are what it prints.
- A fenced block ``python`` is executed; all of a page share one namespace. A block ``text`` after it is what it prints.
- A block ``{code-block}`` with a caption is a file of that name: it is written as it stands.
- Every block of bash must at least be bash (``bash -n``).
- A table whose first column is called "file" claims that these files are there.

``...`` in what is printed stands for anything, as in doctest. A command whose output begins with ``framedose: error:``
must fail with it; any other must end with status 0.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path
from typing import Any

_FENCE = re.compile(r"```(\S+)(.*)$")
_REFUSED = "framedose: error:"
# A command of a tutorial takes seconds; more than this is a fault, on a busy machine too [s].
_LONGEST = 900


@dataclass(frozen=True)
class Step:
    """One thing to do (``console``, ``python``, ``file``, ``bash`` or ``claim``), in which line, and what it prints."""

    kind: str
    text: str
    line: int
    printed: str | None = None
    name: str = ""


def steps(page: Path) -> Iterator[Step]:
    """Yield the steps of a tutorial in order."""
    found = list(_blocks(page.read_text(encoding="utf-8").splitlines()))
    for place, block in enumerate(found):
        if block.kind == "console":
            yield from _commands(block)
        elif block.kind == "python":
            after = found[place + 1] if place + 1 < len(found) else None
            yield Step("python", block.text, block.line, after.text if after and after.kind == "text" else None)
        elif block.kind in ("file", "claim", "bash"):
            yield block


def _blocks(lines: list[str]) -> Iterator[Step]:
    number = 0
    while number < len(lines):
        start = number + 1
        if fence := _FENCE.match(lines[number]):
            end = lines.index("```", start)
            kind, name, body = fence[1], "", lines[start:end]
            if kind == "{code-block}":
                kind = "bash" if fence[2].strip() == "bash" else "file"
                while body and body[0].startswith(":"):
                    name = body[0].removeprefix(":caption:").strip() if ":caption:" in body[0] else name
                    body = body[1:]
                body = body[1:] if body and not body[0] else body
            yield Step(kind, "\n".join(body) + "\n", start, name=name)
            number = end
        elif re.match(r"\| file *\|", lines[number]):
            number += 2
            while number < len(lines) and lines[number].startswith("|"):
                for name in re.findall(r"`([^`]+)`", lines[number].split("|")[1]):
                    yield Step("claim", name, number + 1)
                number += 1
            continue
        number += 1


def _commands(block: Step) -> Iterator[Step]:
    command, printed = None, []
    for line in [*block.text.splitlines(), "$ "]:
        if line.startswith("$ "):
            if command is not None:
                yield Step("console", command, block.line, "\n".join(printed) if printed else None)
            command, printed = line[2:], []
        elif command is not None and command.endswith("\\"):
            command += "\n" + line
        else:
            printed.append(line)


class Lesson:
    """Does the steps of one tutorial in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def do(self, step: Step) -> None:
        """Do one step; what goes wrong is an AssertionError that says what was printed."""
        getattr(self, f"_{step.kind}")(step)

    def _console(self, step: Step) -> None:
        refused = (step.printed or "").startswith(_REFUSED)
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", step.text],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
        )
        said = f"$ {step.text}\nstatus {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert (done.returncode != 0) == refused, said
        _compare(step.printed, done.stderr if refused else done.stdout, said)

    def _python(self, step: Step) -> None:
        # The blank lines make an error name the line of the page.
        code = compile("\n" * step.line + step.text, "tutorial", "exec")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code, self.names)
        _compare(step.printed, out.getvalue(), step.text)

    def _file(self, step: Step) -> None:
        path = self.folder / step.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.text, encoding="utf-8")

    def _bash(self, step: Step) -> None:
        subprocess.run(["bash", "-n"], input=step.text, text=True, check=True)
        if step.name:
            self._file(step)

    def _claim(self, step: Step) -> None:
        assert (self.folder / step.text).exists(), f"line {step.line} says that {step.text} is there"


def _compare(expected: str | None, got: str, said: str) -> None:
    if expected is not None and not OutputChecker().check_output(_plain(expected), _plain(got), ELLIPSIS):
        raise AssertionError(f"{said}\nprinted\n{got}\nand not\n{expected}")


def _plain(text: str) -> str:
    """Return a text with single blanks in place of any, those too that do not break a line."""
    return " ".join(text.split()) + "\n"
