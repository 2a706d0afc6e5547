"""Where the files of users are: uploads, and the folders of this machine that a page may list."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from dreamlab.service.library import Library
from dreamlab.service.refused import Refused
from dreamlab.settings import ImportSpec
from dreamlab.store.uploads import Receiver, UploadError, Uploads

MOST_BYTES = 20 * 10**9
"""Most bytes of all uploads together, unless another limit is given."""
LISTED = 300
"""Most entries of a folder that are listed."""
CHOSEN = frozenset(
    ".zip .tar .tgz .gz .bz2 .xz .npz .npy .mat .parquet .arrow .csv .tsv .json .jsonl .txt .pth"
    " .pt .safetensors".split()
)
"""Endings of the files that a setting may name."""


@dataclasses.dataclass(frozen=True)
class Shelf:
    """What is in a folder: `folders` and the `files` that can be chosen, as (name, path), and how
    many entries are not listed. `parent` is empty where the folder above may not be listed."""

    path: str
    parent: str
    folders: list[tuple[str, str]]
    files: list[tuple[str, str]]
    others: int


class Places:
    """The uploads of a runs folder, and the folders `allowed` that may be listed. All its errors
    are Refused, with one sentence."""

    def __init__(
        self, library: Library, allowed: Sequence[Path] = (), most_bytes: int = MOST_BYTES
    ):
        self._library = library
        self.allowed = [folder.expanduser().resolve() for folder in allowed]
        self.most_bytes = most_bytes
        self.uploads = Uploads(library.store.folders.uploads, most_bytes)

    def begin(self, size: int, files: int) -> str:
        """Creates an upload and returns its name, see `Uploads.begin`."""
        with _refusing():
            return self.uploads.begin(size, files, self._needed)

    def receive(self, name: str) -> Receiver:
        """A receiver for the next part of an upload."""
        with _refusing():
            return self.uploads.receive(name)

    def end(self, name: str) -> str:
        """The path of a complete upload, for a setting."""
        with _refusing():
            return str(self.uploads.end(name))

    def said(self, source: str) -> str:
        """A source of an import for people: that an upload is one, and its name."""
        folder = f"{self.uploads.folder}{os.sep}"
        inner = source.removeprefix(folder).partition(os.sep)[2]
        return source if not source.startswith(folder) else f"an upload ({inner or 'files'})"

    def clean(self) -> None:
        """Removes old uploads that no run needs."""
        with contextlib.suppress(OSError):
            self.uploads.clean(self._needed)

    def _needed(self, folder: Path) -> bool:
        """Whether a run reads this folder: one that names it, except a finished import, which has
        images of its own."""
        inside = json.dumps(str(folder))[1:-1]
        return any(
            inside in json.dumps(run.record.spec)
            and not (run.kind == ImportSpec.kind and self._library.status(run.id).state == "done")
            for run in self._library.runs()
        )

    def shelf(self, path: str = "") -> Shelf:
        """The content of an allowed folder, or of one inside it; without a path, the allowed
        folders themselves. Hidden entries are left out. Raises Refused."""
        if not path:
            if len(self.allowed) == 1:
                return self.shelf(str(self.allowed[0]))
            return Shelf("", "", [(str(folder), str(folder)) for folder in self.allowed], [], 0)
        folder = self._inside(path)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name.lower())
        except OSError as error:
            raise Refused(
                f"{folder} cannot be listed ({error.strerror}); choose another folder."
            ) from None
        shown = [entry for entry in entries if not entry.name.startswith(".")]
        folders = [entry for entry in shown if _is_folder(entry)]
        files = [
            entry
            for entry in shown
            if not _is_folder(entry) and Path(entry.name).suffix.lower() in CHOSEN
        ]
        named = [folders[:LISTED], files[: max(0, LISTED - len(folders))]]
        above = folder.parent
        return Shelf(
            str(folder),
            str(above) if self._allows(above) else "",
            [(entry.name, entry.path) for entry in named[0]],
            [(entry.name, entry.path) for entry in named[1]],
            len(shown) - len(named[0]) - len(named[1]),
        )

    def _inside(self, path: str) -> Path:
        try:
            folder = Path(path).resolve()
        except (OSError, ValueError, RuntimeError):
            raise Refused("This path cannot be read.") from None
        if not self._allows(folder):
            raise Refused(
                f"{path[:200]} is not in a folder that may be listed here; its path can be typed,"
                " or `dreamlab ui --browse DIR` allows it."
            )
        return folder

    def _allows(self, folder: Path) -> bool:
        return any(folder == top or folder.is_relative_to(top) for top in self.allowed)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except UploadError as error:
        raise Refused(str(error)) from None
    except OSError as error:
        raise Refused(
            f"The files cannot be written on the server ({error.strerror or error})."
        ) from None
