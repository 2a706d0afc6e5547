"""What can be said of a spec before anything starts: every refusal is one sentence with the field it is about."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from dreamlab.data import catalog, splits
from dreamlab.engine.devices import find_devices
from dreamlab.groups import plan
from dreamlab.service import trained
from dreamlab.spec import (
    ACTIVE,
    DEFAULT_VALUES,
    KINDS,
    ClassifySpec,
    FidelitySpec,
    MixSpec,
    Spec,
    SpecError,
    SweepSpec,
    SynthesizeSpec,
    TrainSpec,
    knobs,
    make,
)
from dreamlab.store import Run, RunError, RunStore, checkpoints

SPARE_DISK = 200 * 2**20
"""Bytes that must stay free beside what a run needs."""


class Refused(ValueError):
    """One clear sentence; nothing was started. `field` names the setting it is about, where there is one."""

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
    """Loose values with what a fine-tuned model takes over from the run it starts from. Raises Refused."""
    try:
        return trained.inherited(store, values)
    except RunError as error:
        raise Refused(f"Fine-tune (--init-from): {error}", "init_from") from None


def usable(run: Run) -> bool:
    """Whether another run can be made from this one now: a generator with a checkpoint, a finished image set."""
    if run.kind == "train":
        return checkpoints.path_of(run.path).exists() and run.status().state in ("done", "stopped")
    return run.status().state == "done"


def with_full_ids(spec: Spec, store: RunStore) -> Spec:
    """The spec with every run it names by its full id. Raises Refused where a run is absent, of another kind or unusable."""
    changes: dict[str, Any] = {}
    for k in knobs(type(spec)):
        value = getattr(spec, k.name)
        if not k.run_kind or not value:
            continue
        ids = []
        for name in [value] if isinstance(value, str) else value:
            try:
                run = store.get(name)
                found = run.kind
            except RunError as error:
                raise Refused(f"{k.label} ({k.flag}): {error}", k.name) from None
            if found != k.run_kind:
                raise Refused(f"{k.label} ({k.flag}): {run.id} is a {found} run; a {k.run_kind} run is needed.", k.name)
            if not usable(run) and run.status().state not in ACTIVE:
                raise Refused(
                    f"{k.label} ({k.flag}): {run.id} is {run.status().state} and has nothing that can be used.", k.name
                )
            ids.append(run.id)
        if len(set(ids)) != len(ids):
            raise Refused(f"{k.label} ({k.flag}): the same run is named twice.", k.name)
        changes[k.name] = ids[0] if isinstance(value, str) else tuple(ids)
    return make(type(spec), {**spec.model_dump(), **changes}) if changes else spec


def check(spec: Spec, store: RunStore) -> None:
    """Raises Refused where the spec cannot work on the data, the network or the runs that it names."""
    try:
        _check_device(spec)
        if isinstance(spec, TrainSpec):
            _check_train(spec, store)
        elif isinstance(spec, SynthesizeSpec):
            trained.check_synthesize(spec, store)
        elif isinstance(spec, FidelitySpec):
            _check_extractor(spec.extractor, spec.inception_weights)
        elif isinstance(spec, SweepSpec):
            _check_extractor(spec.extractor, spec.inception_weights)
            _check_sweep(spec, store)
        elif isinstance(spec, ClassifySpec):
            _check_classify(spec, store)
        elif isinstance(spec, MixSpec):
            _check_subset(spec.dataset, spec.data_dir, spec.images_per_class, spec.subset_seed)
            plan(spec, store)
    except (SpecError, RunError, catalog.DataError) as error:
        raise Refused(str(error), getattr(error, "field", "")) from None


def check_disk(store: RunStore, needed: int) -> None:
    """Raises Refused where the run would not fit beside SPARE_DISK."""
    free = shutil.disk_usage(store.folder).free
    if free < needed + SPARE_DISK:
        raise Refused(
            f"Too little free disk for this run: it needs about {_mb(needed)} and {_mb(SPARE_DISK)} to spare,"
            f" {_mb(free)} are free in {store.folder}; delete runs or give another folder with --runs."
        )


def _mb(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.0f} MB"


def _check_device(spec: Spec) -> None:
    if spec.model_dump().get("device") == "cuda" and all(d.name == "cpu" for d in find_devices()):
        raise SpecError(
            "Device (--device): 'cuda' cannot be used, no CUDA device was found; use auto or cpu.", "device"
        )


def _check_subset(dataset: str, data_dir: str, per_class: int, seed: int) -> None:
    catalog.check_available(dataset, data_dir)
    labels = catalog.load(dataset, data_dir).train_labels if per_class else None
    if labels is not None:
        try:
            splits.subset(labels, per_class, seed)
        except ValueError as error:
            raise SpecError(
                f"Real images per class (--images-per-class): {per_class} cannot be used; {error}.", "images_per_class"
            ) from None


def _check_train(spec: TrainSpec, store: RunStore) -> None:
    _check_subset(spec.dataset, spec.data_dir, spec.images_per_class, spec.subset_seed)
    trained.check_train(spec, store)
    if spec.devices > 1 and spec.device != "cpu":
        cuda = [d for d in find_devices() if d.name != "cpu"]
        if cuda and len(cuda) < spec.devices:
            raise SpecError(
                f"Devices (--devices): {spec.devices} cannot be used, this machine has {len(cuda)} CUDA device{'s' if len(cuda) > 1 else ''};"
                f" use {len(cuda)}, or --device cpu.", "devices",
            )  # fmt: skip


def _check_sweep(spec: SweepSpec, store: RunStore) -> None:
    values = spec.values or DEFAULT_VALUES[spec.axis]
    if len(set(values)) != len(values):
        raise SpecError("Values (--values): a value is given twice; every point must differ.", "values")
    if spec.axis != "guidance_weight" and any(not v.is_integer() for v in values):
        raise SpecError(f"Values (--values): {spec.axis} takes whole numbers.", "values")
    for child in plan(spec, store):
        if child.kind == "train":
            _check_train(make(TrainSpec, child.values), store)
        elif child.kind == "synthesize" and not child.values["source"].startswith("@"):
            trained.check_synthesize(make(SynthesizeSpec, child.values), store)


def _check_extractor(extractor: str, weights: str) -> None:
    if extractor == "inception" and not (weights and Path(weights).expanduser().is_file()):
        raise SpecError(
            f"Inception weights (--inception-weights): {weights!r} is not a file; give the file"
            " weights-inception-2015-12-05-6726825d.pth that torch-fidelity and torchmetrics use.", "inception_weights",
        )  # fmt: skip


def _check_classify(spec: ClassifySpec, store: RunStore) -> None:
    _check_subset(spec.dataset, spec.data_dir, spec.images_per_class, spec.subset_seed)
    if (spec.arm == "real") == bool(spec.synthetic):
        what = "needs no synthetic set" if spec.arm == "real" else "needs a synthetic set (--synthetic RUN)"
        raise SpecError(f"Arm (--arm): {spec.arm} {what}.", "synthetic")
    if spec.synthetic:
        source = store.get(spec.synthetic).spec
        generator = store.get(source.source).spec if isinstance(source, SynthesizeSpec) else None
        if isinstance(generator, TrainSpec) and not generator.conditional:
            raise SpecError(
                "Synthetic set (--synthetic): its images have no labels, the generator was trained without classes; choose a set of a"
                " conditional generator.", "synthetic",
            )  # fmt: skip
        if isinstance(generator, TrainSpec) and generator.dataset != spec.dataset:
            raise SpecError(
                f"Synthetic set (--synthetic): it holds {generator.dataset} images; a set of {spec.dataset} is needed.",
                "synthetic",
            )
