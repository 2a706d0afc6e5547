"""Memory of the training set: what a fidelity run found, and the offer to repeat a mix without the
flagged images."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from markupsafe import Markup

from dreamlab.data import memory_report
from dreamlab.data.memory import UNLIKELY
from dreamlab.data.memory_report import COLUMNS, PICTURE, SHOWN
from dreamlab.service import RunRow, Service, memory
from dreamlab.settings import FidelitySpec, MixSpec
from dreamlab.ui.parts.near_copies import picture
from dreamlab.ui.parts.numbers import NumberCell
from dreamlab.ui.render import part

TEMPLATE = "memory.html"


def mixes_of(service: Service, row: RunRow | None) -> list[RunRow]:
    """The finished mixes that use the set which a fidelity run measured, if some of its images are
    flagged in pixels."""
    found = _found(service, row)
    if row is None or not found or not found["spaces"][0]["flagged"]:
        return []
    spec = service.get(row.id).spec
    return memory.mixes(service, spec.images) if isinstance(spec, FidelitySpec) else []


def key(service: Service, row: RunRow | None) -> Hashable:
    """A value that changes when other mixes can be repeated. It is asked for at every tick, so it
    reads no file."""
    found = service.status(row.id).result if row else None
    if not found or not found.get("memory"):
        return None
    return tuple((mix.id, mix.state) for mix in service.rows("mix"))


def memory_html(service: Service, row: RunRow | None) -> Markup:
    """What a fidelity run found of the memory of its set: sentences, a table by class, a picture,
    and a button for each mix that uses the set. Empty if it did not measure that."""
    found = _found(service, row)
    if row is None or not found:
        return Markup()
    spaces = found["spaces"]
    images = spaces[0]["images"]
    shown = min(SHOWN, images)
    return part(
        TEMPLATE,
        "of_set",
        [(memory_report.of_space(s), _warns(s)) for s in spaces],
        f"{memory_report.compared(found)} {memory_report.NO_GUARANTEE}",
        by_class(spaces),
        picture(service.get(row.id).path / PICTURE, min(COLUMNS, shown)),
        shown,
        mixes_of(service, row),
    )


def by_class(spaces: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The table by class: `titles` of its columns, and `lines` with name, number of images and
    cells. None if there are no classes or no limits."""
    used = [s for s in spaces if s["rate"] is not None and s["per_class"]]
    if not used:
        return None
    titles = [
        title
        for s in used
        for title in (f"flagged {memory_report.in_words(s['space'])}", "of held-out images")
    ]
    lines = [
        {
            "name": of_class[0]["class"],
            "images": of_class[0]["images"],
            "cells": [cell for c in of_class for cell in _cells(c)],
        }
        for of_class in zip(*(s["per_class"] for s in used), strict=True)
    ]
    return {"titles": titles, "lines": lines}


def _cells(counted: dict[str, Any]) -> tuple[NumberCell, NumberCell]:
    own = NumberCell(f"{counted['flagged']:,}", memory_report.percent(counted))
    return own, NumberCell(f"{counted['below']:,} of {counted['held_out']:,}", look="mut")


def offer_html(service: Service, row: RunRow | None) -> Markup:
    """The offer to repeat a finished mix without the flagged images of its sets; empty if none is
    known."""
    found = copied(service, row)
    if row is None or not found:
        return Markup()
    return part(TEMPLATE, "offer", sum(found.values()), row.id)


def copied(service: Service, row: RunRow | None) -> dict[str, int]:
    """Set -> number of its flagged images, of a finished mix that uses them."""
    if row is None or row.state != "done" or row.demo:
        return {}
    run = service.get(row.id)
    spec = run.spec
    if not isinstance(spec, MixSpec) or spec.without_near_copies:
        return {}
    return memory.copied_sets(service, run)


def _found(service: Service, row: RunRow | None) -> dict[str, Any]:
    result = service.get(row.id).result() if row else None
    return (result or {}).get("memory") or {}


def _warns(counted: dict[str, Any]) -> bool:
    return counted["chance"] is not None and counted["chance"] < UNLIKELY
