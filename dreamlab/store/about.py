"""The name and the description that a user gave to a run: `about.json` in its folder.

The service writes it, and it may change at any time. It is no part of the content hash.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from dreamlab.store.files import read_json, write_json

ABOUT = "about.json"
LONGEST_NAME, LONGEST_TEXT = 80, 2000
"""Most characters of a name and of a description."""
Stamp = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class About:
    """What a user called a run, and what they wrote about it. Each may be empty."""

    name: str = ""
    text: str = ""


def stamp(folder: Path) -> Stamp:
    """A value that changes when the file changes; zeros without one."""
    try:
        info = (folder / ABOUT).stat()
    except OSError:
        return (0, 0, 0)
    return (info.st_mtime_ns, info.st_ino, info.st_size)


def read_about(folder: Path) -> About:
    """What was given to the run in a folder. A file that cannot be read counts as none."""
    found = stamp(folder)
    return _read(folder, found) if any(found) else About()


def write_about(folder: Path, about: About) -> None:
    """Writes the file, or removes it if nothing is given. Raises OSError."""
    if about == About():
        (folder / ABOUT).unlink(missing_ok=True)
    else:
        write_json(folder / ABOUT, dataclasses.asdict(about))


@functools.lru_cache(maxsize=1024)
def _read(folder: Path, _: Stamp) -> About:
    value = read_json(folder / ABOUT)
    if not isinstance(value, dict):
        return About()
    name, text = value.get("name", ""), value.get("text", "")
    return About(str(name)[:LONGEST_NAME], str(text)[:LONGEST_TEXT])
