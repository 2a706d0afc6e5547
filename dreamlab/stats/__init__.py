"""Intervals, paired tests, corrections, power and verdicts: numpy and scipy only, no files."""

from dreamlab.stats.correction import holm, holm_levels
from dreamlab.stats.intervals import Interval, over_seeds, t_interval
from dreamlab.stats.paired import Paired, paired_t
from dreamlab.stats.power import detectable, power, seeds_needed

__all__ = [
    "Interval",
    "Paired",
    "detectable",
    "holm",
    "holm_levels",
    "over_seeds",
    "paired_t",
    "power",
    "seeds_needed",
    "t_interval",
]
