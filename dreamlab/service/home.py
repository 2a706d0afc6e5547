"""The mix that the button on the Home page starts."""

from __future__ import annotations

from collections.abc import Iterable

from dreamlab.checks.references import usable
from dreamlab.data.selection import real_data
from dreamlab.settings import MixSpec, RealData, TrainSpec, make
from dreamlab.settings.train import can_be_guided
from dreamlab.store import Run

TRAIN_STEPS = 300
"""Optimiser steps of the card's own generator: one to two minutes on two cores without other load
(docs/bench.md)."""


def home_mix(runs: Iterable[Run]) -> MixSpec:
    """A mix that asks whether synthetic data helps for 100 labelled digits. It trains its own
    generator, and compares it with one of `runs` that was trained on all training digits, if there
    is one. A generator of the demo is used only if there is no other."""
    wide = [r for r in runs if _is_wide_generator(r)]
    wide.sort(key=lambda r: not r.record.demo)
    return make(
        MixSpec,
        {
            "dataset": "mnist5k",
            "images_per_class": 10,
            "sources": tuple(r.id for r in wide[:1]),
            "train_own": True,
            "arms": ("real", "50/50", "synthetic", "real+1x", "real+3x"),
            "controls": ("duplicated", "augmented"),
            "train_steps": TRAIN_STEPS,
            "steps": 200,
        },
    )


def _is_wide_generator(run: Run) -> bool:
    spec = run.spec
    return (
        isinstance(spec, TrainSpec)
        and real_data(spec) == RealData()
        and (spec.low_size, spec.init_from) == (0, "")
        and can_be_guided(spec)
        and usable(run)
    )
