"""Settings: small frozen objects that refuse unknown keys, read from presets, YAML and the command line.

Every public step takes one such object, defined beside the step. They merge in the order preset, file, command line,
and their hash identifies what a result was made from.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_args, get_origin

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from framedose.errors import ConfigurationError

M = TypeVar("M", bound=BaseModel)


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


def read_yaml(path: str | Path, *, name: str = "--config") -> dict[str, Any]:
    """Read a configuration file, which errors call ``name``; an empty one is an empty mapping.

    Raises
    ------
    ConfigurationError
        If the file is missing, is not YAML, or holds something else than a mapping.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"{name} {str(path)!r} cannot be read: {reason}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{name} {str(path)!r} must hold a mapping such as 'seed: 1', got {content!r:.60}")
    return content


def build(model: type[M], values: Mapping[str, Any], *, where: str) -> M:
    """Make a configuration object, or raise one clear line that names the key, the value and the remedy."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        lines = [_explain(model, detail) for detail in error.errors()]
        raise ConfigurationError(f"{where}: {'; '.join(lines)}") from None


def _explain(model: type[BaseModel], detail: ErrorDetails) -> str:
    path = [str(part) for part in detail["loc"]]
    name = ".".join(path) or model.__name__
    if detail["type"] == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        near = get_close_matches(path[-1], known, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"the known keys there are {', '.join(sorted(known))}"
        return f"unknown key {name!r} (got {detail['input']!r:.60}); {remedy}"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{name!r}: {message} (got {detail['input']!r:.60})"


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
