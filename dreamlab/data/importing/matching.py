"""Matches the classes of a source with those of a data set, as one set, or by a map of classes."""

from __future__ import annotations

import collections
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dreamlab.data import catalog
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.listing import Doubt, Listing, natural, some
from dreamlab.data.named import Info
from dreamlab.settings import ImportSpec, label_maps

MOST_BYTES = 2**22
"""Most bytes of a file of a class map."""
Answer = tuple[str, Mapping[str, str]]
"""What a map of classes means, in words, and the map."""


class Unmatched(DataError):
    """The classes of a source do not match those of a data set one to one. `answers` are maps of
    classes that would settle it, the most likely first."""

    def __init__(self, message: str, target: Sequence[str], answers: Sequence[Answer] = ()):
        super().__init__(message)
        self.target, self.answers = tuple(target), tuple(answers)


def below_zero(labels: Sequence[str]) -> Doubt:
    """The doubt on labels of which some are numbers below 0, which are often no labels."""
    counts = collections.Counter(labels)
    low = sorted((v for v in counts if v.startswith("-")), key=natural)
    rest = sorted((v for v in counts if not v.startswith("-")), key=natural)
    # the option of the command line must not begin with -
    kept = [*rest[:1], *low[:100]]
    classes = ("they are classes", {"classes": as_setting({v: v for v in kept})})
    none = ("images with them have no label", {"layout": "table"})
    usual = low == ["-1"] and len(rest) > 1
    return Doubt(
        f"{sum(counts[v] for v in low):,} of {len(labels):,} images have labels below 0"
        f" ({some(low)}).",
        (none, classes) if usual else (classes, none),
    )


def as_setting(pairs: Mapping[str, str]) -> str:
    """A map of classes as the setting `classes` holds it; the inverse of `class_map`."""
    out = io.StringIO()
    csv.writer(out).writerow([f"{name}={new}" for name, new in pairs.items()])
    return out.getvalue().strip()


def target_of(spec: ImportSpec) -> Info | None:
    """The data set whose classes the images get: that of synthetic images, or the set that real
    ones are added to; None if they bring their own. Raises DataError if it is not there."""
    name = spec.dataset or spec.extends
    return catalog.info(name) if name else None


def class_numbers(
    listing: Listing, spec: ImportSpec, target: Info | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(for each class of `listing`, its number or -1 if its images are left out, class names).

    `target` is what `target_of` returns. A map of classes (`--classes`, `--class-map`) gives the
    class of every class that it names; several may become one. Other classes keep their names, or
    are left out if there is a target that does not have them, or if the map leads them to nothing.
    Raises DataError.
    """
    given = class_map(spec, listing.classes, target.classes if target else ())
    to = {**_shipped(listing, spec), **given}
    if not to:
        if target is None:
            return np.arange(len(listing.classes)), listing.classes
        numbered = matched(listing, target.title, target.classes)
        made_here = listing.exported or listing.roles is not None
        if spec.role == "synthetic" and not made_here:
            _check_every(listing, numbered, target)
        return numbered, target.classes
    if unknown := [name for name in to if name not in listing.classes]:
        raise DataError(
            f"The class map names {some(unknown)}, but the classes of {listing.title} are"
            f" {some(listing.classes)}."
        )
    wanted = [to.get(name, name) for name in listing.classes]
    if target is None:
        names = tuple(sorted(set(wanted) - {""}, key=natural))
        if not names:
            raise DataError(f"The class map leaves out every class of {listing.title}; name one.")
        kept = [names.index(name) if name else -1 for name in wanted]
        return np.array(kept, np.int64), names
    numbers = {name: i for i, name in enumerate(target.classes)}
    numbers |= {str(i): i for i in range(len(target.classes)) if str(i) not in numbers}
    numbers[""] = -1
    if wrong := [name for name in dict.fromkeys(to.values()) if name not in numbers]:
        raise DataError(
            f"The class map leads to {some(wrong)}, which {target.title} does not have; its classes"
            f" are {some(target.classes)}."
        )
    found = [
        numbers[new] if name in to or name in target.classes else -1
        for name, new in zip(listing.classes, (to.get(n, n) for n in listing.classes), strict=True)
    ]
    if max(found) < 0:
        raise DataError(f"The class map leaves out every class of {listing.title}; name one.")
    return np.array(found, np.int64), target.classes


def class_map(
    spec: ImportSpec, names: Sequence[str] = (), targets: Sequence[str] = ()
) -> Mapping[str, str]:
    """Class of the source -> class that it becomes, "" if it is left out, by `classes` and the file
    `class_map`; empty without these. Names may have spaces around them, as some of `names` and
    `targets` do, and a pair with several = is divided behind one of `names`. Raises DataError."""
    found: dict[str, str] = {}
    of, to = ({name.strip(): name for name in known} for known in (names, targets))

    def add(name: str, new: str, where: str) -> None:
        _add(found, of.get(name, name), to.get(new, new), where)

    pairs = next(csv.reader([spec.classes], skipinitialspace=True), [])
    for pair in filter(None, map(str.strip, pairs)):
        name, equal, new = pair.rpartition("=")
        for at in (i for i, character in enumerate(pair) if character == "="):
            if pair[:at].strip() in of:
                name, new = pair[:at], pair[at + 1 :]
        if not equal or not name:
            raise DataError(f"Classes (--classes): {pair!r} is not of the form FROM=TO.")
        add(name.strip(), new.strip(), "Classes (--classes)")
    if spec.class_map and spec.class_map not in label_maps.names():
        for name, new in _rows(spec.class_map):
            if not name or not new:
                raise DataError(
                    f"Class map (--class-map): the row of {name or new or 'nothing'} has not both a"
                    " class in from and one in to; leave the row out to leave the class out."
                )
            add(name, new, "Class map (--class-map)")
    return found


def _shipped(listing: Listing, spec: ImportSpec) -> Mapping[str, str]:
    """Class of the source -> class that it becomes, by the map of a study that `class_map` names;
    empty if it names none. A class may have any of the names of the map, or these as the first of
    several with commas; the map may name more classes than there are. Raises DataError if there is
    none of them."""
    if spec.class_map not in label_maps.names():
        return {}
    rows = label_maps.load(spec.class_map)
    known = {plain(name): row.to for row in rows for name in row.names}
    words = {name: plain(name.split(",")[0]) for name in listing.classes}
    found = {name: known[word] for name, word in words.items() if word in known}
    if not found:
        raise DataError(
            f"Class map (--class-map): none of the classes of {listing.title}"
            f" ({some(listing.classes)}) is in the map {spec.class_map}; it has"
            f" {some([f'{row.name} or {row.id}' for row in rows])}."
        )
    return found


def _add(found: dict[str, str], name: str, new: str, where: str) -> None:
    if found.setdefault(name, new) != new:
        raise DataError(f"{where}: {name} is to become both {found[name]} and {new}.")


def _rows(file: str) -> list[tuple[str, str]]:
    """The pairs of a CSV file with the columns from and to. Raises DataError."""
    path = Path(file).expanduser()
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"Class map (--class-map): {path.name} is too large for a map.")
        rows = csv.DictReader(io.StringIO(path.read_text("utf-8-sig")))
        columns = [c.strip().casefold() for c in rows.fieldnames or ()]
        if not {"from", "to"} <= set(columns):
            raise DataError(
                f"Class map (--class-map): {path.name} has the columns {some(columns)}; from and to"
                " are needed."
            )
        rows.fieldnames = columns
        return [((row["from"] or "").strip(), (row["to"] or "").strip()) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"Class map (--class-map): {file!r} cannot be read ({error}); give a CSV file with the"
            " columns from and to."
        ) from None


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
        known = {n: classes[c] for n, c in zip(names, by_name, strict=True) if c >= 0}
        raise Unmatched(
            f"Of the classes of {title} ({some(names)}), {part} are classes of {wanted}"
            f" ({some(classes)}): {some(unknown)} cannot be matched; name all like these or all by"
            " their numbers from 0, and leave out images of other classes.",
            classes,
            [(f"leave out the images of {some(unknown)}", known)] if known else [],
        )
    elif listing.numbered and len(set(found)) < len(classes):
        raise Unmatched(
            f"The labels of {title} are the {len(names)} numbers {some(names)}, without names, and"
            f" {wanted} has the {len(classes)} classes {some(classes)}, so the labels may be these"
            " or count other classes from 0 or 1; give images of every class, a folder for each"
            " class, or an .npz whose array `classes` holds the names.",
            classes,
            [("they are these classes", dict(zip(names, _at(found, classes), strict=True)))],
        )
    elif not listing.named and 0 <= min(numbers) <= max(numbers) < len(classes):
        if numbers != by_name:
            raise Unmatched(
                f"The classes of {title} ({some(names)}) may be names or numbers from 0 of the"
                f" classes of {wanted} ({some(classes)}), which differ; give a folder for every"
                " class, or an .npz whose array `classes` holds the names.",
                classes,
                [
                    ("they are names", dict(zip(names, _at(by_name, classes), strict=True))),
                    ("they are numbers", dict(zip(names, _at(numbers, classes), strict=True))),
                ],
            )
    _check_once(listing, found, wanted, classes)
    return np.array(found, np.int64)


def _check_every(listing: Listing, found: np.ndarray, target: Info) -> None:
    """Raises Unmatched if classes of the data set have no images in a synthetic set."""
    without = [name for i, name in enumerate(target.classes) if i not in set(found.tolist())]
    if without:
        kept = dict(zip(listing.classes, _at(found.tolist(), target.classes), strict=True))
        raise Unmatched(
            f"{listing.title} has images of {len(kept)} of the {len(target.classes)} classes of"
            f" {target.title} ({some(listing.classes)}), and none of {some(without)}; add these, or"
            " name the classes that it has.",
            target.classes,
            [("it has no images of the others", kept)],
        )


def _at(numbers: Sequence[int], classes: Sequence[str]) -> list[str]:
    return [classes[i] for i in numbers]


def _check_once(
    listing: Listing, found: Sequence[int], wanted: str, classes: Sequence[str]
) -> None:
    """Raises Unmatched if two classes of the source are one of the data set."""
    for c, count in collections.Counter(found).items():
        if count > 1:
            same = [n for n, k in zip(listing.classes, found, strict=True) if k == c]
            together = dict(zip(listing.classes, _at(found, classes), strict=True))
            raise Unmatched(
                f"The classes {some(same)} of {listing.title} are the same class of {wanted},"
                f" {classes[c]}; put their images into one folder, or give them one label.",
                classes,
                [("join them", together)],
            )


def _named(name: str, classes: Sequence[str], wanted: str) -> int:
    """The class with this name, -1 if there is none. An equal name comes before one that differs in
    case, spaces, - or _. Raises DataError if several differ from it in these alone."""
    if name in classes:
        return classes.index(name)
    alike = [i for i, c in enumerate(classes) if plain(c) == plain(name)]
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
        from_1 = {n: classes[i - 1] for n, i in zip(listing.classes, numbers, strict=True) if i}
        from_0 = {n: classes[i] for n, i in zip(listing.classes, numbers, strict=True) if i <= last}
        answers = [("they count from 1", from_1)] if low > 0 and high <= last + 1 else []
        answers += [("they count from 0", from_0)] if high <= last else []
        raise Unmatched(
            f"The classes of {listing.title} are the {len(numbers)} numbers {low} to {high}"
            f"{', as if counted from 1' if low == 1 else ''}, but those of"
            f" {wanted} are numbered 0 to {last} ({some(classes)}); number them like these"
            f"{', every class,' if listing.numbered else ''} or use these names.",
            classes,
            answers,
        )
    return numbers


def plain(name: str) -> str:
    """A name of a class without regard to case, spaces, - and _."""
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())
