"""The content of a source of an import, known before any image is decoded."""

from __future__ import annotations

import collections
import dataclasses
import re
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

SYSTEM = re.compile(r"(^|/)(\.|__MACOSX(/|$)|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE)
"""Hidden files, and files that operating systems create."""
PICTURE = re.compile(
    r"\.(a?png|jpe?g|jpe|jfif|gif|bmp|webp|avif|hei[cf]|tiff?|p[bgpn]m)$", re.IGNORECASE
)
ARCHIVE = re.compile(r"\.(zip|tar|tgz|gz|bz2|xz|7z|rar|npz)$", re.IGNORECASE)
UNLISTED = "unlisted"
"""The role of an image that the table of its exported set does not name."""
TOLD = 200
"""Most files that a report names one by one; further ones are only counted."""


class LeftOut:
    """The files that an import leaves out, with reasons."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.files: list[dict[str, str]] = []

    def add(self, file: str, reason: str, count: int = 1) -> None:
        """Adds a file, or `count` files that share a reason."""
        self.counts[reason] += count
        if len(self.files) < TOLD:
            # a file name that is not valid text would raise an error when it is shown
            self.files.append({"file": file.encode("utf-8", "replace").decode(), "reason": reason})

    def merge(self, other: LeftOut) -> None:
        """Adds what another one holds."""
        self.counts.update(other.counts)
        self.files += other.files[: TOLD - len(self.files)]

    def __str__(self) -> str:
        said = ", ".join(
            f"{count:,} {reason}" for reason, count in self.counts.most_common(4) if count
        )
        return f"left out: {said}" if said else "nothing was left out"


@dataclasses.dataclass(frozen=True)
class Doubt:
    """A question that the files do not answer. `answers` are readings in words with the settings
    that choose them; the first is proposed."""

    question: str
    answers: tuple[tuple[str, dict[str, Any]], ...]

    @property
    def sentence(self) -> str:
        """The question with the options that answer it."""
        ways = [
            f"{' '.join(map(_option, chosen, chosen.values()))} ({words})"
            for words, chosen in self.answers
        ]
        return f"{self.question} Nothing was imported; choose {', or '.join(ways)}."


def _option(name: str, value: Any) -> str:
    return f"--{name.replace('_', '-')} {shlex.quote(str(value))}"


@dataclasses.dataclass(frozen=True)
class Listing:
    """The content of a source, known before any image is read: name and class of each image, and
    whether it is in the test split."""

    title: str
    names: Sequence[str]
    labels: np.ndarray
    test: np.ndarray
    classes: tuple[str, ...]
    split: str
    """Where the split comes from; empty if the source has none."""
    mirror: bool = True
    """False if the source says that a mirrored image does not keep its class."""
    roles: np.ndarray | None = None
    """The role of each image, "real", "synthetic" or "", if the source is an exported set that says
    it, and UNLISTED for an image that its table does not name; else None."""
    numbered: bool = False
    """Whether the classes are numbers because the source has labels without names."""
    named: bool = False
    """Whether the source says that `classes` are names, so that digits are not class numbers."""
    reading: str = ""
    """How the source was read, such as "column label of train.csv"."""
    layout: str = ""
    """The setting that chooses this reading, empty if there is none."""
    labelled: bool = True
    """False if the source has no labels: all images are then of one class."""
    channels: int | None = None
    """The channels of an exported set, 1 or 3, even if all its images are grey; None if the source
    does not say it."""
    exported: bool = False
    """Whether it is a set that was exported by DreamLab, by its card."""
    labelled_by: dict[str, str] | None = None
    """The classifier that gave the labels, by the card of an exported set (see
    `dreamlab.data.importing.exported.labelled_by`)."""
    notes: tuple[str, ...] = ()
    """What was done to values or names and must be said, such as "0 to 1 was multiplied by 255"."""
    doubts: tuple[Doubt, ...] = ()
    """What an import must ask before it begins."""


def natural(name: str) -> tuple[int, int, str, str]:
    """Sort key for names: numbers by their value, then other names without regard to case. No two
    names have the same."""
    if name.isascii() and name.isdigit():
        return 0, int(name), name, name
    return 1, 0, name.casefold(), name


def some(names: Sequence[str]) -> str:
    """The first ten of the names, and how many more there are."""
    return ", ".join(names[:10]) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")
