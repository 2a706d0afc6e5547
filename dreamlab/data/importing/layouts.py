"""Recognises how the images of a folder or archive are labelled."""

from __future__ import annotations

import dataclasses

import numpy as np

from dreamlab.data.imageset import DataError
from dreamlab.data.importing import class_folders, tables
from dreamlab.data.importing.class_folders import is_split, part_of, split_of, test_mask
from dreamlab.data.importing.exported import card_of, is_exported, labelled_by
from dreamlab.data.importing.files import Files
from dreamlab.data.importing.listing import PICTURE, Doubt, LeftOut, Listing
from dreamlab.settings import ImportSpec


def recognised(files: Files, spec: ImportSpec) -> Listing:
    """The images of `files` with their classes: by class folders, else by a table, else without
    labels. If folders and a table give different classes, or names do not decide, the listing has
    doubts. Raises DataError if what `spec` names is not there, or if there are no images."""
    left = LeftOut()
    found = _found(files, left, spec)
    if found is None or not len(found.names):
        raise DataError(
            f"{files.title} holds no images that can be read; put the images of each class into a"
            " folder of its own, such as cat/1.png and dog/1.png, or a table of labels beside them."
        )
    files.left.merge(left)
    card = card_of(files)
    return dataclasses.replace(found, exported=is_exported(card), labelled_by=labelled_by(card))


def _found(files: Files, left: LeftOut, spec: ImportSpec) -> Listing | None:
    layout = spec.layout
    if layout == "unlabelled":
        return _unlabelled(files, left)
    if layout == "table" or spec.labels or spec.split_column:
        found = tables.listed(files, left, spec.labels, spec.split_column)
        if found is None:
            raise DataError(f"{files.title} holds no table that names its images and their labels.")
        return dataclasses.replace(found, doubts=()) if layout == "table" else found
    in_folders, in_table = LeftOut(), LeftOut()
    folders = class_folders.listed(files, in_folders, layout)
    if layout != "auto":
        if folders is None:
            raise DataError(f"{files.title} holds no class folders.")
        left.merge(in_folders)
        return folders
    table = tables.listed(files, in_table)
    if folders is None or _only_splits(folders):
        if table is not None or folders is None:
            left.merge(in_table)
            return table or _unlabelled(files, left)
    left.merge(in_folders)
    return folders if table is None else _both(folders, table)


def _only_splits(folders: Listing) -> bool:
    """Whether folders are called like splits or like nothing that tells images apart."""
    return len(folders.classes) < 2 or all(split_of(c) is not None for c in folders.classes)


def _both(folders: Listing, table: Listing) -> Listing:
    """The class folders, with a doubt if a table gives their images other classes."""
    by_folder = dict(zip(folders.names, folders.labels.tolist(), strict=True))
    pairs = {
        (by_folder[name], label)
        for name, label in zip(table.names, table.labels.tolist(), strict=True)
        if name in by_folder
    }
    if len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}):
        return folders
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
