"""What a field can hold."""

from typing import Literal

FieldKind = Literal["particle", "support", "vacuum"]
"""A particle on whatever carries it, bare support, or nothing."""
KINDS: tuple[FieldKind, ...] = ("particle", "support", "vacuum")
