"""The files in which data sets were published: IDX (MNIST and those like it, EMNIST), CIFAR-10 and
CIFAR-100 as pickles or binaries, and STL-10.

Their formats are described at yann.lecun.com/exdb/mnist, www.cs.toronto.edu/~kriz/cifar.html,
cs.stanford.edu/~acoates/stl10 and in Cohen et al. 2017, arXiv:1702.05373 (EMNIST).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from dreamlab.data import named, readers
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.array_files import ArrayFile, Header
from dreamlab.data.importing.array_labels import NAMES

IDX = re.compile(
    r"(?P<set>.*?)(?P<part>train|t10k|test)-(?P<what>images|labels)[-.]idx\d-(ubyte|int)(\.gz)?"
)
CLASSES = NAMES[0]
PARTS = ("train", "test")


@dataclasses.dataclass(frozen=True)
class Original:
    """A published data set that was recognised by the names of its files. `files` are their names
    by what they hold, such as "train_images", and `read` turns their paths into arrays by name:
    images (N, H, W) or (N, H, W, C) of uint8, labels (N,), and the names of classes. `said` is what
    must be said about it."""

    name: str
    files: Mapping[str, str]
    read: Callable[[Mapping[str, Path]], dict[str, np.ndarray]]
    mirror: bool = True
    said: tuple[str, ...] = ()


def originals(names: Collection[str]) -> list[Original]:
    """The published data sets among these names of files, in the order of their names. None if
    there is no file with a known name."""
    folders: dict[str, set[str]] = {}
    for name in names:
        path = PurePosixPath(name)
        folders.setdefault(str(path.parent), set()).add(path.name)
    found = []
    for folder, held in sorted(folders.items()):
        for recognise in (_idx_sets, _cifar10, _cifar100, _stl10):
            for one in recognise(folder, held):
                inside = {k: str(PurePosixPath(folder) / n) for k, n in one.files.items()}
                found.append(dataclasses.replace(one, files=inside))
    return found


class OriginalFiles(ArrayFile):
    """The arrays of a published data set; `paths` are its files."""

    def __init__(self, found: Original, paths: Mapping[str, Path]):
        try:
            self._arrays = found.read(paths)
        except DataError:
            raise
        except Exception as error:  # damaged files and pickles raise many kinds of errors
            said = str(error) or type(error).__name__
            raise DataError(f"The files of {found.name} are damaged: {said}.") from None
        super().__init__(found.name, found.name, list(self._arrays))
        self.mirror, self.notes = found.mirror, found.said

    def header(self, key: str) -> Header:
        """See `ArrayFile.header`."""
        return self._arrays[key].shape, self._arrays[key].dtype

    def rows(self, key: str) -> Iterator[np.ndarray]:
        """See `ArrayFile.rows`."""
        yield from self._arrays[key]

    def whole(self, key: str) -> np.ndarray:
        """See `ArrayFile.whole`."""
        return self._arrays[key]


def _idx_sets(folder: str, held: set[str]) -> Iterator[Original]:
    sets: dict[str, dict[str, str]] = {}
    for name in sorted(held):
        if match := IDX.fullmatch(name):
            part = "train" if match["part"] == "train" else "test"
            sets.setdefault(match["set"], {})[f"{part}_{match['what']}"] = name
    for prefix, files in sets.items():
        if not any(key.endswith("_images") for key in files):
            continue
        mapping = f"{prefix}mapping.txt"
        if mapping in held:
            files["mapping"] = mapping
        emnist, fashion = "emnist" in prefix.casefold(), "fashion" in folder.casefold()
        turned = ("EMNIST stores its images turned and mirrored: they were put upright.",)
        yield Original(
            prefix.rstrip("-_. ") or ("Fashion-MNIST" if fashion else "IDX files"),
            files,
            _read_emnist if emnist else _read_fashion if fashion else _read_idx,
            mirror=fashion,
            said=turned if emnist else (),
        )


def _read_idx(paths: Mapping[str, Path]) -> dict[str, np.ndarray]:
    found = {key: readers.idx_array(path) for key, path in paths.items() if key != "mapping"}
    for key, array in found.items():
        if key.endswith("_labels") and array.ndim == 2:  # QMNIST: the first column is the class
            found[key] = array[:, 0]
    return found


def _read_fashion(paths: Mapping[str, Path]) -> dict[str, np.ndarray]:
    return _read_idx(paths) | {CLASSES: np.array(named.FASHION_CLASSES)}


def _read_emnist(paths: Mapping[str, Path]) -> dict[str, np.ndarray]:
    """EMNIST. A line of its mapping is a label and the codes of its characters; a label of both
    cases is shown as the first, which is upper."""
    found = _read_idx(paths)
    for key in found:
        if key.endswith("_images"):
            found[key] = found[key].swapaxes(1, 2)
    if "mapping" not in paths:
        return found
    lines = [line.split() for line in paths["mapping"].read_text().splitlines() if line.strip()]
    numbers = {int(line[0]): i for i, line in enumerate(lines)}
    for key, labels in found.items():
        if key.endswith("_labels"):
            found[key] = np.array([numbers[int(v)] for v in labels], np.int64)
    return found | {CLASSES: np.array([chr(int(line[1])) for line in lines])}


def _cifar10(folder: str, held: set[str]) -> Iterator[Original]:
    for end in ("", ".bin"):
        batches = {f"batch_{i}": f"data_batch_{i}{end}" for i in range(1, 6)}
        files = batches | {"test": f"test_batch{end}"}
        if files["batch_1"] in held:
            missing = sorted(set(files.values()) - held)
            if missing:
                raise DataError(
                    f"{folder} holds files of CIFAR-10, but lacks {', '.join(missing)}; add"
                    f" {'it' if len(missing) == 1 else 'them'}."
                )
            yield Original("CIFAR-10", files, _read_cifar10)


def _read_cifar10(paths: Mapping[str, Path]) -> dict[str, np.ndarray]:
    parts = [readers.cifar_batch(paths[f"batch_{i}"]) for i in range(1, 6)]
    test_images, test_labels = readers.cifar_batch(paths["test"])
    return {
        "train_images": np.concatenate([images for images, _ in parts]),
        "train_labels": np.concatenate([labels for _, labels in parts]),
        "test_images": test_images,
        "test_labels": test_labels,
        CLASSES: np.array(named.CIFAR_CLASSES),
    }


_CIFAR100_NAMES = {"": ("meta",), ".bin": ("fine_label_names.txt", "coarse_label_names.txt")}


def _cifar100(folder: str, held: set[str]) -> Iterator[Original]:
    for end, names in _CIFAR100_NAMES.items():
        files = {part: part + end for part in PARTS}
        if not set(files.values()) <= held or not set(names) <= held:
            continue
        said = ("CIFAR-100: the 100 fine classes were read; its 20 coarse ones are train_coarse.",)
        yield Original(
            "CIFAR-100",
            files | {name: name for name in names},
            _read_cifar100 if end else _read_cifar100_pickles,
            said=said,
        )


def _read_cifar100_pickles(paths: Mapping[str, Path]) -> dict[str, np.ndarray]:
    meta = readers.load_pickle(paths["meta"])
    found: dict[str, np.ndarray] = {}
    for part in PARTS:
        values = readers.load_pickle(paths[part])
        found[f"{part}_images"] = readers.cifar_images(values[b"data"])
        found[f"{part}_labels"] = np.asarray(values[b"fine_labels"], np.int64)
        found[f"{part}_coarse"] = _text(meta[b"coarse_label_names"])[values[b"coarse_labels"]]
    return found | {CLASSES: _text(meta[b"fine_label_names"])}


def _read_cifar100(paths: Mapping[str, Path]) -> dict[str, np.ndarray]:
    fine, coarse = (np.array(paths[n].read_text().split()) for n in _CIFAR100_NAMES[".bin"])
    found: dict[str, np.ndarray] = {}
    for part in PARTS:
        rows = np.fromfile(paths[part], np.uint8).reshape(-1, 2 + 3072)
        found[f"{part}_images"] = readers.cifar_images(rows[:, 2:])
        found[f"{part}_labels"] = rows[:, 1].astype(np.int64)
        found[f"{part}_coarse"] = coarse[rows[:, 0]]
    return found | {CLASSES: fine}


def _text(names: list[bytes]) -> np.ndarray:
    return np.array([name.decode() for name in names])


def _stl10(folder: str, held: set[str]) -> Iterator[Original]:
    files = {f"{p}_{what}": f"{p}_{what}.bin" for p in PARTS for what in ("X", "y")}
    if not set(files.values()) <= held:
        return
    unlabelled = "unlabeled_X.bin" in held
    said = ("The images of unlabeled_X.bin were not read.",) if unlabelled else ()
    names = "class_names.txt"
    yield Original(
        "STL-10", files | ({names: names} if names in held else {}), _read_stl10, said=said
    )


def _read_stl10(paths: Mapping[str, Path]) -> dict[str, np.ndarray]:
    """STL-10: images of 3x96x96 whose columns are stored first; labels count from 1."""
    found: dict[str, np.ndarray] = {}
    for part in PARTS:
        rows = np.memmap(paths[f"{part}_X"], np.uint8, "r").reshape(-1, 3, 96, 96)
        found[f"{part}_images"] = rows.transpose(0, 3, 2, 1)
        labels = np.fromfile(paths[f"{part}_y"], np.uint8)
        if labels.min(initial=1) < 1:
            raise DataError("The labels of STL-10 are 1 to 10, but a file holds 0.")
        found[f"{part}_labels"] = labels.astype(np.int64) - 1
    if "class_names.txt" in paths:
        found[CLASSES] = np.array(paths["class_names.txt"].read_text().split())
    return found
