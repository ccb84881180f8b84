"""Settings: small frozen objects that refuse unknown keys, read from presets, YAML and the command line.

Every public step takes one such object, defined beside the step. They merge in the order preset, file, command line,
and their hash identifies what a result was made from.
"""

import hashlib
import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_args, get_origin

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator
from pydantic_core import ErrorDetails

from framedose.errors import ConfigurationError, FileFormatError

M = TypeVar("M", bound=BaseModel)

# What parsers raise beside their own errors: bytes that are no text, a date that is none, too many digits, and more
# brackets in each other than anybody writes.
_BAD_TEXT = (ValueError, RecursionError)
_MOST_KEYS = 10_000
# Mistakes that one line can tell.
_MOST_EXPLAINED = 5


class Settings(BaseModel):
    """Base of all configuration objects: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    def digest(self) -> str:
        """Return the SHA-256 of the settings, the same on any machine."""
        return digest(self.model_dump(mode="json"))


class Range(Settings):
    """A range that a parameter is drawn from."""

    low: float
    """Lower limit."""
    high: float
    """Upper limit."""
    scale: Literal["linear", "log"] = "linear"
    """Uniform in the value, or in its logarithm."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low must not exceed high, got low {self.low} and high {self.high}: exchange them")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"a log range needs low > 0, got {self.low}")
        return self

    def draw(self, rng: np.random.Generator) -> float:
        """Draw one value."""
        if self.scale == "log":
            return math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return float(rng.uniform(self.low, self.high))


def hull(ranges: Sequence[Range]) -> Range:
    """Return the least range that holds all, with the scale of the first."""
    low, high = min(one.low for one in ranges), max(one.high for one in ranges)
    return ranges[0].model_copy(update={"low": low, "high": high})


def digest(content: Any) -> str:
    """Return the SHA-256 of anything that JSON can hold, independent of the order of keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the entries of ``over`` on top, nested mappings entry by entry."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def parse_yaml(text: str) -> Any:
    """Return what YAML holds: numbers, strings, lists and mappings, never another object.

    Raises
    ------
    ConfigurationError
        If it is not YAML, or one of another kind.
    """
    try:
        # A safe loader, though the linter knows it by one name only.
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, *_BAD_TEXT) as error:
        raise ConfigurationError(f"no valid YAML: {' '.join(str(error).split())[:300]}") from error


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, of which a few lines that merge mappings (<<) into each other cannot make billions."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > _MOST_KEYS:
            raise yaml.constructor.ConstructorError(None, None, f"a mapping of {len(node.value)} keys", node.start_mark)


def read_yaml(path: str | Path, *, name: str = "--config") -> dict[str, Any]:
    """Read a configuration file, which errors call ``name``; an empty one is an empty mapping.

    Raises
    ------
    ConfigurationError
        If the file is missing, is not YAML, or holds something else than a mapping.
    """
    try:
        content = parse_yaml(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigurationError(f"{name} {str(path)!r} cannot be read: {reason}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{name} {str(path)!r} must hold a mapping such as 'seed: 1', got {_short(content)}")
    return content


def read_json(path: str | Path) -> Any:
    """Read a JSON file that framedose has written.

    Raises
    ------
    FileFormatError
        If it is damaged.
    OSError
        If it is missing, or may not be read.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except _BAD_TEXT as error:
        reason = " ".join(str(error).split())[:300]
        raise FileFormatError(f"{str(path)!r} is damaged ({reason}). Remove it, and give the command again.") from error


def says(path: str | Path, content: Any) -> bool:
    """Return whether a JSON file is there and holds just this; a damaged one says nothing."""
    try:
        return bool(read_json(path) == content)
    except (OSError, FileFormatError):
        return False


def is_made(info: ValidationInfo) -> bool:
    """Return whether settings are read of something that is made already, by :func:`build` with that context."""
    return info.context is not None and bool(info.context["made"])


def build(model: type[M], values: Any, *, where: str, context: Mapping[str, Any] | None = None) -> M:
    """Make a configuration object, or raise one clear line that names the key, the value and the remedy.

    Its validators are told the ``context``.
    """
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"{where} must hold a mapping of settings, got {_short(values)}")
    try:
        return model.model_validate(dict(values), context=context)
    except ValidationError as error:
        found = error.errors()
        lines = [_explain(model, detail) for detail in found[:_MOST_EXPLAINED]]
        if len(found) > _MOST_EXPLAINED:
            lines.append(f"and {len(found) - _MOST_EXPLAINED} more")
        raise ConfigurationError(f"{where}: {'; '.join(lines)}") from None


def _explain(model: type[BaseModel], detail: ErrorDetails) -> str:
    path = [str(part) for part in detail["loc"]]
    name = ".".join(path) or model.__name__
    if detail["type"] == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        near = get_close_matches(path[-1], known, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"the known keys there are {', '.join(sorted(known))}"
        return f"unknown key {name!r} (got {_short(detail['input'])}); {remedy}"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{name!r}: {message} (got {_short(detail['input'])})"


def _short(value: Any) -> str:
    """Return the beginning of a value: of one that holds itself a billion times, its whole text would not end."""
    shortened = reprlib.Repr()
    shortened.maxstring = shortened.maxother = shortened.maxlong = 60
    return f"{shortened.repr(value):.60}"


def _keys_at(model: type[BaseModel], path: list[str]) -> list[str]:
    current: Any = model
    for part in path:
        info = current.model_fields.get(part) if isinstance(current, type) and issubclass(current, BaseModel) else None
        if info is None:
            return []
        current = info.annotation
        if get_origin(current) is not None:
            current = next((a for a in get_args(current) if isinstance(a, type) and issubclass(a, BaseModel)), None)
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []
