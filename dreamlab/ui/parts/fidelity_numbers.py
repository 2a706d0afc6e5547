"""What the Fidelity tab shows of one measured set: its numbers, with reference, extractor and
number of images, and how to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from dreamlab.experiments.provenance import labelled_by
from dreamlab.fidelity import wording
from dreamlab.service import Refused, RunRow, usefulness
from dreamlab.stats.intervals import Interval, geometric_mean
from dreamlab.store import RunError
from dreamlab.store.states import ACTIVE
from dreamlab.ui import render
from dreamlab.ui.parts.numbers import NumberCell
from dreamlab.ui.parts.numbers import metric as metric_cell
from dreamlab.ui.view import Pages

PAGE = "fidelity.html"


def numbers_html(pages: Pages, row: RunRow | None) -> Markup:
    """The numbers of one set, with reference, extractor and number of images."""
    if row is None:
        return render.part(PAGE, "one_set", None)
    run = pages.service.get(row.id)
    result, active = run.result() or {}, row.state in ACTIVE
    if not result.get("metrics"):
        coming = "The set is being measured; the extractor is trained once and then cached."
        waiting = row.error or row.text or (coming if active else "No numbers.")
        return render.part(PAGE, "one_set", row, waiting, active)
    floor = result["real_floor"] if wording.comparable(result) else []
    real = {m["name"]: metric_cell(m) for m in floor}
    more, lacks = cas_rows(pages, row, result)
    found = wording.reliable_first([*result["metrics"], *more], result)
    title, names = wording.column_titles([m["name"] for m in found])
    rows = []
    for name, m in zip(names, found, strict=True):
        few = wording.too_few(m, result)
        rows.append(_line(name, m, result, few, real.get(m["name"])))
        if (result.get("fdr") or {}).get("name", "").startswith(f"{m['name']} "):
            ratio = f"{result['fdr']['name']}, 1 is as close as real images"
            rows.append(_line(ratio, result["fdr"], result, few))
    return render.part(
        PAGE,
        "one_set",
        row,
        sources=sources(pages, row),
        title=title,
        metrics=rows,
        about=[
            *about(result, pseudo_labelled(pages, row)),
            *filter(None, [over_extractors(pages, row, result), about_cas(found), lacks]),
        ],
        reading=reading({**result, "metrics": found}),
        command=run.record.command,
        classes=by_class(found),
    )


def _line(
    name: str,
    value: Mapping[str, Any],
    result: Mapping[str, Any],
    few: int,
    real: NumberCell | None = None,
) -> dict[str, Any]:
    """A line of the table. few: number of images that the value needs if there are fewer, else
    0."""
    images = value.get("n", result["images"])
    return {"name": name, "cell": metric_cell(value), "images": images, "few": few, "real": real}


def cas_rows(
    pages: Pages, row: RunRow, result: Mapping[str, Any]
) -> tuple[Sequence[Mapping[str, Any]], str]:
    """(rows, sentence) of the CAS of the measured set: the rows as they are known now if the result
    holds none, else none; the sentence says why there is none at all, or is empty."""
    if any(m["name"] == "cas" for m in result["metrics"]):
        return (), ""
    try:
        return usefulness.cas_of(pages.service, row.id)
    except Refused:  # the set or its data are gone
        return (), ""


def about_cas(rows: Sequence[Mapping[str, Any]]) -> str:
    """Which classifiers gave the CAS among these metrics; empty without it."""
    found = next((m for m in rows if m["name"] == "cas"), None)
    if found is None:
        return ""
    one = found["seeds"] == 1
    return (
        f"cas: accuracy on the test images of {found['reference']} of"
        f" {'a classifier' if one else str(found['seeds']) + ' classifiers'} trained on"
        f" {found['n']:,} images of the set alone ({found['run']})."
    )


def by_class(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The table of the metrics class by class: `names` of the metrics that some class has enough
    images for, and for each class its name, its number of images and a cell of each metric. None if
    classes were not measured."""
    measured = [m for m in rows if any(c["value"] is not None for c in m.get("per_class") or [])]
    if not measured:
        return None
    lines = [
        {
            "name": of_class[0]["class"],
            "images": of_class[0]["n"],
            "cells": [None if c["value"] is None else metric_cell(c) for c in of_class],
        }
        for of_class in zip(*(m["per_class"] for m in measured), strict=True)
    ]
    return {"names": [m["name"] for m in measured], "lines": lines}


def sources(pages: Pages, row: RunRow) -> list[tuple[str, str, str]]:
    """(id, name, headline) of the measured set; none if it was deleted."""
    found = []
    for parent in row.parents[:1]:
        try:
            source = pages.service.row(parent, disk=False)
        except Refused:
            continue
        found.append((source.id, source.name, source.headline))
    return found


def pseudo_labelled(pages: Pages, row: RunRow) -> bool:
    """Whether a classifier labelled the measured set. Results of earlier versions do not say it."""
    for parent in row.parents:
        try:
            if labelled_by(pages.service.get(parent)):
                return True
        except (Refused, RunError):
            continue
    return False


def about(result: dict[str, Any], pseudo: bool = False) -> list[str]:
    """What was compared, and what else was found, a sentence or two each. `pseudo`: a classifier
    gave the classes of the set."""
    reference = result.get("reference") or {}
    said = [
        f"Reference: {reference.get('images', 0):,} real images of the {reference.get('split', '')}"
        f" split of {reference.get('dataset', '')}. {_features(result.get('extractor') or {})}"
    ]
    if reference.get("other_images"):
        said.append(wording.OTHER_IMAGES)
    if pseudo or result.get("pseudo_labelled"):
        said.append(wording.CIRCULAR)
    elif result.get("recognised") is not None:
        share = f"{100 * result['recognised']:.1f} %"
        said.append(f"{share} of the synthetic images are recognised as their class.")
    said += wording.about_too_few(result)
    return [s for s in (*said, wording.about_gap(result), wording.about_looks(result)) if s]


def _features(extractor: Mapping[str, Any]) -> str:
    """The extractor in words, with its accuracy if it is a classifier."""
    words = [f"Features: {extractor.get('name', '')}"]
    if extractor.get("run"):
        words.append(f"the classifier of {extractor['run']}")
    words.append(f"{extractor.get('dimensions', '')} dimensions")
    if extractor.get("resize"):
        words.append(f"images resized ({extractor['resize']})")
    if (accuracy := extractor.get("accuracy")) is not None:
        words.append(f"right on {100 * accuracy:.1f} % of the real test images")
    return f"{', '.join(words)}."


def reading(result: dict[str, Any]) -> list[str]:
    """How the intervals and the last column of the table are to be read, a sentence or two each."""
    return [*wording.about_intervals(result.get("metrics") or []), wording.about_floor(result)]


def over_extractors(pages: Pages, row: RunRow, result: Mapping[str, Any]) -> str:
    """FDr over all extractors by which the same set was measured against the same split, in a
    sentence; empty for one extractor."""
    split = (result.get("reference") or {}).get("split")
    found: dict[str, Interval] = {}
    for other in (row, *pages.service.rows("fidelity")):
        # the first parent is the set; others are classifiers
        if other.parents[:1] != row.parents[:1] or other.state != "done":
            continue
        theirs = pages.service.get(other.id).result() or {}
        fdr, name = theirs.get("fdr") or {}, (theirs.get("extractor") or {}).get("name", "")
        same = (theirs.get("reference") or {}).get("split") == split
        if same and name not in found and fdr.get("low"):
            found[name] = Interval(fdr["value"], fdr["low"], fdr["high"], fdr["level"])
    if len(found) < 2:
        return ""
    mean = geometric_mean(list(found.values()))
    return (
        f"Frechet distance over that of real images, geometric mean over {' and '.join(found)}:"
        f" {mean.mean:.3g} ({mean.low:.3g} to {mean.high:.3g})."
    )
