"""How a source would be imported, without importing it: what was recognised, and what is asked."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np

from dreamlab.data import catalog, small_sets
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import UNLISTED, Doubt, Listing
from dreamlab.data.importing.matching import class_numbers
from dreamlab.data.importing.opening import open_source
from dreamlab.data.importing.pictures import Preparation, Unusable
from dreamlab.data.importing.source import Source
from dreamlab.data.importing.split import held_out
from dreamlab.data.importing.write import DEFAULT_SIZE, LARGEST
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
        target = catalog.info(spec.dataset) if spec.role == "synthetic" else None
        numbers, classes = class_numbers(listing, spec, target)
        sample = _sample(source, limits)
        labels = numbers[listing.labels]
        expected = [] if target else _expected(spec, source, labels, classes)
    finally:
        source.close()
    doubts = (*listing.doubts, *_few_used(spec, source, listing, sample))
    test = int(listing.test.sum())
    return {
        "reading": listing.reading,
        "labelled": listing.labelled,
        "classes": list(classes),
        "per_class": np.bincount(labels[labels >= 0], minlength=len(classes)).tolist(),
        "splits": {"training": len(listing.test) - test, "test": test} if test else {},
        "left_out_counts": dict(source.left_out.counts.most_common()),
        "notes": [*listing.notes, *expected],
        "sample": sample,
        "questions": [_question(spec, doubt) for doubt in doubts],
        "command": command(_accepted(spec, doubts)),
    }


def _sample(source: Source, limits: Limits) -> dict[str, Any]:
    """What decoding some images gave."""
    rows = _rows(source)
    prepare, reasons = Preparation(8, "stretch", False, limits), collections.Counter[str]()
    for row in rows:
        try:
            prepare(source.fetch(row)())
        except Unusable as error:
            reasons[str(error)] += 1
    return {"images": len(rows), "unusable": dict(reasons.most_common())}


def _expected(
    spec: ImportSpec, source: Source, labels: np.ndarray, classes: Sequence[str]
) -> list[str]:
    """What can be expected of a real set, in sentences, if all its images can be used. Raises
    DataError if a class would be left without training or test images."""
    listing, k = source.listing, len(classes)
    used = labels >= 0
    if listing.roles is not None:
        used &= ~np.isin(listing.roles, ("synthetic", UNLISTED))
    test = np.bincount(labels[used & listing.test], minlength=k)
    train = np.bincount(labels[used & ~listing.test], minlength=k)
    if not listing.split:
        test = np.array([held_out(int(n), spec.test_share) for n in train])
        train -= test
    if not listing.doubts:
        for part, counts in (("training", train), ("test", test)):
            if (c := int(np.argmin(counts))) < k and counts[c] <= 0:
                usable = int((labels[used] == c).sum())
                left = str(source.left_out)
                raise DataError(
                    small_sets.left_without(classes[c], part, listing.title, usable, left)
                )
    return small_sets.about_import(train, test, classes, _side(spec, source))


def _side(spec: ImportSpec, source: Source) -> int:
    """The side of the imported images in pixels, by the headers of some images."""
    if spec.image_size:
        return spec.image_size
    found = {source.size_of(row) for row in _rows(source)} - {None}
    size = found.pop() if len(found) == 1 else None
    side = size[spec.fit != "crop"] if size else DEFAULT_SIZE
    return side if side <= LARGEST else DEFAULT_SIZE


def _rows(source: Source) -> list[int]:
    """At most SAMPLE rows, spread over the source."""
    count = len(source.listing.names)
    spread = np.linspace(0, count - 1, min(count, SAMPLE)).round().astype(int)
    return list(map(int, np.unique(spread)))


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
