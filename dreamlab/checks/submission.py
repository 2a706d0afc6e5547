"""What can be said of a spec before anything starts: every refusal is one sentence with the field
it is about."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

from dreamlab.checks import generator
from dreamlab.checks.synthetic_set import check_set
from dreamlab.data import catalog, imageset, mixing
from dreamlab.data.available import available, selected
from dreamlab.data.importing.arrays import check_source, is_download
from dreamlab.experiments import plan
from dreamlab.experiments.children import train_run
from dreamlab.settings import (
    DEFAULT_VALUES,
    KINDS,
    ClassifySpec,
    FidelitySpec,
    ImportSpec,
    MixSpec,
    RealData,
    Setting,
    Spec,
    SpecError,
    StudySpec,
    SweepSpec,
    SynthesizeSpec,
    TrainSpec,
    make,
    settings_of,
)
from dreamlab.store import Run, RunError, RunStore, checkpoints
from dreamlab.store.machine import cores, find_devices
from dreamlab.store.states import ACTIVE

MOST_OVERLAP = 0.01
"""Share of the test images that may also be training images, pixel for pixel: a real set has a few
by chance."""
SPARE_DISK = 200 * 2**20
"""Bytes that must stay free beside what a run needs."""


class Refused(ValueError):
    """One clear sentence; nothing was started. `field` names the setting it is about, where there
    is one."""

    def __init__(self, message: str, field: str = ""):
        super().__init__(message)
        self.field = field


def validate(kind: str, values: dict[str, Any]) -> Spec:
    """A spec of this kind from loose values. Raises Refused."""
    if kind not in KINDS:
        raise Refused(f"There is no kind of run {kind!r}; there are {', '.join(KINDS)}.", "kind")
    try:
        return make(KINDS[kind], values)
    except SpecError as error:
        raise Refused(str(error), error.field) from None


def inherited(values: dict[str, Any], store: RunStore) -> dict[str, Any]:
    """Loose values with what a fine-tuned model takes over from the run it starts from. Raises
    Refused."""
    try:
        return generator.inherited(store, values)
    except RunError as error:
        raise Refused(f"Fine-tune (--init-from): {error}", "init_from") from None


def usable(run: Run) -> bool:
    """Whether another run can be made from this one now: a generator with a checkpoint, a finished
    image set."""
    if run.kind == "train":
        return checkpoints.path_of(run.path).exists() and run.status().state in ("done", "stopped")
    return run.status().state == "done"


def is_of(run: Run, kinds: tuple[str, ...]) -> bool:
    """Whether a run is of one of these kinds; an import counts as a data set, or beside
    `synthesize` as a synthetic set."""
    if run.kind != "import":
        return run.kind in kinds
    return "import" in kinds and (run.record.spec["role"] == "synthetic") == ("synthesize" in kinds)


def resolved(spec: Spec, store: RunStore) -> Spec:
    """The spec with every run that it names by its full id and every path from the root, since the
    engine may run elsewhere. Raises Refused where a run is absent, of another kind or unusable."""
    paths = (
        "data_dir",
        "inception_weights",
        *(("source",) if isinstance(spec, ImportSpec) else ()),
    )
    given = {name: getattr(spec, name, "") for name in paths}
    changes: dict[str, Any] = {
        name: str(Path(value).expanduser().absolute())
        for name, value in given.items()
        if value and not is_download(value)
    }
    for k in settings_of(type(spec)):
        value = getattr(spec, k.name)
        named = k.runs_in(value)
        if not named:
            continue
        full = {name: _full_id(k, name, store) for name in named}
        if len(set(full.values())) != len(named):
            raise Refused(f"{k.label} ({k.flag}): the same run is named twice.", k.name)
        changes[k.name] = (
            full[value] if isinstance(value, str) else tuple(full.get(v, v) for v in value)
        )
    return make(type(spec), {**spec.model_dump(), **changes}) if changes else spec


def _full_id(k: Setting, name: str, store: RunStore) -> str:
    try:
        run = store.get(name)
        fits = is_of(run, k.run_kinds)
    except RunError as error:
        text = f"{name!r} cannot be used; it must be {k.range}." if k.choices else str(error)
        raise Refused(f"{k.label} ({k.flag}): {text}", k.name) from None
    if not fits:
        what = (
            f"an import of role {run.record.spec['role']}"
            if run.kind == "import"
            else f"a {run.kind} run"
        )
        raise Refused(
            f"{k.label} ({k.flag}): {run.id} is {what}; a {' or '.join(k.run_kinds)} run is"
            " needed.",
            k.name,
        )
    if not usable(run) and run.status().state not in ACTIVE:
        raise Refused(
            f"{k.label} ({k.flag}): {run.id} is {run.status().state} and has nothing that can be"
            " used.",
            k.name,
        )
    return run.id


def check(spec: Spec, store: RunStore) -> None:
    """Raises Refused where the spec cannot work on the data, the network or the runs that it
    names."""
    try:
        _check_device(spec)
        if isinstance(spec, ImportSpec):
            check_source(spec.source)
        elif isinstance(spec, TrainSpec):
            _check_train(spec, store)
        elif isinstance(spec, SynthesizeSpec):
            generator.check_synthesize(spec, store)
            _check_labeller(spec, store)
        elif isinstance(spec, FidelitySpec):
            _check_extractor(spec.extractor, spec.inception_weights)
        elif isinstance(spec, SweepSpec):
            _check_extractor(spec.extractor, spec.inception_weights)
            _check_sweep(spec, store)
        elif isinstance(spec, ClassifySpec):
            _check_classify(spec, store)
        elif isinstance(spec, MixSpec):
            selected(spec)
            _check_test(spec)
            plan(spec, store)
            for name in spec.sets:
                _check_copies(spec, store, name, "sets")
        elif isinstance(spec, StudySpec):
            _check_study(spec, store)
    except (SpecError, RunError, catalog.DataError) as error:
        raise Refused(str(error), getattr(error, "field", "")) from None


def check_disk(store: RunStore, needed: int) -> None:
    """Raises Refused where the run would not fit beside SPARE_DISK."""
    there = next(p for p in (store.folder, *store.folder.parents) if p.is_dir())
    free = shutil.disk_usage(there).free
    if free < needed + SPARE_DISK:
        raise Refused(
            f"Too little free disk for this run: it needs about {_mb(needed)} and {_mb(SPARE_DISK)}"
            f" to spare, {_mb(free)} are free in {store.folder}; delete runs or give another folder"
            " with --runs."
        )


def _mb(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _check_device(spec: Spec) -> None:
    if spec.model_dump().get("device") == "cuda" and all(d.name == "cpu" for d in find_devices()):
        raise SpecError(
            "Device (--device): 'cuda' cannot be used, no CUDA device was found; use auto or cpu.",
            "device",
        )


def _check_train(spec: TrainSpec, store: RunStore) -> None:
    selected(spec)
    generator.check_train(spec, store)
    if spec.devices > 1:
        _check_devices(spec)


def _check_devices(spec: TrainSpec) -> None:
    """On a CPU devices are processes: more than cores would only wait for each other."""
    cuda = [] if spec.device == "cpu" else [d for d in find_devices() if d.name != "cpu"]
    if cuda and len(cuda) < spec.devices:
        raise SpecError(
            f"Devices (--devices): {spec.devices} cannot be used, this machine has {len(cuda)} CUDA"
            f" device{'s' if len(cuda) > 1 else ''}; use {len(cuda)}, or --device cpu.",
            "devices",
        )
    if not cuda and cores() < spec.devices:
        raise SpecError(
            f"Devices (--devices): {spec.devices} cannot be used, this machine has {cores()} CPU"
            f" core{'s' if cores() > 1 else ''}; use {'at most ' if cores() > 1 else ''}{cores()}.",
            "devices",
        )


def _check_labeller(spec: SynthesizeSpec, store: RunStore) -> None:
    _, base = train_run(store, spec.source, "source")
    if spec.labeller != "none" and base.conditional:
        raise SpecError(
            "Pseudo-labels (--labeller): the generator was trained with classes, so its images have"
            " labels already; use none.",
            "labeller",
        )
    if spec.labeller != "none" and spec.classes:
        raise SpecError(
            "Classes (--classes): a labeller fills all classes; leave the list empty.", "classes"
        )


def _check_sweep(spec: SweepSpec, store: RunStore) -> None:
    values = spec.values or DEFAULT_VALUES[spec.axis]
    if len(set(values)) != len(values):
        raise SpecError(
            "Values (--values): a value is given twice; every point must differ.", "values"
        )
    if spec.axis != "guidance_weight" and any(not v.is_integer() for v in values):
        raise SpecError(f"Values (--values): {spec.axis} takes whole numbers.", "values")
    for child in plan(spec, store):
        if child.kind == "train":
            _check_train(make(TrainSpec, child.values), store)
        elif child.kind == "synthesize" and not child.values["source"].startswith("@"):
            generator.check_synthesize(make(SynthesizeSpec, child.values), store)


def _check_extractor(extractor: str, weights: str) -> None:
    if extractor == "inception" and not (weights and Path(weights).expanduser().is_file()):
        raise SpecError(
            f"Inception weights (--inception-weights): {weights!r} is not a file; give the file"
            " weights-inception-2015-12-05-6726825d.pth that torch-fidelity and torchmetrics use.",
            "inception_weights",
        )


def _check_classify(spec: ClassifySpec, store: RunStore) -> None:
    _check_test(spec)
    arm = mixing.parse(spec.arm)
    if arm.needs_set != bool(spec.synthetic):
        what = (
            "needs a synthetic set (--synthetic RUN)" if arm.needs_set else "needs no synthetic set"
        )
        raise SpecError(f"Arm (--arm): {spec.arm} {what}.", "synthetic")
    try:
        needed = mixing.counts(spec.arm, available(spec))
    except SpecError:
        raise
    except ValueError as error:
        raise SpecError(
            f"Arm (--arm): {error}; use more real images or another arm.", "arm"
        ) from None
    if spec.synthetic:
        check_set(spec, store, spec.synthetic, [c.synthetic for c in needed], "synthetic")
        _check_copies(spec, store, spec.synthetic, "synthetic")


def _check_test(data: RealData) -> None:
    """Raises SpecError where the test images were trained on: more than a few equal pixel for
    pixel."""
    loaded = catalog.load(data.dataset, data.data_dir)
    both = catalog.overlap(loaded)
    if both > MOST_OVERLAP * len(loaded.test_labels):
        raise SpecError(
            f"Data (--dataset): {both:,} of the {len(loaded.test_labels):,} test images of"
            f" {loaded.info.title} are also training images, so no accuracy on them means anything;"
            " give a test part of its own.",
            "dataset",
        )


def _check_copies(data: RealData, store: RunStore, name: str, field: str) -> None:
    """Raises SpecError where images made elsewhere are copies of the test images."""
    run = store.get(name)
    if run.kind != "import":
        return
    if run.status().state != "done":
        raise SpecError(
            f"Synthetic set: {run.id} is still being imported; start this once it is done.", field
        )
    if copied := _copied(run.path, data.dataset, data.data_dir):
        raise SpecError(
            f"Synthetic set: {copied:,} images of {run.id} are copies of test images; a set that"
            " holds the test cannot be measured by it, leave them out.",
            field,
        )


@functools.lru_cache(maxsize=32)
def _copied(made: Path, dataset: str, data_dir: str) -> int:
    return imageset.copies(imageset.load(made)[0], catalog.load(dataset, data_dir).test_images)


def _check_study(spec: StudySpec, store: RunStore) -> None:
    for child in plan(spec, store):
        if not any(isinstance(v, str) and v.startswith("@") for v in child.values.values()):
            check(make(KINDS[child.kind], child.values), store)
