"""Finds classes and split in the paths of class folders. It reads no images."""

from __future__ import annotations

import collections
import csv
import dataclasses
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from dreamlab.data.exporting import TABLE as ORIGINS
from dreamlab.data.exporting import main_role
from dreamlab.data.imageset import DataError

TRAIN, VALIDATION, TEST = ("train", "training"), ("val", "valid", "validation"), ("test", "testing")
PARTS = {name: part for part, names in enumerate((TRAIN, VALIDATION, TEST)) for name in names}
"""Folder name -> 0 for training, 1 for validation, 2 for test."""
NO_CLASS = "not in a class folder"
SYSTEM = re.compile(r"(^|/)(\.|__MACOSX/|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE)
"""Hidden files, and files that operating systems create."""
PICTURE = re.compile(r"\.(png|jpe?g|gif|bmp|webp|tiff?|p[bgpn]m)$", re.IGNORECASE)
ARCHIVE = re.compile(r"\.(zip|tar|tgz|gz|bz2|xz|7z|rar|npz)$", re.IGNORECASE)
CARD, TABLE = "card.json", "labels.csv"
TOLD = 200
"""Most files that a report names one by one; further ones are only counted."""


class LeftOut:
    """The files that an import leaves out, with reasons."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.files: list[dict[str, str]] = []

    def add(self, file: str, reason: str, count: int = 1) -> None:
        """Adds a file, or `count` files that share a reason."""
        self.counts[reason] += count
        if len(self.files) < TOLD:
            # a file name that is not valid text would raise an error when it is shown
            self.files.append({"file": file.encode("utf-8", "replace").decode(), "reason": reason})

    def __str__(self) -> str:
        said = ", ".join(
            f"{count:,} {reason}" for reason, count in self.counts.most_common(4) if count
        )
        return f"left out: {said}" if said else "nothing was left out"


@dataclasses.dataclass(frozen=True)
class Listing:
    """The content of a source, known before any image is read: name and class of each image, and
    whether it is in the test split."""

    title: str
    names: Sequence[str]
    labels: np.ndarray
    test: np.ndarray
    classes: tuple[str, ...]
    split: str
    """Where the split comes from; empty if the source has none."""
    mirror: bool = True
    """False if the source says that a mirrored image does not keep its class."""
    roles: np.ndarray | None = None
    """The role of each image, "real", "synthetic" or "", if the source is an exported set that says
    it; else None."""
    numbered: bool = False
    """Whether the classes are numbers because the source has labels without names."""
    named: bool = False
    """Whether the source says that `classes` are names, so that digits are not class numbers."""


def listed(
    title: str,
    names: list[str],
    folders: Iterable[str],
    read: Callable[[str], bytes],
    left: LeftOut,
) -> Listing:
    """Finds the class folders in `names`, which are relative POSIX paths. The result is sorted by
    split (training first), class and name.

    A class is the first folder, or the first folder below train/ and test/ (or val/). `folders` are
    all folders; they are used to report classes without images. `read` returns the content of a
    card.json, labels.csv or images.csv beside the class folders. Raises DataError if there are no
    class folders.
    """
    names = sorted(names)
    top = _common_folder(names)
    parts = _parts(name[len(top) :].split("/", 2) for name in names if name.startswith(top))
    depth = 1 if parts else 0
    kinds, test, kept = [], [], []
    numbers: dict[str, int] = {}
    side: dict[str, bytes] = {}
    for i, name in enumerate(names):
        path = name[len(top) :].split("/") if name.startswith(top) else [name]
        part = parts.get(path[0].lower(), None) if parts and len(path) > 1 else False
        if len(path) == 1 and path[0] in (CARD, TABLE, ORIGINS):
            side[path[0]] = read(name)
        elif part is None:
            left.add(name, "not in the training or test part")
        elif len(path) < depth + 2:
            left.add(name, NO_CLASS)
        else:
            kept.append(i)
            kinds.append(numbers.setdefault(path[depth], len(numbers)))
            test.append(part)
    if not numbers:
        raise DataError(
            f"{title} holds no class folders: put the images of each class into a folder of its"
            " own, such as cat/1.png and dog/1.png."
        )
    for folder in _empty_classes(folders, top, parts, numbers):
        left.add(folder + "/", "class without images")
    chosen, marks, split = (
        np.array(kept, np.int64),
        np.array(test, bool),
        "its own folders" if parts else "",
    )
    if not parts and TABLE in side:
        marks, split = _table_split(side[TABLE], [names[i][len(top) :] for i in kept])
    order, shown = _class_order(list(numbers), side.get(CARD))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    found = rank[np.array(kinds, np.int64)]
    by_class = np.lexsort((chosen, found, marks))
    shown_names = [names[chosen[i]] for i in by_class]
    roles = _roles(side.get(ORIGINS, b""), [name[len(top) :] for name in shown_names])
    named = set(numbers) <= set(_named_by(side.get(CARD))[0])
    labels, marks = found[by_class], marks[by_class]
    return Listing(title, shown_names, labels, marks, shown, split, roles=roles, named=named)


def _empty_classes(
    folders: Iterable[str], top: str, parts: Mapping[str, bool], known: Collection[str]
) -> Iterator[str]:
    """The class folders, sorted, that have no images."""
    for folder in sorted(folders):
        inner = folder[len(top) :].split("/") if folder.startswith(top) else []
        depth = 2 if parts else 1
        in_part = not parts or (bool(inner) and inner[0].lower() in parts)
        if len(inner) == depth and inner[-1] not in known and in_part:
            yield folder


def natural(name: str) -> tuple[int, int, str]:
    """Sort key for names: numbers by their value, then other names without regard to case."""
    return (0, int(name), name) if name.isascii() and name.isdigit() else (1, 0, name.casefold())


def _common_folder(names: Sequence[str]) -> str:
    """The path that leads to the class folders or to train/ and test/, such as "a/b/", or ""."""
    top = ""
    while True:
        inner = [n[len(top) :] for n in names if n.startswith(top)]
        first = {n.split("/", 1)[0] for n in inner if "/" in n}
        deeper = any(n.count("/") >= 2 for n in inner)
        if (
            len(first) != 1
            or not deeper
            or any(n.count("/") == 1 and PICTURE.search(n) for n in inner)
        ):
            return top
        top += next(iter(first)) + "/"


def _parts(paths: Iterable[list[str]]) -> dict[str, bool]:
    """Top folder -> whether it holds the test split. Empty unless there are both a training and a
    test (or validation) folder with class folders."""
    tops = {p[0].lower() for p in paths if len(p) >= 3}
    found = {PARTS[t]: t for t in sorted(tops) if t in PARTS}
    if 0 not in found or len(found) < 2:
        return {}
    # if there is a test folder, val/ belongs to the training split: each run sets its own
    # validation images aside
    return {name: part == 2 or (part == 1 and 2 not in found) for part, name in found.items()}


def _table_split(table: bytes, files: list[str]) -> tuple[np.ndarray, str]:
    """(test mask, description) from a labels.csv with the columns `file` and `split` (or a name
    that ends in _split). The description is empty if the table has no usable split."""
    rows = csv.DictReader(io.StringIO(table.decode("utf-8", "replace")))
    column = next((c for c in rows.fieldnames or () if c == "split" or c.endswith("_split")), "")
    none = np.zeros(len(files), bool)
    if not column or "file" not in (rows.fieldnames or ()):
        return none, ""
    by_file = {row["file"]: PARTS.get((row[column] or "").lower()) for row in rows}
    parts = [by_file.get(f) for f in files]
    present = set(parts)
    if None in present or 0 not in present or len(present) < 2:
        return none, ""
    return (
        np.array([p == 2 or (p == 1 and 2 not in present) for p in parts]),
        f"column {column} of {TABLE}",
    )


def _roles(table: bytes, files: list[str]) -> np.ndarray | None:
    """The role of each file by the images.csv of an exported set; None if there is no such
    table."""
    rows = csv.DictReader(io.StringIO(table.decode("utf-8", "replace")))
    if not {"file", "role"} <= set(rows.fieldnames or ()):
        return None
    by_file = {row["file"]: main_role(row["role"] or "") for row in rows}
    return np.array([by_file.get(file, "") for file in files], str)


def _named_by(card: bytes | None) -> tuple[list[str], list[str]]:
    """Folders and class names of an exported set, from its card.json. Two empty lists if the file
    is something else; any folder may hold an unrelated card.json."""
    try:
        value = json.loads(card) if card else None
    except ValueError:
        return [], []
    folders, shown = (
        (value.get(key) for key in ("folders", "classes"))
        if isinstance(value, dict)
        else (None, None)
    )
    if not isinstance(folders, list) or not isinstance(shown, list) or len(folders) != len(shown):
        return [], []
    return list(map(str, folders)), list(map(str, shown))


def _class_order(found: list[str], card: bytes | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """(order of the folders, class names): the order in the card of an exported set, otherwise that
    of `natural`."""
    folders, shown = _named_by(card)
    if folders and set(found) <= set(folders):
        keys = [folders.index(f) for f in found]
        order = np.argsort(keys)
        return order, tuple(shown[keys[i]] for i in order)
    order = np.array(sorted(range(len(found)), key=lambda i: natural(found[i])))
    return order, tuple(found[i] for i in order)
