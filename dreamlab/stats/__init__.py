"""Confidence intervals, paired tests, corrections, power and verdicts, with numpy and scipy only.
It reads no files."""

from dreamlab.stats.best import Best, best_mix
from dreamlab.stats.components import Paired, cell, correct, macro_f1, mean_interval, paired
from dreamlab.stats.correction import holm, holm_levels
from dreamlab.stats.exchange import Exchange, SurfacePoint, exchange_rate
from dreamlab.stats.intervals import Interval, t_interval
from dreamlab.stats.power import detectable, images_needed, power, seeds_needed, seeds_range
from dreamlab.stats.tests import mcnemar, sign_flip

__all__ = [
    "Best",
    "SurfacePoint",
    "Exchange",
    "Interval",
    "Paired",
    "best_mix",
    "cell",
    "correct",
    "detectable",
    "exchange_rate",
    "holm",
    "holm_levels",
    "images_needed",
    "macro_f1",
    "mcnemar",
    "mean_interval",
    "paired",
    "power",
    "seeds_needed",
    "seeds_range",
    "sign_flip",
    "t_interval",
]
