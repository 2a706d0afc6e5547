"""Matches the classes of imported synthetic images with those of their data set, as one set."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.listing import Listing, some


def matched(listing: Listing, wanted: str, classes: Sequence[str]) -> np.ndarray:
    """For each class of `listing`, its number among `classes`, those of the data set `wanted`.

    All are matched in one way: all are class names (without regard to case, spaces, - and _), or
    all are class numbers from 0. Raises DataError if neither is possible, if both are and differ,
    or if two of them are the same class.
    """
    names, title = listing.classes, listing.title
    by_name = [_named(name, classes, wanted) for name in names]
    unknown = [n for n, c in zip(names, by_name, strict=True) if c < 0]
    numbers = [int(n) if n.isascii() and n.isdigit() else -1 for n in names]
    found = by_name
    if unknown and min(numbers, default=-1) >= 0:
        found = _numbered(listing, numbers, wanted, classes)
    elif unknown:
        part = "only some" if len(unknown) < len(names) else "none"
        raise DataError(
            f"Of the classes of {title} ({some(names)}), {part} are classes of {wanted}"
            f" ({some(classes)}): {some(unknown)} cannot be matched; name all like these or all by"
            " their numbers from 0, and leave out images of other classes."
        )
    elif listing.numbered and len(set(found)) < len(classes):
        raise DataError(
            f"The labels of {title} are the {len(names)} numbers {some(names)}, without names, and"
            f" {wanted} has the {len(classes)} classes {some(classes)}, so the labels may be these"
            " or count other classes from 0 or 1; give images of every class, a folder for each"
            " class, or an .npz whose array `classes` holds the names."
        )
    elif not listing.named and 0 <= min(numbers) <= max(numbers) < len(classes):
        if numbers != by_name:
            raise DataError(
                f"The classes of {title} ({some(names)}) may be names or numbers from 0 of the"
                f" classes of {wanted} ({some(classes)}), which differ; give a folder for every"
                " class, or an .npz whose array `classes` holds the names."
            )
    for c, count in collections.Counter(found).items():
        if count > 1:
            same = [n for n, k in zip(names, found, strict=True) if k == c]
            raise DataError(
                f"The classes {some(same)} of {title} are the same class of {wanted},"
                f" {classes[c]}; put their images into one folder, or give them one label."
            )
    return np.array(found, np.int64)


def _named(name: str, classes: Sequence[str], wanted: str) -> int:
    """The class with this name, -1 if there is none. An equal name comes before one that differs in
    case, spaces, - or _. Raises DataError if several differ from it in these alone."""
    if name in classes:
        return classes.index(name)
    alike = [i for i, c in enumerate(classes) if _plain(c) == _plain(name)]
    if len(alike) > 1:
        raise DataError(
            f"Class {name} may be {' or '.join(classes[i] for i in alike)} of {wanted}, which"
            " differ only in case, spaces, - or _; write it exactly as one of these."
        )
    return alike[0] if alike else -1


def _numbered(
    listing: Listing, numbers: list[int], wanted: str, classes: Sequence[str]
) -> list[int]:
    """The numbers, checked. Labels without names must be exactly 0 to K - 1, and folders must have
    a 0, because nothing else says that they count the same classes from 0."""
    last, low, high = len(classes) - 1, min(numbers), max(numbers)
    bare = listing.numbered and sorted(numbers) != list(range(len(classes)))
    if high > last or low > 0 or bare:
        raise DataError(
            f"The classes of {listing.title} are the {len(numbers)} numbers {low} to {high}"
            f"{', as if counted from 1' if low == 1 else ''}, but those of"
            f" {wanted} are numbered 0 to {last} ({some(classes)}); number them like these"
            f"{', every class,' if listing.numbered else ''} or use these names."
        )
    return numbers


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())
