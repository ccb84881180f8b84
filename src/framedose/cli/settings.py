"""Settings as words of the command line."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from framedose.config import merged, parse_yaml
from framedose.errors import ConfigurationError


def parse_settings(words: Sequence[str], options: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the words that are no settings, and ``--a.b value`` and ``--a.b=value`` as nested settings.

    Values are read as YAML does. A name without a dot that is
    close to one of the command's own ``options`` is an error.
    """
    others: list[str] = []
    settings: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or len(word) < 3:
            others.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if "." not in name and name not in options and (near := get_close_matches(name, options, n=1)):
            raise ConfigurationError(f"Unknown option --{name}; did you mean --{near[0]}?")
        if not equals:
            if not rest:
                raise ConfigurationError(f"--{name} needs a value.")
            value = rest.pop(0)
        try:
            nested: Any = parse_yaml(value)
        except ConfigurationError as error:
            raise ConfigurationError(f"--{name} {value!r:.60}: {error}") from error
        for key in reversed(name.replace("-", "_").split(".")):
            nested = {key: nested}
        settings = merged(settings, nested)
    return others, settings


def refuse(words: Sequence[str]) -> None:
    """Say that a word has no meaning, if there is one."""
    if words:
        raise ConfigurationError(f"Unexpected argument {words[0]!r}; settings are given as --name value.")


def camera_settings(name: str) -> dict[str, Any]:
    """Return the ranges of a camera passport, a file or the name of a shipped one, as settings of a recipe."""
    from framedose.camera.passport import load_passport

    return load_passport(name).ranges().model_dump()
