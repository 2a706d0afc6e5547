"""Downloads published data sets, or others with the package `datasets`, into the cache, each
once."""

from __future__ import annotations

import http.client
import os
import re
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.listing import LeftOut, Listing, natural
from dreamlab.data.importing.official import open_official
from dreamlab.data.importing.pictures import Unusable
from dreamlab.data.importing.published import PUBLISHED, Published, folder_of
from dreamlab.data.importing.source import ListedSource, Source
from dreamlab.tasks.context import Stopped, TaskError
from dreamlab.tasks.importing import fetching

Event = dict[str, Any]
Stopping = Callable[[], bool]

LABELS = ("label", "labels", "class", "target", "species", "category")
WAIT = 0.5
"""Seconds between two progress reports of a download."""


def torchvision(name: str, cache: Path, stopping: Stopping) -> Generator[Event, None, Source]:
    """A data set of PUBLISHED, downloaded unless it is in its place in the cache. A stopped or cut
    download goes on at the next call. Raises TaskError that says which files to put where by
    hand."""
    published, folder = PUBLISHED[name], folder_of(name, cache)
    wrong = fetching.set_aside(published, folder)
    for sentence in wrong:
        yield {"type": "message", "level": "warning", "text": sentence}
    if published.missing(folder):
        yield _message(f"Downloading {published.title} ({published.megabytes} MB) into {folder}.")
        try:
            yield from _fetched(published, folder, stopping)
        except fetching.WrongFile as error:
            raise TaskError(f"{error} {_by_hand(published, folder)}") from None
        except (OSError, http.client.HTTPException) as error:
            why = f"{published.title} could not be downloaded ({_reason(error)})."
            raise TaskError(" ".join([*wrong, why, _by_hand(published, folder)])) from None
    yield _message(f"{published.title}: the files are the published ones.")
    fetching.unpack(published, folder, stopping)
    if stopping():
        raise Stopped
    for file in published.files:
        if file.name.endswith("ubyte.gz"):  # an unpacked file beside it would be read first
            (published.place(folder) / file.name).with_suffix("").unlink(missing_ok=True)
    return open_official(folder) or _missing(folder)


def _fetched(
    published: Published, folder: Path, stopping: Stopping
) -> Generator[Event, None, None]:
    """Downloads what is missing, with the progress in MB."""
    began = told = time.monotonic()
    first: int | None = None
    for done in fetching.fetch(published, folder):
        if stopping():
            raise Stopped
        now, first = time.monotonic(), done if first is None else first
        if now - told < WAIT:
            continue
        told, left = now, max(published.megabytes * 10**6 - done, 0)
        yield {
            "type": "progress",
            "step": done // 10**6,
            "total": max(published.megabytes, done // 10**6),
            "unit": "MB",
            "text": f"downloading {published.title}",
            "eta_seconds": round(left / (done - first) * (now - began), 1)
            if done > first
            else None,
        }


def _by_hand(published: Published, folder: Path) -> str:
    sentence = published.by_hand(folder)
    return (
        f"Try again (resume this run); without a network, first {sentence}, or import a folder"
        f" that holds {published.title}."
    )


def huggingface(name: str, cache: Path, stopping: Stopping) -> Generator[Event, None, Source]:
    """An image data set of the Hugging Face hub with the name OWNER/NAME. Raises TaskError."""
    # the dashboard sets this variable; this run is allowed to download
    os.environ.pop("HF_HUB_OFFLINE", None)
    try:
        import datasets
    except ImportError:
        raise TaskError(
            f"From (--from): huggingface:{name} needs the package `datasets`: run `pip install"
            " datasets`, or download the data set and give its folder."
        ) from None
    yield _message(f"Downloading {name} from the Hugging Face hub into {cache}.")
    found: list[Any] = []
    try:
        yield from _in_background(
            lambda: found.append(datasets.load_dataset(name, cache_dir=str(cache / "huggingface"))),
            lambda: _downloaded(cache / "huggingface"),
            0,
            f"downloading {name}",
            stopping,
        )
    except Stopped:
        raise
    except Exception as error:
        raise TaskError(
            f"{name} could not be downloaded from the Hugging Face hub ({_reason(error)}): check"
            " its name and the network, or give a folder that holds the images."
        ) from None
    return hub_source(name, found[0])


def hub_source(name: str, splits: Any) -> Source:
    """A source for a loaded data set of the hub: its training split, its test (or validation) split
    if it has one, its column of images and its column of labels.

    Raises DataError if it has no column of images or no column of labels.
    """
    train = splits["train"] if "train" in splits else splits[next(iter(splits))]
    held_out = next(
        (splits[s] for s in ("test", "validation") if s in splits and splits[s] is not train), None
    )
    features = train.features
    image = next((c for c, f in features.items() if type(f).__name__ == "Image"), None)
    label = next((c for c, f in features.items() if type(f).__name__ == "ClassLabel"), None)
    label = label or next((c for c in LABELS if c in features), None)
    if image is None or label is None:
        raise DataError(
            f"{name} has the columns {', '.join(features)}: a column of images and one of labels"
            " are needed."
        )
    parts = [train] if held_out is None else [train, held_out]
    raw = [value for part in parts for value in part[label]]
    named = getattr(features[label], "names", None)
    left, rows, chosen = LeftOut(), [], []
    for row, value in enumerate(raw):
        good = value is not None and (
            named is None or (isinstance(value, int) and 0 <= value < len(named))
        )
        if good:
            rows.append(row)
            chosen.append(named[value] if named is not None else str(value))
        else:
            left.add(f"image {row}", "label out of range")
    present = set(chosen)
    classes = (
        tuple(n for n in named if n in present)
        if named is not None
        else tuple(sorted(present, key=natural))
    )
    number = {c: i for i, c in enumerate(classes)}
    at = np.array(rows, np.int64)
    labels = np.array([number[c] for c in chosen], np.int64)
    n = len(train)
    split = "that of the hub" if held_out is not None else ""
    listing = Listing(name, [f"image {row}" for row in rows], labels, at >= n, classes, split)

    def read(row: int) -> Any:
        i = int(at[row])
        try:
            return (parts[0][i] if i < n else parts[1][i - n])[image]
        except Exception:  # the package decodes an image when it is accessed
            raise Unusable("damaged") from None

    return ListedSource(listing, left, read)


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


def _missing(folder: Path) -> Source:
    raise DataError(f"the files did not arrive in {folder}")


def _downloaded(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
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
