"""Writes an image set as class folders of PNG files, as an imagefolder of Hugging Face, as a ZIP of
either, or as an .npz, with a card and a table that say where each image came from.

The target is either complete or absent, because it is written under a temporary name and renamed.
Memory holds one image at a time, and all labels. An exported set can be imported again with the
same pixels, labels, order and split.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
import shutil
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from dreamlab.data import imageset
from dreamlab.data.imageset import DataError

CARD, README, TABLE, METADATA = "card.json", "README.md", "images.csv", "metadata.csv"
IMAGEFOLDER = "imagefolder"
LABELLED_BY = "labelled_by"
"""Key of a card: the classifier that gave the labels of the synthetic images, and the run that it
gave them in. A card without it has no such labels."""
COLUMNS = ("file", "class", "role", "source", "index")
"""Columns of images.csv. `source` is a data set or a run, and `index` the number of the image in
it. SPLIT follows them."""
SPLIT, TRAIN, TEST = "split", "train", "test"
"""Column or array of the split, with its values. Images of a mix and synthetic ones are for
training."""
RESERVED = re.compile(
    r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|thumbs\.db|desktop\.ini", re.IGNORECASE
)
"""Names that are no folders on Windows, and files of systems that an import leaves out."""
ORIGIN = re.compile(r"(?:(?P<role>[^:]+): )?(?P<source>.+) image (?P<index>\d+)")
STAMP = (1980, 1, 1, 0, 0, 0)
"""Time stamp of all members of a ZIP, so that exporting the same set twice gives identical
files."""


ABOUT = {
    ".npz": "`images` and `labels` are the image set, and `classes` are the names of the labels."
    " `split` says whether an image is for training or for testing. `role`, `source` and `index`"
    " say where each image came from: its role, the data set or run, and its number there."
    " `card.json` has further details.",
    IMAGEFOLDER: "Each split is a folder of lossless PNG files with a `metadata.csv`:"
    ' `datasets.load_dataset("imagefolder", data_dir=...)` reads them. `images.csv` says where'
    " each image came from: its role, the data set or run, and its number there. `card.json` has"
    " further details.",
    "": "Each class is a folder of lossless PNG files. `images.csv` says where each image came"
    " from: its role, the data set or run, and its number there. `card.json` has further details.",
}
"""What README.md says, by the form of the files."""


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
    train: int | None = None,
    form: str = "",
) -> None:
    """Writes images to a new `target`: a .zip, an .npz or a folder. Each image is uint8 (H, W, C).
    Their order is that of `labels` (N,), which are in 0..len(names)-1. The first `train` are for
    training, the others for testing; without `train` all are for training. With the `form`
    IMAGEFOLDER there are folders of splits and none of classes.

    `provenance[i]` is "ROLE: SOURCE image INDEX", such as "real: mnist5k training image 17" or
    "synthetic: RUN image 3". Its parts become columns of images.csv. Raises DataError if the target
    exists, has another suffix, or if images and labels do not match; OSError if the target cannot
    be written.
    """
    labels = np.asarray(labels, np.int64)
    _check(target, labels, names, provenance, form)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    folders = folder_names(names)
    counts = np.bincount(labels, minlength=len(names)).tolist()
    first = len(labels) if train is None else train
    places = _places(folders, form, first < len(labels))
    parts = [TRAIN] * first + [TEST] * (len(labels) - first)
    within = zip(parts, labels.tolist(), strict=True)
    files = [f"{places[place]}{i:07d}.png" for i, place in enumerate(within)]
    rows = _Rows(labels, names, provenance, parts, files)
    full = {
        **card,
        "images": len(labels),
        "classes": list(names),
        "folders": folders,
        "real": sum(_role(p) == "real" for p in provenance),
        "synthetic": sum(_role(p) == "synthetic" for p in provenance),
        "per_class": dict(zip(names, counts, strict=True)),
        **({"train": first, "test": len(labels) - first} if first < len(labels) else {}),
        "files": form or target.suffix or "folder",
    }
    try:
        if target.suffix == ".npz":
            _write_npz(temporary, images, rows, full)
        elif target.suffix == ".zip":
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
                _write_files(_Zip(archive), images, rows, full)
        else:
            for place in places.values():
                (temporary / place).mkdir(parents=True, exist_ok=True)
            _write_files(_Folder(temporary), images, rows, full)
        if target.exists():
            raise DataError(f"{target} exists already; give another name.")
        os.rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.unlink(missing_ok=True)


@dataclasses.dataclass(frozen=True)
class _Rows:
    """What is known of each image: label, origin, split and file; and the names of the classes."""

    labels: np.ndarray
    names: Sequence[str]
    origins: Sequence[str]
    parts: Sequence[str]
    files: Sequence[str]


def _places(folders: Sequence[str], form: str, divided: bool) -> dict[tuple[str, int], str]:
    """(split, class) -> folder of the images, with a "/" at its end. Splits have folders of their
    own if there are test images, so that nobody trains on these by mistake."""
    found = {}
    for part in (TRAIN, TEST) if divided else (TRAIN,):
        for c, folder in enumerate(folders):
            by_part = f"{part}/" if divided or form == IMAGEFOLDER else ""
            found[part, c] = by_part if form == IMAGEFOLDER else f"{by_part}{folder}/"
    return found


def folder_names(names: Sequence[str]) -> list[str]:
    """One folder name per class, all different (also on file systems that ignore case) and without
    characters that are special in paths."""
    found: list[str] = []
    taken: set[str] = set()
    for c, name in enumerate(names):
        # an import reads names in this form, and Windows cuts dots and spaces at the end
        plain = unicodedata.normalize("NFC", re.sub(r"[^\w .()+-]", "_", name))
        plain = plain.strip(" .")[:80].strip(" .") or "class"
        if plain.startswith("__") or RESERVED.fullmatch(plain):
            plain = f"class {plain.strip('_')}".strip()
        while plain.casefold() in taken:
            plain = f"{plain} ({c})"
        taken.add(plain.casefold())
        found.append(plain)
    return found


def _check(
    target: Path, labels: np.ndarray, names: Sequence[str], provenance: Sequence[str], form: str
) -> None:
    if target.exists():
        raise DataError(f"{target} exists already; give another name.")
    if form and target.suffix not in (".zip", ""):
        raise DataError(
            f"{target.name} cannot be written as {form}; it must be a folder, or end in .zip."
        )
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
    out: _Writer, images: Iterable[np.ndarray], rows: _Rows, card: dict[str, Any]
) -> None:
    for name, image in zip(rows.files, _exactly(images, len(rows.files)), strict=True):
        out.add(name, imageset.png(image))
    if card["files"] == IMAGEFOLDER:
        for part in dict.fromkeys(rows.parts):
            out.add(f"{part}/{METADATA}", _metadata(rows, part))
    out.add(TABLE, _table(rows))
    out.add(CARD, _json(card))
    out.add(README, _readme(card))


def _write_npz(file: Path, images: Iterable[np.ndarray], rows: _Rows, card: dict[str, Any]) -> None:
    """Writes the arrays images, labels, classes, split, role, source and index, and beside them
    card.json and README.md. `numpy.load` reads the arrays with `allow_pickle=False`."""
    checked = _exactly(images, len(rows.labels))
    first = next(checked)

    def chunks() -> Iterator[np.ndarray]:
        yield first[None]
        for image in checked:
            if image.shape != first.shape:
                raise DataError(
                    f"Images of {first.shape} and of {image.shape} pixels cannot be in one array."
                )
            yield image[None]

    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with _member(archive, "images.npy") as out:
            for _ in imageset.write_rows(out, len(rows.labels), first.shape, chunks()):
                pass
        origins = [_parts(origin) for origin in rows.origins]
        columns = {
            "labels": rows.labels,
            "classes": np.array(rows.names, str),
            SPLIT: np.array(rows.parts, str),
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


def _table(rows: _Rows) -> bytes:
    columns = zip(rows.files, rows.labels.tolist(), rows.origins, rows.parts, strict=True)
    return _csv(
        (*COLUMNS, SPLIT),
        ((file, rows.names[c], *_parts(origin), part) for file, c, origin, part in columns),
    )


def _metadata(rows: _Rows, part: str) -> bytes:
    """The table of a split that the package datasets reads with the images."""
    columns = zip(rows.files, rows.labels.tolist(), rows.parts, strict=True)
    return _csv(
        ("file_name", SPLIT, "label"),
        ((file.rpartition("/")[2], p, rows.names[c]) for file, c, p in columns if p == part),
    )


def _csv(head: Sequence[str], body: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(head)
    table.writerows(body)
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
    lines += [ABOUT.get(card["files"], ABOUT[""]), ""]
    if card.get("test"):
        lines += [f"{card['train']:,} are for training and {card['test']:,} for testing.", ""]
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
