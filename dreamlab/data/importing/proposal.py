"""How a source would be imported, without importing it: what was recognised, and what is asked."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np

from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import Doubt, Listing
from dreamlab.data.importing.matching import class_numbers, target_of
from dreamlab.data.importing.opening import open_source
from dreamlab.data.importing.pictures import Preparation, Unusable
from dreamlab.data.importing.source import Source
from dreamlab.settings import ImportSpec, command

SAMPLE = 200
"""Most images that are decoded."""
MOST_LEFT_OUT = 0.6
"""Share of the files above which an import asks whether it reads the right ones."""


def propose(spec: ImportSpec, limits: Limits | None = None) -> dict[str, Any]:
    """The reading that an import proposes, as JSON values: `reading` in words, `labelled`,
    `classes`, `per_class`, `splits` (part -> images), `left_out_counts` (reason -> files), `notes`,
    `sample` (images that were decoded, and why some cannot be used), `questions`, each with its
    answers and the command of each, and `command`, which accepts the reading.

    It lists all files, reads tables, and decodes at most SAMPLE images. Raises DataError if the
    source cannot be imported at all.
    """
    limits = limits or Limits()
    source = open_source(spec, limits)
    try:
        listing = source.listing
        numbers, classes = class_numbers(listing, spec, target_of(spec))
        sample = _sample(source, limits)
    finally:
        source.close()
    doubts = (*listing.doubts, *_few_used(spec, source, listing, sample))
    test, labels = int(listing.test.sum()), numbers[listing.labels]
    return {
        "reading": listing.reading,
        "labelled": listing.labelled,
        "classes": list(classes),
        "per_class": np.bincount(labels[labels >= 0], minlength=len(classes)).tolist(),
        "splits": {"training": len(listing.test) - test, "test": test} if test else {},
        "left_out_counts": dict(source.left_out.counts.most_common()),
        "notes": list(listing.notes),
        "sample": sample,
        "questions": [_question(spec, doubt) for doubt in doubts],
        "command": command(_accepted(spec, doubts)),
    }


def _sample(source: Source, limits: Limits) -> dict[str, Any]:
    """What decoding some images gave. They are spread over the source."""
    count = len(source.listing.names)
    rows = np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).round().astype(int))
    prepare, reasons = Preparation(8, "stretch", False, limits), collections.Counter[str]()
    for row in rows.tolist():
        try:
            prepare(source.fetch(row)())
        except Unusable as error:
            reasons[str(error)] += 1
    return {"images": len(rows), "unusable": dict(reasons.most_common())}


def _few_used(
    spec: ImportSpec, source: Source, listing: Listing, sample: dict[str, Any]
) -> tuple[Doubt, ...]:
    """The doubt on a source most of whose files would be left out."""
    if spec.layout != "auto":
        return ()
    left = {k: n for k, n in source.left_out.counts.items() if k != "hidden or system file"}
    kept = len(listing.names) * (1 - sum(sample["unusable"].values()) / sample["images"])
    files = len(listing.names) + sum(left.values())
    if kept >= (1 - MOST_LEFT_OUT) * files:
        return ()
    reasons = ", ".join([*left, *sample["unusable"]])
    words = f"take about {kept:,.0f} images, read by {listing.reading}"
    answer = {"layout": listing.layout} if listing.layout else {}
    return (
        Doubt(
            f"About {files - kept:,.0f} of {files:,} files would be left out: {reasons}.",
            ((words, answer),),
        ),
    )


def _question(spec: ImportSpec, doubt: Doubt) -> dict[str, Any]:
    answers = [
        {"words": words, "settings": chosen, "command": command(spec.model_copy(update=chosen))}
        for words, chosen in doubt.answers
    ]
    return {"question": doubt.question, "sentence": doubt.sentence, "answers": answers}


def _accepted(spec: ImportSpec, doubts: tuple[Doubt, ...]) -> ImportSpec:
    """The settings with the first answer to each question."""
    for doubt in doubts[::-1]:
        spec = spec.model_copy(update=doubt.answers[0][1])
    return spec
