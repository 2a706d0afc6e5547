"""How a source would be imported, without importing it: what was recognised, and what is asked."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from dreamlab.data import small_sets
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.extending import about_adding, prepared
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import Doubt, Listing
from dreamlab.data.importing.matching import Unmatched, as_setting, class_numbers, target_of
from dreamlab.data.importing.opening import open_source
from dreamlab.data.importing.rows import chosen_rows
from dreamlab.data.importing.sampling import Sample, sample_of
from dreamlab.data.importing.source import Source
from dreamlab.data.importing.split import held_out
from dreamlab.data.named import Info
from dreamlab.settings import ImportSpec, command

NAMED = 25
"""Most files left out that are named."""
MOST_LEFT_OUT = 0.6
"""Share of the files above which an import asks whether it reads the right ones."""


def propose(
    spec: ImportSpec, limits: Limits | None = None, pictures: bool = False
) -> dict[str, Any]:
    """The reading that an import proposes, as JSON values: `layout`, `reading` in words,
    `labelled`, `classes`, `per_class`, `splits` (part -> images), `mapping` (classes with another
    name here), `left_out_counts` (reason -> files) and `left_out` (the first files), `notes`,
    `image_size` in pixels, `bytes` of the set, `seconds` that reading the images will take,
    `sample` (images that were decoded, and why some cannot be used), `questions`, each with its
    answers and the command of each, and `command`, which accepts the reading. With `pictures`,
    `sample` also has a sheet of them, see `Sample.sheet`.

    It lists all files, reads tables and the sizes of the images, and decodes a sample. Raises
    DataError if the source cannot be imported at all.
    """
    limits = limits or Limits()
    source = open_source(spec, limits)
    try:
        doubts = source.listing.doubts
        first = _accepted(spec, doubts)
        if first != spec:  # what is shown is the reading that `command` accepts
            source.close()
            source = open_source(first, limits)
        return _proposed(source, spec, first, doubts, limits, pictures)
    finally:
        source.close()


def _proposed(
    source: Source,
    given: ImportSpec,
    spec: ImportSpec,
    asked: tuple[Doubt, ...],
    limits: Limits,
    pictures: bool,
) -> dict[str, Any]:
    """The proposal for the settings `given`: the source is read by `spec`, which answers the doubts
    `asked`."""
    listing, unmatched = source.listing, None
    target = target_of(spec)
    try:
        labels, classes, rows = chosen_rows(source, spec, target)
    except Unmatched as error:
        unmatched, labels, classes = error, listing.labels, listing.classes
        rows = np.flatnonzero(labels >= 0)
    sample = sample_of(source, labels, rows, prepared(spec), target, limits)
    own = spec.role == "real" and not spec.extends and unmatched is None
    expected = _expected(spec, source, labels, classes, sample.size, not asked) if own else []
    if spec.extends and unmatched is None:
        expected = about_adding(spec, sample.images, len(rows), sample.resized)
    doubts = (*asked, *_few_used(given, source, listing, sample))
    test = int(listing.test[rows].sum())
    questions = [_question(given, doubt) for doubt in doubts]
    accepted = _accepted(given, doubts)
    if unmatched is not None:
        question = _map_question(given, unmatched, listing)
        questions.append(question)
        if question["answers"]:
            accepted = accepted.model_copy(update=question["answers"][0]["settings"])
    return {
        "layout": listing.layout or "auto",
        "reading": listing.reading,
        "labelled": listing.labelled,
        "classes": list(classes),
        "per_class": np.bincount(labels[rows], minlength=len(classes)).tolist(),
        "splits": {"training": len(rows) - test, "test": test} if test else {},
        "mapping": [] if unmatched else _mapping(listing, spec, target),
        "left_out_counts": dict(source.left_out.counts.most_common()),
        "left_out": source.left_out.files[:NAMED],
        "notes": [*listing.notes, *_depth(sample), *expected],
        "image_size": sample.size,
        "bytes": len(rows) * sample.size**2 * sample.channels,
        "seconds": round(sample.seconds_each * len(rows), 1),
        "sample": {"images": sample.tried, "unusable": sample.unusable}
        | ({"sheet": sample.sheet(classes)} if pictures else {}),
        "questions": questions,
        "command": command(accepted),
    }


def _depth(sample: Sample) -> list[str]:
    said = sample.deep.said if sample.deep else ""
    return [f"Grey of 16 bits, by a sample: {said}."] if said else []


def _mapping(listing: Listing, spec: ImportSpec, target: Info | None) -> list[dict[str, Any]]:
    """Class of the source, its images, and the class that they get ("" if they are left out); empty
    if all keep their names."""
    numbers, names = class_numbers(listing, spec, target)
    to = [names[n] if n >= 0 else "" for n in numbers.tolist()]
    if to == list(listing.classes):
        return []
    held = listing.labels[listing.labels >= 0]
    counts = np.bincount(held, minlength=len(to)).tolist()
    return [
        {"from": name, "images": n, "to": new}
        for name, n, new in zip(listing.classes, counts, to, strict=True)
    ]


def _map_question(spec: ImportSpec, error: Unmatched, listing: Listing) -> dict[str, Any]:
    """The question which classes of the data set those of the source are. `map` has both sides and
    the most likely answer. The last answer for images that are added to a set is a set of their
    own."""
    answers, ways = [], ""
    for words, pairs in error.answers:
        text = as_setting(pairs)
        chosen = spec.model_copy(update={"classes": text})
        settings = {"classes": text}
        answers.append({"words": words, "settings": settings, "command": command(chosen)})
        ways += f"; {shlex.quote(text)} ({words})"
    if spec.extends:
        own = {"extends": ""}
        chosen = spec.model_copy(update=own)
        words = "they are a set of their own"
        answers.append({"words": words, "settings": own, "command": command(chosen)})
    likely = error.answers[0][1] if error.answers else {}
    counts = np.bincount(listing.labels[listing.labels >= 0], minlength=len(listing.classes))
    rows = [
        {"from": name, "images": n, "to": likely.get(name, "")}
        for name, n in zip(listing.classes, counts.tolist(), strict=True)
    ]
    return {
        "question": str(error),
        "sentence": f"{error} Nothing was imported; choose the classes with --classes FROM=TO,..."
        f" or --class-map FILE{ways}.",
        "answers": answers,
        "map": {"rows": rows, "to": list(error.target)},
    }


def _expected(
    spec: ImportSpec,
    source: Source,
    labels: np.ndarray,
    classes: Sequence[str],
    side: int,
    sure: bool,
) -> list[str]:
    """What can be expected of a real set whose images have the classes `labels` (N,), -1 for those
    that are left out, in sentences, if all can be used. If the reading is `sure`, raises DataError
    if a class would be left without training or test images."""
    listing, k = source.listing, len(classes)
    test = np.bincount(labels[(labels >= 0) & listing.test], minlength=k)
    train = np.bincount(labels[(labels >= 0) & ~listing.test], minlength=k)
    if not listing.split:
        test = np.array([held_out(int(n), spec.test_share) for n in train])
        train -= test
    if sure:
        for part, counts in (("training", train), ("test", test)):
            if (c := int(np.argmin(counts))) < k and counts[c] <= 0:
                usable = int((labels == c).sum())
                left = str(source.left_out)
                raise DataError(
                    small_sets.left_without(classes[c], part, listing.title, usable, left)
                )
    return small_sets.about_import(train, test, classes, side)


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
    if round(kept) < 1:
        raise DataError(f"{listing.title} holds no image that can be used: {reasons}.")
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
