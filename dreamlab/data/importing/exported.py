"""What the card of an exported set says beyond its images and classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dreamlab.data.exporting import CARD, LABELLED_BY
from dreamlab.data.importing.files import Files

LARGEST_CARD = 2**24
"""Bytes of a card that are read at most."""


def card_of(files: Files) -> bytes:
    """The card.json that is nearest to the root of a folder or archive; empty without one."""
    found = [name for name in files.names if name.rpartition("/")[2] == CARD]
    return files.beside(min(found, key=lambda name: name.count("/"))) if found else b""


def is_exported(card: bytes) -> bool:
    """Whether a file is the card of a set that was exported by DreamLab."""
    return _value(card) is not None


def _value(card: bytes) -> Mapping[str, Any] | None:
    try:
        value: Any = json.loads(card) if card else None
    except ValueError:
        return None
    own = isinstance(value, Mapping) and value.get("made_by") == "DreamLab"
    return value if own else None


def labelled_by(card: bytes) -> dict[str, str] | None:
    """The `labeller` that gave the labels of a set and the `run` that it gave them in; None if no
    classifier gave them, or if the file is something else than the card of an exported set."""
    value = _value(card)
    if value is None:
        return None
    said = value.get(LABELLED_BY)
    if said is None and isinstance(settings := value.get("settings"), Mapping):
        said = {"labeller": settings.get("labeller"), "run": value.get("run")}  # earlier versions
    if not isinstance(said, Mapping) or said.get("labeller") in (None, "", "none"):
        return None
    return {"labeller": str(said["labeller"]), "run": str(said.get("run") or "")}
