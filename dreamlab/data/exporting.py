"""Writes an image set as class folders of PNG files, as a ZIP of them, or as an .npz, with a card
and a table that say where each image came from.

The target is either complete or absent, because it is written under a temporary name and renamed.
Memory holds one image at a time, and all labels. An exported set can be imported again with the
same pixels.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from dreamlab.data import imageset
from dreamlab.data.imageset import DataError

CARD, README, TABLE = "card.json", "README.md", "images.csv"
LABELLED_BY = "labelled_by"
"""Key of a card: the classifier that gave the labels of the synthetic images, and the run that it
gave them in. A card without it has no such labels."""
COLUMNS = ("file", "class", "role", "source", "index")
"""Columns of images.csv. `source` is a data set or a run, and `index` the number of the image in
it."""
ORIGIN = re.compile(r"(?:(?P<role>[^:]+): )?(?P<source>.+) image (?P<index>\d+)")
STAMP = (1980, 1, 1, 0, 0, 0)
"""Time stamp of all members of a ZIP, so that exporting the same set twice gives identical
files."""


class _Writer(Protocol):
    """Where the files of an export go: a folder or a ZIP."""

    def add(self, name: str, data: bytes) -> None:
        """Writes one file with this relative name."""


def write(
    target: Path,
    images: Iterable[np.ndarray],
    labels: np.ndarray,
    names: Sequence[str],
    provenance: Sequence[str],
    card: dict[str, Any],
) -> None:
    """Writes images to a new `target`: a .zip, an .npz or a folder. Each image is uint8 (H, W, C).
    Their order is that of `labels` (N,), which are in 0..len(names)-1.

    `provenance[i]` is "ROLE: SOURCE image INDEX", such as "real: mnist5k training image 17" or
    "synthetic: RUN image 3". Its parts become columns of images.csv. Raises DataError if the target
    exists, has another suffix, or if images and labels do not match; OSError if the target cannot
    be written.
    """
    labels = np.asarray(labels, np.int64)
    _check(target, labels, names, provenance)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    folders = folder_names(names)
    counts = np.bincount(labels, minlength=len(names)).tolist()
    files = [f"{folders[c]}/{i:07d}.png" for i, c in enumerate(labels.tolist())]
    full = {
        **card,
        "images": len(labels),
        "classes": list(names),
        "folders": folders,
        "real": sum(_role(p) == "real" for p in provenance),
        "synthetic": sum(_role(p) == "synthetic" for p in provenance),
        "per_class": dict(zip(names, counts, strict=True)),
        "files": target.suffix or "folder",
    }
    try:
        if target.suffix == ".npz":
            _write_npz(temporary, images, labels, names, provenance, full)
        elif target.suffix == ".zip":
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
                _write_files(_Zip(archive), images, labels, files, names, provenance, full)
        else:
            temporary.mkdir(parents=True)
            for folder in folders:
                (temporary / folder).mkdir()
            _write_files(_Folder(temporary), images, labels, files, names, provenance, full)
        if target.exists():
            raise DataError(f"{target} exists already; give another name.")
        os.rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.unlink(missing_ok=True)


def folder_names(names: Sequence[str]) -> list[str]:
    """One folder name per class, all different (also on file systems that ignore case) and without
    characters that are special in paths."""
    found: list[str] = []
    taken: set[str] = set()
    for c, name in enumerate(names):
        plain = re.sub(r"[^\w .()+-]", "_", name).strip(" .")[:80] or "class"
        if plain.startswith("__"):
            plain = f"class {plain.strip('_')}".strip()
        while plain.casefold() in taken:
            plain = f"{plain} ({c})"
        taken.add(plain.casefold())
        found.append(plain)
    return found


def _check(
    target: Path, labels: np.ndarray, names: Sequence[str], provenance: Sequence[str]
) -> None:
    if target.exists():
        raise DataError(f"{target} exists already; give another name.")
    if target.suffix not in (".zip", ".npz", ""):
        raise DataError(
            f"{target.name} cannot be written; it must be a folder, or end in .zip or .npz."
        )
    if not target.parent.is_dir():
        raise DataError(
            f"The folder {target.parent} does not exist; make it, or give another target."
        )
    if len(labels) == 0 or len(provenance) != len(labels):
        raise DataError(
            f"There are {len(labels):,} images and {len(provenance):,} origins; their numbers must"
            " be equal and at least 1."
        )
    if labels.min() < 0 or labels.max() >= len(names):
        raise DataError(
            f"Labels go from {labels.min()} to {labels.max()}, the {len(names):,} classes from 0 to"
            f" {len(names) - 1}."
        )


class _Folder:
    """Writes the files of an export into a folder."""

    def __init__(self, folder: Path):
        self._folder = folder

    def add(self, name: str, data: bytes) -> None:
        """Writes one file with this relative name."""
        (self._folder / name).write_bytes(data)


class _Zip:
    """Writes the files of an export into a ZIP."""

    def __init__(self, archive: zipfile.ZipFile):
        self._archive = archive

    def add(self, name: str, data: bytes) -> None:
        """Writes one member with this name."""
        with _member(self._archive, name) as out:
            out.write(data)


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    info = zipfile.ZipInfo(name, STAMP)
    info.external_attr = 0o644 << 16
    return archive.open(info, "w", force_zip64=True)


def _write_files(
    out: _Writer,
    images: Iterable[np.ndarray],
    labels: np.ndarray,
    files: list[str],
    names: Sequence[str],
    provenance: Sequence[str],
    card: dict[str, Any],
) -> None:
    for name, image in zip(files, _exactly(images, len(files)), strict=True):
        out.add(name, imageset.png(image))
    out.add(TABLE, _table(files, labels, names, provenance))
    out.add(CARD, _json(card))
    out.add(README, _readme(card))


def _write_npz(
    file: Path,
    images: Iterable[np.ndarray],
    labels: np.ndarray,
    names: Sequence[str],
    provenance: Sequence[str],
    card: dict[str, Any],
) -> None:
    """Writes the arrays images, labels, classes, role, source and index, and beside them card.json
    and README.md. `numpy.load` reads the arrays with `allow_pickle=False`."""
    rows = _exactly(images, len(labels))
    first = next(rows)

    def chunks() -> Iterator[np.ndarray]:
        yield first[None]
        for image in rows:
            if image.shape != first.shape:
                raise DataError(
                    f"Images of {first.shape} and of {image.shape} pixels cannot be in one array."
                )
            yield image[None]

    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with _member(archive, "images.npy") as out:
            for _ in imageset.write_rows(out, len(labels), first.shape, chunks()):
                pass
        origins = [_parts(p) for p in provenance]
        columns = {
            "labels": labels,
            "classes": np.array(names, str),
            "role": np.array([o[0] for o in origins], str),
            "source": np.array([o[1] for o in origins], str),
            "index": np.array([int(o[2] or -1) for o in origins], np.int64),
        }
        for key, values in columns.items():
            with _member(archive, f"{key}.npy") as out:
                np.lib.format.write_array(out, values, allow_pickle=False)
        out_files = _Zip(archive)
        out_files.add(CARD, _json(card))
        out_files.add(README, _readme(card))


def _exactly(images: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Yields the images, checked to be uint8 (H, W, 1 or 3). Raises DataError if one is not, or if
    there are not `count` of them."""
    seen = 0
    for image in images:
        image = np.asarray(image)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
            raise DataError(
                f"Image {seen} is {image.dtype} of shape {image.shape}; uint8 (H, W, 1 or 3) is"
                " needed."
            )
        seen += 1
        if seen <= count:
            yield image
    if seen != count:
        raise DataError(
            f"There are {seen:,} images and {count:,} labels; their numbers must be equal."
        )


def _parts(origin: str) -> tuple[str, str, str]:
    """(role, source, index) of a provenance text. A text of another form is returned as the
    source."""
    found = ORIGIN.fullmatch(origin)
    return (found["role"] or "", found["source"], found["index"]) if found else ("", origin, "")


def _role(origin: str) -> str:
    return main_role(_parts(origin)[0])


def main_role(role: str) -> str:
    """The role without its remark: "real" or "synthetic". That of a repeated real image is "real"
    too."""
    return role.partition(",")[0]


def _table(
    files: list[str], labels: np.ndarray, names: Sequence[str], provenance: Sequence[str]
) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for file, label, origin in zip(files, labels.tolist(), provenance, strict=True):
        rows.writerow((file, names[label], *_parts(origin)))
    return text.getvalue().encode()


def _json(card: dict[str, Any]) -> bytes:
    return json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False, default=str).encode()


def _readme(card: dict[str, Any]) -> bytes:
    """README.md: the card in words."""
    sorts = [f"{card[role]:,} {role}" for role in ("real", "synthetic") if card[role]]
    lines = [f"# {card.get('title') or card.get('name') or 'Images'}", ""]
    lines += [
        (
            f"{card['images']:,} images in {len(card['classes']):,}"
            f" classes{': ' * bool(sorts)}{', '.join(sorts)}."
        ),
        "",
    ]
    if card["files"] == ".npz":
        lines += [
            "`images` and `labels` are the image set, and `classes` are the names of the labels."
            " `role`, `source` and `index` say where each"
        ]
        lines += [
            (
                "image came from: its role, the data set or run, and its number there. `card.json`"
                " has further details."
            ),
            "",
        ]
    else:
        lines += [
            "Each class is a folder of lossless PNG files. `images.csv` says where each image came"
            " from: its role, the data set or"
        ]
        lines += ["run, and its number there. `card.json` has further details.", ""]
    lines += [
        "| class | images |",
        "|---|---|",
        *(f"| {name} | {count:,} |" for name, count in card["per_class"].items()),
        "",
    ]
    known = [
        f"- {key}: {card[key]}"
        for key in ("run", "command", "arm", "seed", "data", "content_hash")
        if card.get(key) not in (None, "")
    ]
    return "\n".join([*lines, *known, ""]).encode()
