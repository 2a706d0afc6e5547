"""The published studies as data: one TOML file each, read by `load`."""

from dreamlab.studies.loader import load, names
from dreamlab.studies.model import Cell, Comparison, Measure, Part, Scale, Study

__all__ = ["Cell", "Comparison", "Measure", "Part", "Scale", "Study", "load", "names"]
