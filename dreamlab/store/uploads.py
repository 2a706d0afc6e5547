"""Files that a browser sends. Each upload has a folder of its own beside the runs folder, and all
of them together have a limit. The folder of an upload that is not complete ends in `.part`."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dreamlab.store.files import disk_use

KEPT_SECONDS = 24 * 3600.0
"""An upload that no run needs is removed after this time."""
SILENT_SECONDS = 900.0
"""An upload that is not complete is removed if nothing has come for this time, as after a crash of
the browser or of the server."""
PART = ".part"
MOST_FILES, DEEPEST, LONGEST = 2_000_000, 32, 255
"""Most files of an upload, folders within each other, and bytes of a name."""
HEADER_BYTES = 2**20
SPARE_BYTES = 2**30
"""Bytes that stay free on the disk."""
NAME = re.compile(r"[0-9a-f]{16}")
GIVEN_UP = "This upload is not known (any more): send the files again."


class UploadError(ValueError):
    """An upload that is refused. The message is one sentence."""


@dataclasses.dataclass
class _Open:
    """An upload that is being received: bytes that were announced and that have come. `gone`: it
    was given up. The lock is held while files are written or removed."""

    bytes: int
    received: int = 0
    gone: bool = False
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)


class Uploads:
    """The uploads of one runs folder; together they hold at most `most_bytes`."""

    def __init__(self, folder: Path, most_bytes: int):
        self.folder, self.most_bytes = folder, most_bytes
        self._open: dict[str, _Open] = {}

    def begin(self, size: int, files: int, needed: Callable[[Path], bool]) -> str:
        """Creates an upload of `size` bytes in `files` files and returns its name. Uploads that are
        old and not `needed` are removed. Raises UploadError if it is too large, or the disk too
        full."""
        self.clean(needed)
        if not 0 < files <= MOST_FILES or size < 0:
            raise UploadError(f"An upload has 1 to {MOST_FILES:,} files, not {files:,}.")
        waiting = sum(o.bytes - o.received for o in self._open.values())
        used = disk_use(self.folder) + waiting if self.folder.is_dir() else 0
        if used + size > self.most_bytes:
            others = f", and {_gb(used)} are kept from other uploads" if used else ""
            raise UploadError(
                f"These files have {_gb(size)}, but at most {_gb(self.most_bytes)} can be sent"
                f"{others}: give the path of a folder of this server instead, or start DreamLab"
                " with a larger --max-upload."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < size + SPARE_BYTES:
            raise UploadError(
                f"These files have {_gb(size)}, but only {_gb(free)} are free on the disk of the"
                f" server, of which {_gb(SPARE_BYTES)} must stay free."
            )
        name = secrets.token_hex(8)
        self._part(name).mkdir(mode=0o700)
        self._open[name] = _Open(size)
        return name

    def _part(self, name: str) -> Path:
        return self.folder / f"{name}{PART}"

    def receive(self, name: str) -> Receiver:
        """A receiver for the next part of an upload. Raises UploadError if it is not open."""
        held = self._open.get(name)
        if held is None or not self._part(name).is_dir():
            raise UploadError(GIVEN_UP)
        os.utime(self._part(name))
        return Receiver(self._part(name), held)

    def end(self, name: str) -> Path:
        """The path of a complete upload: its only file or folder, or the folder that holds all its
        files. Raises UploadError if something is missing."""
        held = self._open.get(name)
        if held is None or held.received < held.bytes:
            raise UploadError("The upload is not complete: send the files again.")
        del self._open[name]
        folder = self._part(name).rename(self.folder / name)
        inside = list(folder.iterdir())
        return inside[0] if len(inside) == 1 else folder

    def remove(self, name: str) -> None:
        """Removes an upload that is not complete. A part that is being received ends with an
        error."""
        if not NAME.fullmatch(name):
            return
        held = self._open.pop(name, None) or _Open(0)
        with held.lock:
            held.gone = True
            shutil.rmtree(self._part(name), ignore_errors=True)

    def clean(self, needed: Callable[[Path], bool], age: float = KEPT_SECONDS) -> None:
        """Removes the uploads that are older than `age` seconds and not `needed`, a function of the
        path of the folder of an upload, and those that nobody completes."""
        for folder in list(self.folder.iterdir()) if self.folder.is_dir() else []:
            try:
                since = time.time() - folder.stat().st_mtime
            except OSError:
                continue  # it was removed meanwhile
            if folder.suffix == PART:
                if since > SILENT_SECONDS:
                    self.remove(folder.stem)
            elif since > age and NAME.fullmatch(folder.name) and not needed(folder):
                shutil.rmtree(folder, ignore_errors=True)


class Receiver:
    """Writes one part of an upload. The part is a line of JSON, a list of [path, offset, bytes],
    and then these bytes of these files one after the other. Paths are relative and use `/`."""

    def __init__(self, folder: Path, upload: _Open):
        self._folder, self._upload = folder, upload
        self._head = bytearray()
        self._files: list[tuple[Path, int, int]] | None = None
        self._left, self._taken = 0, 0
        self._file: Any = None

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the part. Raises UploadError if they are not as announced or the
        upload was given up, and OSError if they cannot be written."""
        with self._upload.lock:
            if self._upload.gone:
                raise UploadError(GIVEN_UP)
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        if self._files is None:
            self._head += data
            line, found, data = bytes(self._head).partition(b"\n")
            if not found:
                if len(self._head) > HEADER_BYTES:
                    raise UploadError("The list of files of this part is too long.")
                return
            self._files = self._announced(line)
            self._open_next()
        self._write(memoryview(data))

    def _write(self, data: memoryview) -> None:
        while len(data):
            if self._file is None:
                raise UploadError("More bytes have come than the list of files says.")
            taken = data[: self._left]
            self._upload.received += len(taken)
            self._taken += len(taken)
            if self._upload.received > self._upload.bytes:
                raise UploadError("More bytes have come than were announced.")
            self._file.write(taken)
            self._left -= len(taken)
            data = data[len(taken) :]
            if not self._left:
                self._open_next()

    def close(self, complete: bool = True) -> None:
        """Closes the files. A part that is not `complete` does not count, so that it can be sent
        again. Raises UploadError if the part is said to be complete but bytes are missing."""
        missing = self._file is not None or self._files is None
        if missing or not complete:
            self._upload.received -= self._taken
        if self._file is not None:
            self._file.close()
            self._file = None
        if complete and missing:
            raise UploadError("Bytes of this part are missing: send the files again.")

    def _announced(self, line: bytes) -> list[tuple[Path, int, int]]:
        try:
            return [(self._place(str(p)), int(at), int(n)) for p, at, n in json.loads(line)]
        except UploadError:
            raise
        except (ValueError, TypeError):
            raise UploadError("The list of files of this part cannot be read.") from None

    def _place(self, path: str) -> Path:
        """Where a file goes. Raises UploadError for a path that would lead elsewhere."""
        parts = path.split("/")
        good = 0 < len(parts) <= DEEPEST and all(
            part not in ("", ".", "..") and not set(part) & {"\0", os.sep, os.altsep or os.sep}
            for part in parts
        )
        if not good or (os.name == "nt" and ":" in path):
            raise UploadError(f"A file cannot have the name {path[:200]!r}.")
        for name in parts:
            try:
                size = len(name.encode())
            except UnicodeEncodeError:
                raise UploadError(f"A file cannot have the name {path[:200]!r}.") from None
            if size > LONGEST:
                raise UploadError(
                    f"The name {name[:40]}... is longer than {LONGEST} bytes; shorten it, or send"
                    " the files in a ZIP."
                )
        return self._folder.joinpath(*parts)

    def _open_next(self) -> None:
        """Opens the next file that has bytes in this part; files without bytes are created."""
        if self._file is not None:
            self._file.close()
            self._file = None
        while self._files:
            path, at, self._left = self._files.pop(0)
            path.parent.mkdir(parents=True, exist_ok=True)
            have = path.stat().st_size if path.exists() else 0
            if at > have or at < 0 or self._left < 0:
                raise UploadError(f"A part of {path.name} is missing: send the files again.")
            self._file = open(path, "r+b" if at else "wb")
            self._file.seek(at)
            if self._left:
                return
            self._file.close()
            self._file = None


def _gb(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
