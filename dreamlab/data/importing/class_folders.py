"""Layout of a source: class folders, with or without folders of splits. It reads no images."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from dreamlab.data.exporting import TABLE as ORIGINS
from dreamlab.data.importing.files import Files
from dreamlab.data.importing.listing import PICTURE, Doubt, LeftOut, Listing, natural, some

TRAIN, VALIDATION, TEST = 0, 1, 2
PARTS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "dev": VALIDATION,
    "eval": VALIDATION,
    "evaluation": VALIDATION,
    "test": TEST,
    "testing": TEST,
    "holdout": TEST,
}
"""Plain name of a folder of a split -> split."""
AROUND = re.compile(
    r"^(\d+|seg|my|data|dataset|images?|imgs?|ilsvrc\d*_img|public|private|x)_"
    r"|(_?(set|data|dataset)|_(split|images?|imgs|folder))$"
)
"""What people add to these names, such as in seg_train, training_set, trainset and PublicTest."""
COUNTED = re.compile(r"_?\d+$")
"""The year or number of a split, such as in train2017 and test1."""
BESIDE = re.compile(r"\.(csv|tsv|jsonl|ndjson|json|xml|parquet)$", re.IGNORECASE)
"""Files of annotations, whose folder is no class."""
MASKS = ("mask", "masks", "annotations", "labels", "segmentation", "segmentations", "trimaps")
"""Names of folders of what belongs to images, but is no class of them."""
NO_CLASS, NO_SPLIT = "not in a class folder", "not in the training or test part"
CARD, TABLE = "card.json", "labels.csv"
Folders = tuple[str, ...]
Naming = Callable[[Folders], str]
NAMING: dict[str, tuple[str, Naming]] = {
    "joined": ("each folder is a class, named by its whole path", lambda path: "/".join(path)),
    "top": ("the outer folder is the class", lambda path: path[0]),
    "leaf": ("the inner folder is the class", lambda path: path[-1]),
}
"""Layout -> (what is a class if folders lie inside class folders, folders of an image -> class)."""


def split_of(name: str) -> int | None:
    """TRAIN, VALIDATION or TEST if a folder is named like a split, else None."""
    apart = re.sub(r"[\s-]+|(?<=[a-z])(?=[A-Z])", "_", name)
    low = COUNTED.sub("", apart.casefold())
    return PARTS.get(low, PARTS.get(AROUND.sub("", low)))


def listed(files: Files, left: LeftOut, layout: str = "auto") -> Listing | None:
    """The class folders of `files`, sorted by split (training first), class and name; None if no
    image is in a class folder.

    Folders named like splits, at any depth, are splits if some hold training images and others
    test or validation images. A class is what is left of the path. If folders lie inside each
    other so that outer and joined names give different classes, `layout` chooses one of NAMING;
    without it the listing has a doubt. What is left out goes to `left`.
    """
    names = sorted(files.names)
    top = _common_folder(names)
    side = {n: files.beside(top + n) for n in (CARD, TABLE, ORIGINS) if top + n in names}
    inner = {i: n[len(top) :] for i, n in enumerate(names) if n.startswith(top)}
    folders = {i: tuple(n.split("/")[:-1]) for i, n in inner.items() if n not in side}
    own = _named_by(side.get(CARD))[0]
    exported = bool(own) and all(path[0] in own for path in folders.values() if path)
    parts, split, found = _divided(folders, exported)
    wrap = _wrap(found.values())
    found = _of_images({i: path[wrap:] for i, path in found.items()}, names)
    if not found:
        return None
    used = {names[i].rpartition("/")[0] for i in found}
    for i, name in enumerate(names):
        if i not in found and inner.get(i) not in side:
            left.add(name, _why(i in inner, split, parts.get(i), folders.get(i, ())))
    sure = exported or layout != "auto"
    doubts = nested = () if sure else _nested(set(found.values()))
    naming = NAMING["joined" if nested else "top" if layout == "auto" else layout][1]
    classes = {i: naming(path) for i, path in found.items()}
    depth = wrap + min(map(len, found.values()))
    beside = {n.rpartition("/")[0] for n in names if BESIDE.search(n)}
    for folder in (empty := sorted(_empty(files.folders, top, split, depth, used | beside))):
        left.add(f"{top}{folder}/", "class without images")
    marks, said = _table_split(side.get(TABLE, b""), [inner[i] for i in classes])
    if is_split({parts[i] for i in classes}):
        marks, said = test_mask([parts[i] for i in classes]), "its own folders"
    order, shown = _class_order(list(dict.fromkeys(classes.values())), side.get(CARD))
    labels = np.array([order[c] for c in classes.values()], np.int64)
    chosen = np.array(list(classes), np.int64)
    by_class = np.lexsort((chosen, labels, marks))
    kept = [names[chosen[i]] for i in by_class]
    if not sure:
        doubts += _like_splits(shown) + _like_masks(shown) + _without_images(empty)
    return Listing(
        files.title,
        kept,
        labels[by_class],
        marks[by_class],
        shown,
        said,
        named=exported,
        reading="class folders",
        layout=layout if layout != "auto" else "joined" if nested else "top",
        notes=about_validation([parts[i] for i in classes]) if said else (),
        doubts=doubts,
    )


def _divided(
    folders: Mapping[int, Folders], exported: bool
) -> tuple[dict[int, int | None], bool, dict[int, Folders]]:
    """(file -> split, whether there are splits, file -> folders of its class) of files in these
    folders. Files without a class, and those in no split if there are splits, are not in the
    last."""
    depth = None if exported else _split_depth(folders.values())
    if depth is None:
        parts = {i: None if exported else part_of(path) for i, path in folders.items()}
        inner = {i: _class_of(path, True) for i, path in folders.items()}
    else:
        parts = {i: split_of(path[depth]) if path else None for i, path in folders.items()}
        inner = _below(folders, depth)
    with_classes = {part for i, part in parts.items() if inner[i]}
    # a test folder without class folders is one of a competition: its images have no labels
    split = TRAIN in with_classes and len(set(parts.values()) - {None}) > 1
    found = inner if split else dict(folders)
    used = {i: path for i, path in found.items() if path and not (split and parts[i] is None)}
    return parts, split, used


def _split_depth(paths: Iterable[Folders]) -> int | None:
    """The depth at which every folder is named like a split, some for training and some for
    others; None if there is none."""
    every = {path for path in paths if path}
    for depth in range(min(map(len, every), default=0)):
        parts = {split_of(path[depth]) for path in every}
        if None not in parts and is_split(parts):
            return depth
    return None


def _below(folders: Mapping[int, Folders], depth: int) -> dict[int, Folders]:
    """The folders of the class of each file, if those at `depth` are the splits. The folder of a
    split may be there twice (train/train/cat); a class may be called like a split, if it is in
    another split as well (train/bus, train/train, test/bus, test/train)."""
    rest = {i: path[:depth] + path[depth + 1 :] for i, path in folders.items()}
    found = {
        i: tuple(f for f in path if split_of(f) != split_of(folders[i][depth]))
        for i, path in rest.items()
    }
    others = {path for path in found.values() if path}
    return {i: found[i] or (rest[i] if rest[i] in others else ()) for i in folders}


def _wrap(found: Collection[Folders]) -> int:
    """How many folders at the start of all paths hold all class folders, such as images in
    train/images/cat."""
    paths, wrap = set(found), 0
    while len(paths) > 1 and len({p[: wrap + 1] for p in paths}) == 1:
        if min(map(len, paths)) < wrap + 2:
            break
        wrap += 1
    return wrap


def _of_images(found: dict[int, Folders], names: Sequence[str]) -> dict[int, Folders]:
    """The files of folders that hold images; all of them if no file is named like an image."""
    holding = {path for i, path in found.items() if PICTURE.search(names[i])}
    return {i: path for i, path in found.items() if path in holding} if holding else found


def part_of(folders: Sequence[str]) -> int | None:
    """The split of the first folder that is named like one, else None."""
    return next((p for p in map(split_of, folders) if p is not None), None)


def is_split(parts: set[int | None]) -> bool:
    """Whether folders of these splits are splits: some for training and some for another."""
    return TRAIN in parts and bool(parts & {VALIDATION, TEST})


def _class_of(folders: Folders, split: bool) -> Folders:
    """The folders without those of splits, which may be there twice (train/train/cat)."""
    return tuple(f for f in folders if not split or split_of(f) is None)


def _why(below: bool, split: bool, part: int | None, folders: Folders) -> str:
    """Why a file of a source with class folders is left out."""
    if split and folders and part is None:
        return NO_SPLIT
    return "without a label: " + NO_CLASS if below and part is not None else NO_CLASS


def test_mask(parts: Sequence[int | None]) -> np.ndarray:
    """Test mask. If there are test images, validation images belong to the training split: each
    run sets its own validation images aside."""
    last = TEST if TEST in parts else VALIDATION
    return np.array([part == last for part in parts], bool)


def about_validation(parts: Sequence[int | None]) -> tuple[str, ...]:
    """What `test_mask` does with validation images, if there are test images as well."""
    count = sum(part == VALIDATION for part in parts)
    if not count or TEST not in parts:
        return ()
    return (
        f"{count:,} validation images belong to the training part: each run sets its own aside.",
    )


def _nested(paths: set[Folders]) -> tuple[Doubt, ...]:
    """The doubt on folders inside class folders, unless all names give the same classes."""
    if len(paths) == len({path[0] for path in paths}):
        return ()
    counts = {key: len({name(p) for p in paths}) for key, (_, name) in NAMING.items()}
    longest = max(map(len, paths))
    example = "/".join(min(path for path in paths if len(path) == longest))
    return (
        Doubt(
            f"There are folders inside class folders, such as {example}: which are the classes?",
            tuple(
                (f"{words}: {counts[key]:,} classes", {"layout": key})
                for key, (words, _) in NAMING.items()
                if counts[key] > 1
            ),
        ),
    )


def _like_splits(classes: Sequence[str]) -> tuple[Doubt, ...]:
    """The doubt on classes that are called like splits."""
    alike = [c for c in classes if split_of(c) is not None]
    if not alike:
        return ()
    return (
        Doubt(
            f"The folder{'s' * (len(alike) > 1)} {', '.join(alike)} would become"
            f" {'classes' if len(alike) > 1 else 'a class'}, but"
            f" {'are' if len(alike) > 1 else 'is'} called like"
            f" {'parts' if len(alike) > 1 else 'a part'} of a data set.",
            _unlabelled_or(len(alike) < len(classes)),
        ),
    )


def _unlabelled_or(classes_first: bool) -> tuple[tuple[str, dict[str, str]], ...]:
    """The answers to whether folders are classes."""
    answers: tuple[tuple[str, dict[str, str]], ...] = (
        ("the images have no labels", {"layout": "unlabelled"}),
        ("these are classes", {"layout": "top"}),
    )
    return answers[::-1] if classes_first else answers


def _like_masks(classes: Sequence[str]) -> tuple[Doubt, ...]:
    """The doubt on classes that are called like what belongs to images."""
    alike = [c for c in classes if c.casefold() in MASKS]
    if not alike:
        return ()
    return (
        Doubt(
            f"The folder {alike[0]} would become a class, but is called like what belongs to"
            " images; if it does, leave it out.",
            (("it is a class", {"layout": "top"}),),
        ),
    )


def _without_images(folders: Sequence[str]) -> tuple[Doubt, ...]:
    if not folders:
        return ()
    return (
        Doubt(
            f"{len(folders):,} class folders hold no images: {some(folders)}.",
            (("the others are the classes", {"layout": "top"}),),
        ),
    )


def _empty(
    folders: Iterable[str], top: str, split: bool, depth: int, used: Collection[str]
) -> Iterator[str]:
    """The folders at the depth of class folders that hold no images, as paths below `top`. `used`
    are the folders of images."""
    holding = {end for folder in used for end in _above(folder)}
    for folder in folders:
        inner = tuple(folder[len(top) :].split("/")) if folder.startswith(top) else ()
        if split and part_of(inner) is None:
            continue
        if len(_class_of(inner, split)) == depth and folder not in holding:
            yield folder[len(top) :]


def _above(folder: str) -> Iterator[str]:
    """A folder and those that it is in."""
    parts = folder.split("/")
    return ("/".join(parts[:n]) for n in range(1, len(parts) + 1))


def _common_folder(names: Sequence[str]) -> str:
    """The path that leads to the class folders or to those of splits, such as "a/b/", or ""."""
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


def _table_split(table: bytes, files: list[str]) -> tuple[np.ndarray, str]:
    """(test mask, description) from a labels.csv with the columns `file` and `split` (or a name
    that ends in _split). The description is empty if the table has no usable split."""
    text = table.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    rows = csv.DictReader(io.StringIO(text))
    column = next((c for c in rows.fieldnames or () if c == "split" or c.endswith("_split")), "")
    none = np.zeros(len(files), bool)
    if not column or "file" not in (rows.fieldnames or ()):
        return none, ""
    by_file = {row["file"]: split_of(row[column] or "") for row in rows}
    parts = [by_file.get(f) for f in files]
    if None in parts or not is_split(set(parts)):
        return none, ""
    return test_mask(parts), f"column {column} of {TABLE}"


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


def _class_order(found: list[str], card: bytes | None) -> tuple[dict[str, int], tuple[str, ...]]:
    """(class folder -> number, class names): the order in the card of an exported set, otherwise
    that of `natural`."""
    folders, shown = _named_by(card)
    if folders and set(found) <= set(folders):
        order = sorted(found, key=folders.index)
        names = tuple(shown[folders.index(f)] for f in order)
    else:
        order = sorted(found, key=natural)
        names = tuple(order)
    return {f: i for i, f in enumerate(order)}, names
