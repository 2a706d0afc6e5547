"""Fetches the files of a published data set: goes on where an earlier attempt ended, checks what it
gets and what was put there by hand, and unpacks archives."""

from __future__ import annotations

import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from dreamlab.data.importing.published import PART, WRONG, File, Published

PIECE = 2**18
"""Bytes between two looks whether to stop."""
PATIENCE = 20.0
"""Seconds without an answer after which a server is given up."""
ATTEMPTS = 3
"""Times that a download goes on after it was cut."""

Stopping = Callable[[], bool]


class WrongFile(Exception):
    """A file that is not the published one, with a sentence about it."""


def set_aside(published: Published, folder: Path) -> list[str]:
    """Renames files in their place that are not the published ones. Returns a sentence for each."""
    place, said = published.place(folder), []
    for file in published.missing(folder):
        if (place / file.name).exists():
            said.append(_aside(place / file.name, file))
    return said


def _aside(path: Path, file: File) -> str:
    kept = path.with_name(file.name + WRONG)
    path.replace(kept)
    return (
        f"{file.name} in {path.parent} is not the published file, whose MD5 is {file.md5}: it was"
        f" renamed to {kept.name}."
    )


def fetch(published: Published, folder: Path) -> Iterator[int]:
    """Downloads the missing files into their place. Yields the bytes that are there after each
    piece; a caller may stop in between, and the next call goes on there. Raises OSError or
    HTTPException without a network, and WrongFile."""
    place = published.place(folder)
    place.mkdir(parents=True, exist_ok=True)
    missing = published.missing(folder)
    done = sum(_size(place / f.name) for f in published.files if f not in missing)
    for file in missing:
        part = place / (file.name + PART)
        resumed = part.exists()
        yield from (done + size for size in _download(published, file, part))
        if resumed and not file.is_at(part):  # what was there before may be of another file
            part.unlink()
            yield from (done + size for size in _download(published, file, part))
        if not file.is_at(part):
            part.replace(place / file.name)
            raise WrongFile(_aside(place / file.name, file))
        part.replace(place / file.name)
        done += _size(place / file.name)


def _download(published: Published, file: File, part: Path) -> Iterator[int]:
    failed: Exception | None = None
    for address in published.addresses:
        for _ in range(ATTEMPTS):
            before = _size(part)
            try:
                yield from _stream(address + file.name, part)
                return
            except (OSError, http.client.HTTPException) as error:
                failed = failed or error
            if _size(part) == before:
                break  # nothing came: the next address
    assert failed is not None
    raise failed


def _stream(address: str, part: Path) -> Iterator[int]:
    """Appends what is missing of a file, or writes it anew if the server cannot go on. Yields its
    size. Raises OSError if the connection ends early."""
    there = _size(part)
    headers = {"User-Agent": "dreamlab"} | ({"Range": f"bytes={there}-"} if there else {})
    request = urllib.request.Request(address, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code == 416 and there:  # nothing is left after what is there
            return
        raise
    with answer, part.open("ab" if answer.status == 206 else "wb") as out:
        wanted, got = answer.headers.get("Content-Length"), 0
        while piece := answer.read(PIECE):
            out.write(piece)
            got += len(piece)
            yield out.tell()
        if wanted is not None and got < int(wanted):
            raise OSError(f"the connection ended after {got:,} of {int(wanted):,} bytes")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def unpack(published: Published, folder: Path, stopping: Stopping) -> None:
    """Unpacks the archives whose content is not in its place. If it is stopped, nothing of it is
    left. The archives were checked, so the names in them are taken as they are."""
    place = published.place(folder)
    for file in published.files:
        if not (file.inside or file.folder) or file.is_unpacked(place):
            continue
        into = place / "unpacking"
        shutil.rmtree(into, ignore_errors=True)
        try:
            with tarfile.open(place / file.name) as archive:
                for member in archive:
                    if stopping():
                        return
                    if member.isfile():
                        archive.extract(member, into, filter="data")
            for found in sorted(into.iterdir()):
                shutil.rmtree(place / found.name, ignore_errors=True)
                os.replace(found, place / found.name)
        finally:
            shutil.rmtree(into, ignore_errors=True)
