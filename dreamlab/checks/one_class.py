"""Whether a data set has the classes that a classifier tells apart."""

from __future__ import annotations

from dreamlab.data import catalog
from dreamlab.settings import SpecError

NEEDED = 2
"""Fewest classes of a classifier."""


def check_classes(dataset: str, field: str, purpose: str) -> None:
    """Raises SpecError about the setting `field` if a data set has one class or no labels;
    `purpose` says in the message what needs the classes. Raises DataError."""
    info = catalog.info(dataset)
    if len(info.classes) < NEEDED:
        raise SpecError(
            f"{info.title} has one class, {info.classes[0]}, but {purpose} needs at least {NEEDED}."
            " A generator can be trained on it, and fidelity be measured with Inception-v3.",
            field,
        )
