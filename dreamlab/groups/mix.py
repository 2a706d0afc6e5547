"""Mix: arms of real and synthetic images for one or several generators, compared with real images alone."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np

from dreamlab.data import catalog, mixing
from dreamlab.groups.plan import Child, Children, Status, generator, pool, train_labels
from dreamlab.spec import MixSpec, SpecError, SynthesizeSpec, TrainSpec, make
from dreamlab.spec.facts import check_sampling
from dreamlab.stats import over_seeds
from dreamlab.stats.verdict import Generator, Treatment, Verdict, judge
from dreamlab.store import Run, RunError, RunStore

OWN = "own"


def plan(spec: MixSpec, store: RunStore) -> list[Child]:
    """Children: `generator:own` where it trains one, `set:<key>`, `arm:real`, `arm:<key>:<arm>`."""
    labels = train_labels(spec.dataset, spec.data_dir)
    per_class = np.bincount(labels[pool(spec.dataset, spec.data_dir, spec.images_per_class, spec.subset_seed)])
    treatments = _treatments(spec)
    needs = _synthetic_needed(treatments, per_class)
    children: list[Child] = []
    for key in keys(spec):
        if key == OWN:
            children.append(Child(f"generator:{OWN}", "train", _train_values(spec)))
        else:
            _check_generator(spec, store, key)
    for key in keys(spec):
        children.append(
            Child(f"set:{key}", "synthesize", {
                "source": f"@generator:{OWN}" if key == OWN else key, "per_class": needs, "guidance_weight": spec.guidance_weight,
                "num_steps": spec.num_steps, "sampler": spec.sampler, "device": spec.device,
            })
        )  # fmt: skip
    children.append(Child("arm:real", "classify", _classify_values(spec, "real")))
    for key in keys(spec):
        for arm in treatments:
            children.append(
                Child(f"arm:{key}:{arm}", "classify", {**_classify_values(spec, arm), "synthetic": f"@set:{key}"})
            )
    return children


def keys(spec: MixSpec) -> list[str]:
    """The generators of a mix: its own one, if any, then the runs it names."""
    own = [OWN] if spec.train_own or not spec.sources else []
    return own + list(dict.fromkeys(spec.sources))


def _treatments(spec: MixSpec) -> list[str]:
    arms = [arm for arm in dict.fromkeys(spec.arms) if arm != "real"]
    if not arms:
        raise SpecError(
            "Arms (--arms): only 'real' is given; name at least one arm with synthetic images to compare it with.",
            "arms",
        )
    return arms


def _synthetic_needed(arms: list[str], per_class: np.ndarray) -> int:
    """Images per class of one set that serves all arms. Raises SpecError where an arm is impossible."""
    try:
        return max(mixing.counts(arm, int(n)).synthetic for arm in arms for n in per_class)
    except ValueError as error:
        raise SpecError(f"Arms (--arms): {error}; use more real images or leave that arm out.", "arms") from None


def _train_values(spec: MixSpec) -> dict[str, Any]:
    return {
        "dataset": spec.dataset, "data_dir": spec.data_dir, "images_per_class": spec.images_per_class,
        "subset_seed": spec.subset_seed, "seconds": spec.train_seconds, "device": spec.device,
    }  # fmt: skip


def _classify_values(spec: MixSpec, arm: str) -> dict[str, Any]:
    names = (
        "dataset", "data_dir", "images_per_class", "subset_seed", "classifier", "seeds", "budget", "steps", "epochs", "device",
    )  # fmt: skip
    return {"arm": arm, **{name: getattr(spec, name) for name in names}}


def _check_generator(spec: MixSpec, store: RunStore, name: str) -> None:
    run, trained = generator(store, name, "sources")
    if trained.dataset != spec.dataset:
        raise SpecError(
            f"Generator (--from): {run.id} was trained on {trained.dataset}; a generator of {spec.dataset} is needed.",
            "sources",
        )
    if not trained.conditional:
        raise SpecError(
            f"Generator (--from): {run.id} was trained without classes, so its images have no labels; choose a conditional one.",
            "sources",
        )
    values = {
        "source": run.id,
        "num_steps": spec.num_steps,
        "guidance_weight": spec.guidance_weight,
        "sampler": spec.sampler,
    }
    check_sampling(make(SynthesizeSpec, values), trained, len(catalog.INFO[spec.dataset].classes))


def leakage(spec: MixSpec, trained: TrainSpec, store: RunStore) -> mixing.Leakage | None:
    """What a generator saw against the real images that the arms may use, from the index sets themselves. A fine-tuned
    one saw what the run it started from saw, too; None where that cannot be counted."""
    saw = []
    while True:
        saw.append(pool(trained.dataset, spec.data_dir, trained.images_per_class, trained.subset_seed))
        if not trained.init_from:
            break
        try:
            source = store.get(trained.init_from).spec
        except RunError:
            return None
        if not isinstance(source, TrainSpec) or source.dataset != trained.dataset:
            return None
        trained = source
    return mixing.leakage(
        np.concatenate(saw), pool(spec.dataset, spec.data_dir, spec.images_per_class, spec.subset_seed)
    )


def report(run: Run, store: RunStore, status: Status | None = None) -> dict[str, Any]:
    """The mix's result so far. Verdict and differences are None until every arm is done."""
    spec = cast(MixSpec, run.spec)
    children = Children(run, store, status)
    info = catalog.INFO[spec.dataset]
    per_class = np.bincount(
        train_labels(spec.dataset, spec.data_dir)[
            pool(spec.dataset, spec.data_dir, spec.images_per_class, spec.subset_seed)
        ]
    )
    generators = [_generator(spec, store, key, children) for key in keys(spec)]
    arms = [_arm(spec, "real", None, per_class, children)]
    arms += [_arm(spec, arm, g, per_class, children) for g in generators for arm in _treatments(spec)]
    answer: dict[str, Any] = {
        "verdict": None, "generators": [{k: v for k, v in g.items() if k != "leakage"} for g in generators], "arms": arms,
        "test_images": info.test, "budget": spec.budget, "steps": spec.steps, "notes": [], "detectable": None, "seeds_needed": None,
        "classes": list(info.classes),
    }  # fmt: skip
    if all(arm["state"] == "done" and len(arm["accuracies"]) == spec.seeds for arm in arms):
        _judge(answer, generators, spec)
    return answer


def _generator(spec: MixSpec, store: RunStore, key: str, children: Children) -> dict[str, Any]:
    """What is known of one generator; its run may be gone, then its spec is read from nowhere and that is said."""
    run_id = children.ids.get(f"generator:{OWN}", "") if key == OWN else key
    seconds, name, leak = None, "trained here" if key == OWN else key, None
    trained: TrainSpec | None = TrainSpec(**_train_values(spec)) if key == OWN else None
    try:
        run = store.get(run_id)
        result = run.result() or {}
        seconds = result.get("seconds")
        name = run.record.name if key != OWN else name
        trained = run.spec if isinstance(run.spec, TrainSpec) else trained
    except RunError:
        name = f"{name} (deleted)" if run_id else name
    if trained is not None:
        leak = leakage(spec, trained, store)
    return {
        "key": key, "run": run_id, "name": name, "saw": leak.generator_saw if leak else None,
        "badge": leak.badge if leak else "it is not known what this generator saw", "seconds": seconds, "verdict": None, "leakage": leak,
    }  # fmt: skip


def _arm(
    spec: MixSpec, arm: str, owner: dict[str, Any] | None, per_class: np.ndarray, children: Children
) -> dict[str, Any]:
    role = f"arm:{owner['key']}:{arm}" if owner else "arm:real"
    counts = [mixing.counts(arm, int(n)) for n in per_class]
    real, synthetic = sum(c.real for c in counts), sum(c.synthetic for c in counts)
    status, result = children.status(role), children.result(role)
    if result is not None:
        seeds, accuracies, macro = result["seeds"], result["accuracies"], result["macro_f1"]
    else:
        by_seed = {m["step"]: m for m in status.metrics if "accuracy" in m and "macro_f1" in m} if status else {}
        seeds = sorted(by_seed)
        accuracies, macro = [by_seed[s]["accuracy"] for s in seeds], [by_seed[s]["macro_f1"] for s in seeds]
    leak = owner["leakage"] if owner else None
    return {
        "arm": arm, "label": mixing.label(arm), "generator": owner["key"] if owner else "", "run": children.ids.get(role, ""),
        "state": status.state if status else "missing", "error": status.error if status else "",
        "real": real, "synthetic": synthetic, "synthetic_fraction": synthetic / (real + synthetic), "seeds": seeds,
        "accuracies": accuracies, "macro_f1": macro, "interval": over_seeds(accuracies, catalog.INFO[spec.dataset].test),
        "macro_f1_interval": over_seeds(macro, catalog.INFO[spec.dataset].test), "per_class": result["per_class"] if result else [],
        "steps": result["steps"] if result else None, "difference": None,
        "leakage": {"generator_saw": leak.generator_saw, "arm_real": leak.arm_real, "extra": leak.extra, "badge": leak.badge} if leak else None,
    }  # fmt: skip


def _judge(answer: dict[str, Any], generators: list[dict[str, Any]], spec: MixSpec) -> None:
    """Fills verdicts, differences, notes and power into a complete report."""
    control, *arms = answer["arms"]
    gone = [g["name"] for g in generators if g["leakage"] is None]
    if gone:
        answer["notes"] = [
            f"No verdict: what {', '.join(gone)} saw cannot be told, its settings or those of the run it started from are gone or are"
            " about other data."
        ]
        return
    facts = [
        Generator(g["key"], g["name"], g["leakage"].generator_saw, g["leakage"].extra, g["leakage"].arm_real)
        for g in generators
    ]
    treatments = [Treatment(a["generator"], a["arm"], a["real"], a["synthetic"], a["accuracies"]) for a in arms]
    noun = "images" if spec.dataset == "cifar10" else "digits"
    found = judge(treatments, control["accuracies"], facts, test_images=answer["test_images"], noun=noun)
    for arm, difference in zip(arms, found.differences, strict=True):
        arm["difference"] = dataclasses.asdict(difference)
    for g in answer["generators"]:
        g["verdict"] = _plain(found.by_generator[g["key"]])
    answer["verdict"] = _plain(found.overall)
    answer["detectable"], answer["seeds_needed"] = round(found.detectable, 3), found.seeds_needed
    answer["notes"] = [*found.notes, _budget(spec)]


def _plain(verdict: Verdict) -> dict[str, Any]:
    return dataclasses.asdict(verdict)


def _budget(spec: MixSpec) -> str:
    if spec.budget == "steps":
        return f"Every classifier took the same {spec.steps:,} optimiser steps."
    return f"Every classifier took {spec.epochs:,} epochs: larger arms trained longer, which may be what a gain comes from."
