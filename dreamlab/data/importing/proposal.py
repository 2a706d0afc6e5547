"""How a source would be imported, without importing it: what was recognised, and what is asked."""

from __future__ import annotations

from typing import Any

import numpy as np

from dreamlab.data import catalog
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import Doubt, Listing
from dreamlab.data.importing.opening import open_source
from dreamlab.data.importing.rows import chosen_rows
from dreamlab.data.importing.sampling import Sample, sample_of
from dreamlab.data.importing.source import Source
from dreamlab.settings import ImportSpec, command

NAMED = 25
"""Most files left out that are named."""
MOST_LEFT_OUT = 0.6
"""Share of the files above which an import asks whether it reads the right ones."""


def propose(
    spec: ImportSpec, limits: Limits | None = None, pictures: bool = False
) -> dict[str, Any]:
    """The reading that an import proposes, as JSON values: `reading` in words, `labelled`,
    `classes`, `per_class`, `splits` (part -> images), `left_out_counts` (reason -> files) and
    `left_out` (the first files), `notes`, `image_size` in pixels, `bytes` of the set, `seconds`
    that reading the images will take, `sample` (images that were decoded, and why some cannot be
    used), `questions`, each with its answers and the command of each, and `command`, which accepts
    the reading. With `pictures`, `sample` also has a sheet of them, see `Sample.sheet`.

    It lists all files, reads tables and the sizes of the images, and decodes a sample. Raises
    DataError if the source cannot be imported at all.
    """
    limits = limits or Limits()
    source = open_source(spec, limits)
    try:
        listing = source.listing
        target = catalog.info(spec.dataset) if spec.role == "synthetic" else None
        labels, classes, rows = chosen_rows(source, spec, target)
        sample = sample_of(source, labels, rows, spec, target, limits)
    finally:
        source.close()
    doubts = (*listing.doubts, *_few_used(spec, source, listing, sample))
    test = int(listing.test[rows].sum())
    return {
        "reading": listing.reading,
        "labelled": listing.labelled,
        "classes": list(classes),
        "per_class": np.bincount(labels[rows], minlength=len(classes)).tolist(),
        "splits": {"training": len(rows) - test, "test": test} if test else {},
        "left_out_counts": dict(source.left_out.counts.most_common()),
        "left_out": source.left_out.files[:NAMED],
        "notes": list(listing.notes),
        "image_size": sample.size,
        "bytes": len(rows) * sample.size**2 * sample.channels,
        "seconds": round(sample.seconds_each * len(rows), 1),
        "sample": {"images": sample.tried, "unusable": sample.unusable}
        | ({"sheet": sample.sheet(classes)} if pictures else {}),
        "questions": [_question(spec, doubt) for doubt in doubts],
        "command": command(_accepted(spec, doubts)),
    }


def _few_used(
    spec: ImportSpec, source: Source, listing: Listing, sample: Sample
) -> tuple[Doubt, ...]:
    """The doubt on a source most of whose files would be left out."""
    if spec.layout != "auto":
        return ()
    left = {k: n for k, n in source.left_out.counts.items() if k != "hidden or system file"}
    kept = len(listing.names) * (1 - sum(sample.unusable.values()) / sample.tried)
    files = len(listing.names) + sum(left.values())
    if kept >= (1 - MOST_LEFT_OUT) * files:
        return ()
    reasons = ", ".join([*left, *sample.unusable])
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
