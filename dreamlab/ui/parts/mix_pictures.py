"""Samples of each generator of a mix beside real images of the same classes, with the sentence on
how many of them a classifier recognises."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from markupsafe import Markup

from dreamlab.data import catalog
from dreamlab.experiments.mix.quality import set_ids
from dreamlab.service import Refused, RunRow, Service
from dreamlab.settings import MixSpec
from dreamlab.stats import generator_quality
from dreamlab.ui import render
from dreamlab.ui.parts import pictures

PAGE = "mix.html"
MOST_CLASSES, MOST_COLUMNS = 10, 8
WIDTH = 288
"""Pixels of the images of one row, before they are enlarged: fewer images of a larger size."""
FEW_CLASSES, SMALL = 5, 32
"""With more classes, images are shown at about SMALL screen pixels a side, so that the chart below
stays near the verdict. Images of at least twice that side choose their own zoom."""
LONGEST_NAME = 12


@dataclasses.dataclass(frozen=True)
class Contact:
    """The pictures of one generator. `rows` are class names; `real` and `synthetic` have the same
    number of images, classes and pixels. `zoom`: screen pixels for each of these, 0 for as many as
    fit. `state` and `text` say what is known of its quality."""

    name: str
    run: str
    rows: tuple[str, ...]
    real: pictures.Sheet
    synthetic: pictures.Sheet
    zoom: int
    state: str
    text: str
    note: str


def contact_html(service: Service, row: RunRow | None, report: dict[str, Any]) -> Markup:
    """The pictures of each generator of a mix whose images can be read; empty without any."""
    spec = service.get(row.id).spec if row else None
    if row is None or not isinstance(spec, MixSpec):
        return Markup()
    found = [_contact(service, row, spec, g) for g in report.get("generators") or []]
    return render.part(PAGE, "contacts", [contact for contact in found if contact])


def _contact(
    service: Service, row: RunRow, spec: MixSpec, generator: dict[str, Any]
) -> Contact | None:
    roles = service.get(row.id).record.roles
    for run_id in set_ids(spec, generator["key"], roles):
        try:
            images, labels = service.images(run_id)
            real, real_labels, names = service.real_images(spec.dataset, spec.data_dir)
        except Refused:  # a set that is not done, or was deleted with its data
            continue
        side = catalog.info(spec.dataset).size
        cols = max(2, min(MOST_COLUMNS, WIDTH // side))
        classes, cols = shown_classes(labels, real_labels, len(names), cols)
        if not classes:
            continue
        state, text = _quality(row, generator)
        rows = tuple(shortened(names[c]) for c in classes)
        left, right = (
            pictures.sheet(np.asarray(a[first(b, classes, cols)]), side, cols)
            for a, b in ((real, real_labels), (images, labels))
        )
        return Contact(
            generator["name"],
            run_id,
            rows,
            left,
            right,
            max(1, round(SMALL / side)) if len(rows) > FEW_CLASSES and side < 2 * SMALL else 0,
            state,
            text,
            f"The first {cols} of each class as they are stored, none chosen"
            + (f"; {len(classes)} of {len(names)} classes." if len(classes) < len(names) else "."),
        )
    return None


def shown_classes(
    labels: np.ndarray, real_labels: np.ndarray, classes: int, cols: int
) -> tuple[list[int], int]:
    """(classes to show, images of each): at most MOST_CLASSES classes, spread evenly over those
    that both kinds of labels (N,) hold, and as many images as both have in each, at most `cols`."""
    counts = np.minimum(
        np.bincount(labels, minlength=classes)[:classes],
        np.bincount(real_labels, minlength=classes)[:classes],
    )
    there = np.flatnonzero(counts)
    if not len(there):
        return [], 0
    if len(there) > MOST_CLASSES:
        there = there[np.linspace(0, len(there) - 1, MOST_CLASSES).round().astype(int)]
    return there.tolist(), int(min(cols, counts[there].min()))


def first(labels: np.ndarray, classes: list[int], cols: int) -> np.ndarray:
    """Indices of the first `cols` images of each class, class by class."""
    return np.concatenate([np.flatnonzero(labels == c)[:cols] for c in classes])


def shortened(name: str) -> str:
    """A class name that leaves room for pictures."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "\u2026"


def _quality(row: RunRow, generator: dict[str, Any]) -> tuple[str, str]:
    """(state, sentences) on a generator: whether it was trained enough, and its steps."""
    found = generator.get("quality") or dataclasses.asdict(generator_quality.quality(None))
    if row.state != "done" and not generator.get("recognition"):
        found = {"state": "", "text": ""}  # it may still be measured
    steps = generator_quality.far_fewer(generator.get("steps"), generator.get("promised_steps"))
    text = found["text"] + (f" Its training took {steps}." if steps else "")
    return str(found["state"]), text
