"""Warnings about settings that are allowed but have a known problem, in a sentence each. Forms and
the command line show them."""

from __future__ import annotations

import numpy as np

from dreamlab.checks.known import Known
from dreamlab.checks.noise_levels import schedule_warning
from dreamlab.checks.sampling_warnings import cautions_of_experiment, cautions_of_set, models_of
from dreamlab.data import catalog, near_copies, near_copies_report, small_sets
from dreamlab.data.importing.published import PUBLISHED, folder_of
from dreamlab.data.selection import available, classes_of
from dreamlab.settings import (
    ClassifySpec,
    ImportSpec,
    MixSpec,
    Spec,
    StudySpec,
    SweepSpec,
    SynthesizeSpec,
    TrainSpec,
)
from dreamlab.stats.enough import LEAST_SEEDS


def warning(spec: Spec, known: Known) -> str:
    """The warnings about a spec, each once; empty if there is no problem. Raises RunError if a run
    that the spec names cannot be read, and SpecError and DataError."""
    said: list[str] = []
    if isinstance(spec, ImportSpec):
        said.append(download_warning(spec, known))
    if isinstance(spec, TrainSpec):
        said.append(schedule_warning(spec))
    if isinstance(spec, SynthesizeSpec):
        said += cautions_of_set(spec, models_of(spec, known))
    if isinstance(spec, MixSpec):
        said.append(seeds_warning(spec))
    if isinstance(spec, MixSpec | SweepSpec | StudySpec):
        said += cautions_of_experiment(spec, known)
    if isinstance(spec, ClassifySpec | MixSpec):
        said.append(copies_warning(spec, known))
    if isinstance(spec, TrainSpec | ClassifySpec | MixSpec):
        said += small_set_warnings(spec)
    return " ".join(dict.fromkeys(filter(None, said)))


def download_warning(spec: ImportSpec, known: Known) -> str:
    """What an import will download, and what to put where if there is no network; empty if it
    downloads nothing."""
    scheme, _, name = spec.source.partition(":")
    if scheme != "torchvision":
        return ""
    published, folder = PUBLISHED[name], folder_of(name, known.store.folders.cache)
    if not published.missing(folder):
        return ""
    return (
        f"This downloads {published.megabytes} MB. Without a network, first"
        f" {published.by_hand(folder)}."
    )


def copies_warning(spec: ClassifySpec | MixSpec, known: Known) -> str:
    """The warning for near-copies that are allowed: within the test images, or of training images
    in a synthetic set. Raises RunError and DataError."""
    data, said = catalog.load(spec.dataset, spec.data_dir), []
    within = near_copies.within(data)
    if within is not None and within.repeats_within:
        said.append(near_copies_report.of_data(within))
    names = spec.sets if isinstance(spec, MixSpec) else (spec.synthetic,) * bool(spec.synthetic)
    for folder in filter(None, map(known.folder, dict.fromkeys(names))):
        found = near_copies.known(folder, data)
        if found is not None and found.repeats:
            said.append(f"{folder.name}: {near_copies_report.of_set(found, data.info.classes)}")
    return " ".join(said)


def small_set_warnings(spec: TrainSpec | ClassifySpec | MixSpec) -> list[str]:
    """What can be expected of few or uneven images. Raises SpecError and DataError."""
    said = small_sets.about_training(available(spec), classes_of(spec))
    if not isinstance(spec, TrainSpec):
        data = catalog.load(spec.dataset, spec.data_dir)
        counts = np.bincount(data.test_labels, minlength=len(data.info.classes))
        said += small_sets.about_testing(counts.tolist())
    return said


def seeds_warning(spec: MixSpec) -> str:
    """The warning for a mix with too few seeds for a verdict."""
    if spec.seeds >= LEAST_SEEDS:
        return ""
    return (
        f"With {spec.seeds} seeds there is no verdict and no interval. Use at least {LEAST_SEEDS}"
        " seeds (--seeds)."
    )
