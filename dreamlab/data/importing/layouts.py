"""Recognises how the images of a folder or archive are labelled."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np

from dreamlab.data.imageset import DataError
from dreamlab.data.importing import class_folders, exported, tables
from dreamlab.data.importing.class_folders import is_split, part_of, split_of, test_mask
from dreamlab.data.importing.exported import card_of, with_card
from dreamlab.data.importing.files import Files
from dreamlab.data.importing.listing import PICTURE, Doubt, LeftOut, Listing
from dreamlab.data.importing.matching import as_setting, plain
from dreamlab.data.importing.table_rows import Tables, read_tables
from dreamlab.settings import ImportSpec


def recognised(files: Files, spec: ImportSpec) -> Listing:
    """The images of `files` with their classes: as they were in an exported set, else by class
    folders, else by a table, else without labels. If folders and a table give different classes, or
    names do not decide, the listing has doubts. Raises DataError if what `spec` names is not there,
    or if there are no images."""
    left = LeftOut()
    found = _found(files, left, spec)
    if found is None or not len(found.names):
        why = f" ({files.left})" if files.left.counts.total() else ""
        raise DataError(
            f"{files.title} holds no images that can be read{why}; put the images of each class"
            " into a folder of its own, such as cat/1.png and dog/1.png, or a table of labels"
            " beside them."
        )
    files.left.merge(left)
    if spec.role == "real" and spec.layout == "auto" and not (spec.classes or spec.class_map):
        found = dataclasses.replace(found, doubts=(*found.doubts, *_alike(found)))
    return with_card(found, card_of(files), files)


def _alike(found: Listing) -> tuple[Doubt, ...]:
    """The doubt on classes that differ only in case, spaces, - or _."""
    same: dict[str, list[str]] = collections.defaultdict(list)
    for name in found.classes:
        same[plain(name)].append(name)
    alike = [names for names in same.values() if len(names) > 1]
    if found.named and found.layout != "table" or not alike:
        return ()
    joined = {name: names[0] for names in alike for name in names[1:]}
    return (
        Doubt(
            f"The classes {' and '.join(alike[0])} differ only in case, spaces, - or _.",
            (
                ("join them", {"classes": as_setting(joined)}),
                ("they are different", {"layout": found.layout}),
            ),
        ),
    )


def _found(files: Files, left: LeftOut, spec: ImportSpec) -> Listing | None:
    layout = spec.layout
    if layout == "unlabelled":
        return _unlabelled(files, left)
    if layout == "table" or spec.labels or spec.split_column:
        found = tables.listed(files, left, spec.labels, spec.split_column)
        if found is None:
            raise DataError(f"{files.title} holds no table that names its images and their labels.")
        return dataclasses.replace(found, doubts=()) if layout == "table" else found
    if (found := exported.listed(files, left)) is not None:
        return found
    in_folders, in_table = LeftOut(), LeftOut()
    folders = class_folders.listed(files, in_folders, layout)
    if layout != "auto":
        if folders is None:
            raise DataError(f"{files.title} holds no class folders.")
        left.merge(in_folders)
        return folders
    tried = read_tables(files)
    table = tables.listed(files, in_table, tables=tried)
    if folders is None or _only_splits(folders):
        if table is not None:
            left.merge(in_table)
            return table
        if folders is None:
            loose = _unlabelled(files, left)
            return loose and _asking(loose, tried)
        folders = _asking(folders, tried)
    left.merge(in_folders)
    return _with_split(folders, tried) if table is None else _both(folders, table, tried)


def _asking(found: Listing, tried: Tables) -> Listing:
    """The listing with a doubt if a table may hold other labels. Images of one class have a note on
    a table that names them without labels."""
    one = found.layout == "unlabelled"
    words = "the images have no labels" if one else "the folders are the classes"
    doubts = tables.of_unused(tried, found.layout, words)
    notes = tables.about_unlabelled(tried) if len(found.classes) == 1 else ()
    return dataclasses.replace(found, doubts=(*doubts, *found.doubts), notes=(*found.notes, *notes))


def _with_split(folders: Listing, tried: Tables) -> Listing:
    """The class folders, split by the tables if folders do not split them; with a doubt if a table
    names several of them."""
    clear = [d for n in tried.unclear for d in folders.doubts if d.question.startswith(n)]
    if tried.unclear and not clear:
        folders = _asking(folders, tried)
    if folders.split:
        return folders
    test, said = tables.splits_of(tried, folders.names)
    if not said:
        return folders
    order = np.lexsort((np.arange(len(test)), folders.labels, test))
    return dataclasses.replace(
        folders,
        names=[folders.names[i] for i in order],
        labels=folders.labels[order],
        test=test[order],
        split=said,
    )


def _only_splits(folders: Listing) -> bool:
    """Whether folders are called like splits or like nothing that tells images apart."""
    return len(folders.classes) < 2 or all(split_of(c) is not None for c in folders.classes)


def _both(folders: Listing, table: Listing, tried: Tables) -> Listing:
    """The class folders, with a doubt if a table gives their images other classes."""
    by_folder = dict(zip(folders.names, folders.labels.tolist(), strict=True))
    pairs = {
        (by_folder[name], label)
        for name, label in zip(table.names, table.labels.tolist(), strict=True)
        if name in by_folder
    }
    if len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}):
        return _with_split(folders, tried)
    doubt = Doubt(
        "Folders and a table give the images different classes.",
        (
            (f"{table.reading}: {len(table.classes):,} classes", {"layout": "table"}),
            (f"class folders: {len(folders.classes):,} classes", {"layout": "top"}),
        ),
    )
    return dataclasses.replace(folders, doubts=(*folders.doubts, doubt))


def _unlabelled(files: Files, left: LeftOut) -> Listing | None:
    """All images as one class, with the split of their folders."""
    names = sorted(name for name in files.names if PICTURE.search(name))
    for name in files.names:
        if not PICTURE.search(name):
            left.add(name, "not an image")
    parts = [part_of(name.split("/")[:-1]) for name in names]
    split = is_split(set(parts)) and None not in parts
    test = test_mask(parts) if split else np.zeros(len(names), bool)
    order = np.lexsort((np.arange(len(names)), test))
    return Listing(
        files.title,
        [names[i] for i in order],
        np.zeros(len(names), np.int64),
        test[order],
        ("images",),
        "its own folders" if split else "",
        reading="images without labels",
        layout="unlabelled",
        labelled=False,
    )
