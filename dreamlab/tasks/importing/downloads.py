"""Downloads published data sets into the cache, each once."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.official import open_official
from dreamlab.data.importing.published import PUBLISHED, Published, folder_of
from dreamlab.data.importing.source import Source
from dreamlab.tasks.context import Stopped, TaskError
from dreamlab.tasks.importing import fetching

Event = dict[str, Any]
Stopping = Callable[[], bool]

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
        yield message(f"Downloading {published.title} ({published.megabytes} MB) into {folder}.")
        try:
            yield from _fetched(published, folder, stopping)
        except fetching.WrongFile as error:
            raise TaskError(f"{error} {_by_hand(published, folder)}") from None
        except (OSError, http.client.HTTPException) as error:
            why = f"{published.title} could not be downloaded ({reason(error)})."
            raise TaskError(" ".join([*wrong, why, _by_hand(published, folder)])) from None
    yield message(f"{published.title}: the files are the published ones.")
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


def _missing(folder: Path) -> Source:
    raise DataError(f"the files did not arrive in {folder}")


def reason(error: BaseException) -> str:
    """What an error says, in a few words."""
    text = " ".join(str(error).split())
    inner = re.search(r"<urlopen error (?:\[Errno -?\d+\] )?([^<>]+)>", text)
    return (inner[1] if inner else text[:160].rstrip(".:")) or type(error).__name__


def message(text: str) -> Event:
    """An event with a sentence for people."""
    return {"type": "message", "level": "info", "text": text}
