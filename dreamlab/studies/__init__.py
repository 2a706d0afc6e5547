"""The published studies as data: one TOML file each, read by `load`."""

from dreamlab.studies.loader import load, names
from dreamlab.studies.model import (
    AmountStep,
    Comparison,
    Measure,
    PublishedCell,
    Scale,
    Study,
    StudyPart,
)

__all__ = [
    "AmountStep",
    "PublishedCell",
    "Comparison",
    "Measure",
    "StudyPart",
    "Scale",
    "Study",
    "load",
    "names",
]
