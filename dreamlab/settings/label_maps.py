"""Maps of classes that come with the studies: ImageNet classes and what a study takes them for. An
import names one with `--class-map`."""

from __future__ import annotations

import csv
import dataclasses
import functools

from dreamlab.paths import STUDIES

ENDING = "-labels.csv"


@dataclasses.dataclass(frozen=True)
class MappedClass:
    """One class of ImageNet and the class that it becomes."""

    name: str
    id: str
    """Its number in the ILSVRC-2012 challenge, 0 to 999, as text."""
    also: tuple[str, ...]
    """Other names of it: its WordNet id, and further words."""
    to: str

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that a folder or a label of this class may be called."""
        return (self.name, self.id, *self.also)


def names() -> tuple[str, ...]:
    """Names of all maps, in alphabetical order."""
    return tuple(sorted(path.name.removesuffix(ENDING) for path in STUDIES.glob(f"*{ENDING}")))


@functools.cache
def load(name: str) -> tuple[MappedClass, ...]:
    """The map with this name. Raises KeyError if there is none."""
    if name not in names():
        raise KeyError(f"There is no map of classes {name!r}; there are {', '.join(names())}.")
    with (STUDIES / f"{name}{ENDING}").open(encoding="utf-8", newline="") as file:
        return tuple(
            MappedClass(row["from"], row["id"], tuple(row["also"].split("|")), row["to"])
            for row in csv.DictReader(file)
        )


def text(name: str) -> str:
    """The map in words, such as `truck: fire engine (555), ...; ship: ...`. Raises KeyError."""
    by_class: dict[str, list[str]] = {}
    for mapped in load(name):
        by_class.setdefault(mapped.to, []).append(f"{mapped.name} ({mapped.id})")
    return "; ".join(f"{to}: {', '.join(found)}" for to, found in by_class.items())
