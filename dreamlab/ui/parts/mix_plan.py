"""What a mix will do before it is started: the images of each arm, and the number of classifiers.
Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from dreamlab.data import catalog, mixing
from dreamlab.experiments.mix import plan
from dreamlab.settings import MixSpec
from dreamlab.ui import render
from dreamlab.ui.parts import class_tables
from dreamlab.ui.theme import mix_css

KINDS = ("real", "synthetic", "other")


def planned_html(spec: MixSpec, available: Sequence[int]) -> Markup:
    """The number of images of each arm, and histograms over the classes.

    `available`: number of real images of each class that the mix may use. Raises ValueError if an
    arm is impossible.
    """
    info = catalog.info(spec.dataset)
    ordered = sorted(plan.cells(spec), key=lambda cell: (cell.arm != "real", not cell.treatment))
    arms = []
    histograms: list[tuple[str, class_tables.PerClass]] = []
    for name, cell in {cell.arm: cell for cell in ordered}.items():
        counts = mixing.counts(name, available)
        per_class = {kind: [getattr(c, kind) for c in counts] for kind in KINDS}
        total = {kind: sum(per_class[kind]) for kind in KINDS}
        label = mixing.label(name, info.classes)
        arms.append(
            {
                "label": label,
                "colour": mix_css(total["synthetic"] / sum(total.values())),
                "hollow": not cell.treatment and name != "real",
                **total,
            }
        )
        histograms.append((label, per_class))
    drawn = class_tables.histograms(info.classes, histograms)
    return render.part("mix.html", "plan", arms, about(spec, len(arms), info.test), drawn)


def about(spec: MixSpec, arms: int, test_images: int) -> str:
    """The number of classifiers and of test images in one sentence."""
    sources = len(plan.keys(spec))
    words = f"{arms} arms x {spec.seeds} seeds"
    if sources > 1:
        words += f", {sources} sources of synthetic images"
    words += f": {len(plan.cells(spec)) * spec.seeds:,} classifiers"
    if spec.real_sizes:
        words += f"; also {len(plan.surface(spec))} arms at other numbers of real images"
    return f"{words}; tested on {test_images:,} real images."
