"""Reads an exported set (`dreamlab.data.exporting`) back as it was: its classes, the order and the
split of its images, their roles, and what its card says."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dreamlab.data.exporting import (
    CARD,
    COLUMNS,
    LABELLED_BY,
    METADATA,
    README,
    SPLIT,
    TABLE,
    main_role,
)
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.class_folders import is_split, split_of, test_mask
from dreamlab.data.importing.files import Files, plain
from dreamlab.data.importing.listing import PICTURE, UNLISTED, LeftOut, Listing

LARGEST_CARD = 2**24
"""Bytes of a card that are read at most."""
Row = dict[str, str]


def listed(files: Files, left: LeftOut) -> Listing | None:
    """The images of an exported set in the order in which they were; None if `files` have no card
    and table of one. Images that the table does not name, and those that are gone, go to `left`.
    Raises DataError if table and card do not belong together."""
    card, rows = _card(card_of(files)), table_of(files)
    classes, folders = card.get("classes"), card.get("folders")
    if rows is None or not isinstance(classes, list) or not isinstance(folders, list):
        return None
    names = set(files.names)
    for name in files.names:
        if name not in rows and posixpath.basename(name) not in (CARD, TABLE, README, METADATA):
            ours = PICTURE.search(name)
            left.add(name, "not in the table of the exported set" if ours else "not an image")
    for name in rows:
        if name not in names:
            left.add(name, "named by the table of the exported set, but not there")
    held = {name: row for name, row in rows.items() if name in names}
    used = {row["class"] for row in held.values()}
    if unknown := sorted(used - set(map(str, classes))):
        raise DataError(
            f"{TABLE} of {files.title} names the class {unknown[0]!r}, but {CARD} does not; export"
            " the set again."
        )
    order = [name for name in dict.fromkeys(map(str, classes)) if name in used]
    for name in dict.fromkeys(map(str, classes)):
        if name not in used:
            left.add(name, "class without images")
    number = {name: i for i, name in enumerate(order)}
    test = parts_of([row.get(SPLIT) or "" for row in held.values()])
    by_split = np.argsort(test, kind="stable")
    shown = list(held)
    labels = np.array([number[row["class"]] for row in held.values()], np.int64)
    return Listing(
        files.title,
        [shown[i] for i in by_split],
        labels[by_split],
        test[by_split],
        tuple(order),
        f"column {SPLIT} of {TABLE}" if test.any() else "",
        named=True,
        reading=f"{TABLE} of an exported set",
        layout="top",
    )


def parts_of(splits: Sequence[str]) -> np.ndarray:
    """Whether each image is a test image, by the names of splits; none is if the names are no
    splits, or if all are for training."""
    parts = [split_of(split) for split in splits]
    if None in parts or not is_split(set(parts)):
        return np.zeros(len(parts), bool)
    return test_mask(parts)


def table_of(files: Files) -> dict[str, Row] | None:
    """File -> row of the images.csv that is nearest to the root; None without such a table."""
    name = _nearest(files, TABLE)
    text = files.beside(name).decode("utf-8", "replace") if name else ""
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if not set(COLUMNS) <= set(rows.fieldnames or ()):
        return None
    top = name.removesuffix(TABLE)
    return {top + plain(row["file"] or ""): row for row in rows}


def with_card(listing: Listing, card: bytes, files: Files | None = None) -> Listing:
    """The listing with what the card of an exported set says, and with the role of each image by
    the table among `files`."""
    told, rows = _card(card), table_of(files) if files else None
    if rows is not None:
        roles = [_role(rows.get(name)) for name in listing.names]
        listing = dataclasses.replace(listing, roles=np.array(roles, str))
    if told.get("made_by") != "DreamLab":
        return listing
    channels = told.get("channels")
    return dataclasses.replace(
        listing,
        exported=True,
        labelled_by=labelled_by(card),
        mirror=listing.mirror and told.get("mirror") is not False,
        labelled=listing.labelled and told.get("labelled") is not False,
        channels=channels if channels in (1, 3) else None,
    )


def _role(row: Row | None) -> str:
    return UNLISTED if row is None else main_role(row["role"] or "")


def card_of(files: Files) -> bytes:
    """The card.json that is nearest to the root of a folder or archive; empty without one."""
    name = _nearest(files, CARD)
    return files.beside(name) if name else b""


def _nearest(files: Files, name: str) -> str:
    found = [n for n in files.names if posixpath.basename(n) == name]
    return min(found, key=lambda n: n.count("/"), default="")


def _card(card: bytes) -> Mapping[str, Any]:
    """The content of a card; empty if it is something else than a JSON object."""
    try:
        value: Any = json.loads(card) if card else None
    except ValueError:
        return {}
    return value if isinstance(value, Mapping) else {}


def labelled_by(card: bytes) -> dict[str, str] | None:
    """The `labeller` that gave the labels of a set and the `run` that it gave them in; None if no
    classifier gave them, or if the file is something else than the card of an exported set."""
    value = _card(card)
    if value.get("made_by") != "DreamLab":
        return None
    said = value.get(LABELLED_BY)
    if said is None and isinstance(settings := value.get("settings"), Mapping):
        said = {"labeller": settings.get("labeller"), "run": value.get("run")}  # earlier versions
    if not isinstance(said, Mapping) or said.get("labeller") in (None, "", "none"):
        return None
    return {"labeller": str(said["labeller"]), "run": str(said.get("run") or "")}
