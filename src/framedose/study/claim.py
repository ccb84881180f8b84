"""Whose an output folder is: new, empty, or begun by the very same work."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framedose.atomic import write_json
from framedose.errors import OutputExistsError


def claim(card: Path, content: Mapping[str, Any], *, whose: str, clash: str = "") -> None:
    """Make the folder of ``card`` somebody's, or refuse it; nothing in a foreign folder is touched.

    Parameters
    ----------
    card
        File that says whose the folder is; it is written if the folder is new or empty.
    content
        What it holds. Where this has a ``digest``, that of a card that is there must be the same.
    whose
        Such as ``"a study's"``.
    clash
        What a folder of another digest holds, and the remedy.

    Raises
    ------
    OutputExistsError
        If the folder holds something else.
    """
    folder = card.parent
    if card.exists():
        if "digest" in content and _digest(card) != content["digest"]:
            raise OutputExistsError(f"The output folder {str(folder)!r} holds {clash}")
        return
    # What is hidden may be what a process left that was killed while it wrote the card.
    if folder.exists() and (not folder.is_dir() or any(not path.name.startswith(".") for path in folder.iterdir())):
        raise OutputExistsError(
            f"The output folder {str(folder)!r} exists and is not {whose}. Choose another folder with --out."
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(card, dict(content))


def _digest(card: Path) -> Any:
    try:
        return json.loads(card.read_text(encoding="utf-8")).get("digest")
    except (ValueError, AttributeError):
        return None
