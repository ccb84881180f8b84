"""Settings as words of the command line."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import Field

from framedose.config import Settings, build, merged, parse_yaml
from framedose.errors import ConfigurationError
from framedose.random import LARGEST_SEED


class RecipeHeader(Settings):
    """What a recipe file may hold beside the recipe itself."""

    preset: str | None = None
    """The preset that it starts from."""
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    """Seed of everything random."""


def split_header(given: Mapping[str, Any], preset: str | None, seed: int | None) -> tuple[RecipeHeader, dict[str, Any]]:
    """Return preset and seed, which options say before the recipe does, and the rest of the recipe."""
    asked = {key: value for key, value in (("preset", preset), ("seed", seed)) if value is not None}
    header = {key: given[key] for key in ("preset", "seed") if key in given} | asked
    return build(RecipeHeader, header, where="recipe"), {key: given[key] for key in given if key not in header}


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


def merged_recipes(recipe: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe with ``over`` on top, which may change one end of a camera or a dose range that has a name."""
    from framedose.microscope.conditions import DOSE_RANGES

    full = dict(recipe)
    if isinstance(full.get("camera"), str) and isinstance(over.get("camera"), Mapping):
        full["camera"] = camera_settings(full["camera"])
    ours, theirs = full.get("conditions"), over.get("conditions")
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping) and isinstance(theirs.get("dose"), Mapping):
        name = ours.get("dose")
        if isinstance(name, str) and name in DOSE_RANGES:
            full["conditions"] = {**ours, "dose": DOSE_RANGES[name].model_dump()}
    return merged(full, over)


def camera_settings(name: str) -> dict[str, Any]:
    """Return the ranges of a camera passport, a file or the name of a shipped one, as settings of a recipe."""
    from framedose.camera.passport import load_passport

    return load_passport(name).ranges().model_dump()
