"""Downloads data sets with torchvision into the cache, each once."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.official import open_official
from dreamlab.data.importing.source import Source
from dreamlab.tasks.context import Stopped, TaskError

Event = dict[str, Any]
Stopping = Callable[[], bool]

# name -> (title, class in torchvision.datasets, bytes to download, names of the files, folder in
# the cache, web address)
TORCHVISION = {
    "mnist": (
        "MNIST",
        "MNIST",
        11_594_722,
        "the four IDX files ({train,t10k}-{images-idx3,labels-idx1}-ubyte.gz)",
        "MNIST/raw",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    "fashion_mnist": (
        "Fashion-MNIST",
        "FashionMNIST",
        30_878_645,
        "the four IDX files ({train,t10k}-{images-idx3,labels-idx1}-ubyte.gz)",
        "FashionMNIST/raw",
        "https://github.com/zalandoresearch/fashion-mnist",
    ),
    "cifar10": (
        "CIFAR-10",
        "CIFAR10",
        170_498_071,
        "cifar-10-python.tar.gz",
        "",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "flowers102": (
        "Oxford 102 Flowers",
        "Flowers102",
        344_878_000,
        "102flowers.tgz, imagelabels.mat and setid.mat",
        "flowers-102",
        "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
    ),
}
ARCHIVES = ("*.gz", "*.tgz", "*.mat")
WAIT = 0.5
"""Seconds between two progress reports of a download."""


def torchvision(name: str, cache: Path, stopping: Stopping) -> Generator[Event, None, Source]:
    """A data set of TORCHVISION, downloaded unless it is in the cache. Raises TaskError that says
    which files to put where by hand."""
    title, class_name, size, files, inner, address = TORCHVISION[name]
    folder = cache / name
    held = _held(folder)
    if held is not None:
        return held
    folder.mkdir(parents=True, exist_ok=True)
    yield _message(f"Downloading {title} ({size / 1e6:,.0f} MB) into {folder}.")

    def fetch() -> None:
        import torchvision.datasets

        getattr(torchvision.datasets, class_name)(str(folder), download=True)

    try:
        yield from _in_background(
            fetch, lambda: _downloaded(folder), size, f"downloading {title}", stopping
        )
        return open_official(folder) or _missing(folder)
    except Stopped:
        raise
    except Exception as error:
        raise TaskError(
            f"{title} could not be downloaded ({_reason(error)}): put {files} from {address} into"
            f" {folder / inner} and resume this run, or import a folder that holds it."
        ) from None


def _in_background(
    work: Callable[[], None], done: Callable[[], int], total: int, text: str, stopping: Stopping
) -> Generator[Event, None, None]:
    """Calls `work` in a thread and yields the number of bytes downloaded so far. A stop does not
    wait for the thread."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    began, first = time.monotonic(), done()
    while thread.is_alive():
        thread.join(WAIT)
        if stopping():
            raise Stopped
        now = done()
        rate = (now - first) / (time.monotonic() - began)
        eta = round(max(total - now, 0) / rate, 1) if total and rate > 0 else None
        mb = max(total, now) // 10**6
        yield {
            "type": "progress",
            "step": now // 10**6,
            "total": mb,
            "unit": "MB",
            "text": text,
            "eta_seconds": eta,
        }
    if failed:
        raise failed[0]


def _held(folder: Path) -> Source | None:
    """The data set in the cache; None if it is missing or incomplete."""
    try:
        return open_official(folder) if folder.is_dir() else None
    except DataError:
        return None


def _missing(folder: Path) -> Source:
    raise DataError(f"the files did not arrive in {folder}")


def _downloaded(folder: Path, *patterns: str) -> int:
    total = 0
    for pattern in patterns or ARCHIVES:
        for file in folder.rglob(pattern):
            try:
                total += file.stat().st_size
            except OSError:
                continue  # the download may have renamed the file
    return total


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    inner = re.search(r"<urlopen error (?:\[Errno -?\d+\] )?([^<>]+)>", text)
    return (inner[1] if inner else text[:160].rstrip(".:")) or type(error).__name__


def _message(text: str) -> Event:
    return {"type": "message", "level": "info", "text": text}
