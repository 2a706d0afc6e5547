"""Published data sets that an import downloads: their files, addresses and checksums."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

WRONG = ".wrong"
"""Added to the name of a file whose content is not the published one. It is kept, but not read."""
PART = ".part"
"""Added to the name of a file while it is downloaded."""


@dataclasses.dataclass(frozen=True)
class File:
    """A published file. The MD5 tells it from a cut or another file; its publisher gives no other
    checksum. `inside` are the files of an archive that are read."""

    name: str
    md5: str
    inside: tuple[File, ...] = ()
    folder: str = ""
    """The folder that an archive contains, if its files have no checksums."""

    def is_at(self, path: Path) -> bool:
        """Whether this file is at `path`, with the published content."""
        try:
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "md5").hexdigest() == self.md5
        except OSError:
            return False

    def is_unpacked(self, place: Path) -> bool:
        """Whether the content of an archive is in `place`."""
        if self.folder:
            return (place / self.folder).is_dir()
        return bool(self.inside) and all(f.is_at(place / f.name) for f in self.inside)


@dataclasses.dataclass(frozen=True)
class Published:
    """A data set with its files. `megabytes` is the size of the download, `inner` the folder of the
    files within the folder of the data set, as torchvision names it."""

    title: str
    megabytes: int
    addresses: tuple[str, ...]
    files: tuple[File, ...]
    inner: str = ""

    def place(self, folder: Path) -> Path:
        """Where its files belong if `folder` is that of the data set."""
        return folder / self.inner if self.inner else folder

    def missing(self, folder: Path) -> list[File]:
        """The files that are not in their place with the published content."""
        place = self.place(folder)
        return [f for f in self.files if not f.is_unpacked(place) and not f.is_at(place / f.name)]

    def by_hand(self, folder: Path) -> str:
        """What to put where if there is no network. Names only what is missing."""
        names = [f.name for f in self.missing(folder) or self.files]
        listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        return f"put {listed} from {self.addresses[0]} into {self.place(folder)}"


def folder_of(name: str, cache: Path) -> Path:
    """The folder of a published data set in the cache of a runs folder."""
    return cache / "downloads" / name


_IDX = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def _idx(*sums: str) -> tuple[File, ...]:
    return tuple(File(name, md5) for name, md5 in zip(_IDX, sums, strict=True))


_BATCHES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
PUBLISHED = {
    "mnist": Published(
        "MNIST",
        12,
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
        _idx(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        "MNIST/raw",
    ),
    "fashion_mnist": Published(
        "Fashion-MNIST",
        31,
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        _idx(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        "FashionMNIST/raw",
    ),
    "cifar10": Published(
        "CIFAR-10",
        170,
        ("https://www.cs.toronto.edu/~kriz/",),
        (
            File(
                "cifar-10-python.tar.gz",
                "c58f30108f718f92721af3b95e74349a",
                tuple(File(f"cifar-10-batches-py/{n}", md5) for n, md5 in _BATCHES.items()),
            ),
        ),
    ),
    "flowers102": Published(
        "Oxford 102 Flowers",
        345,
        ("https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",),
        (
            File("102flowers.tgz", "52808999861908f626f3c1f4e79d11fa", folder="jpg"),
            File("imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"),
            File("setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"),
        ),
        "flowers-102",
    ),
}
"""Name of a download -> data set. tests/test_downloads.py compares it with torchvision."""
