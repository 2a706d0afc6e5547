"""Mix: what its children say together, while they run and when they are done."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np

from dreamlab.data import catalog, mixing
from dreamlab.groups.mix import ARM, Cell, cells, keys, set_role, surface
from dreamlab.groups.plan import Children, Status, available, real_data, roles
from dreamlab.groups.predictions import predictions
from dreamlab.groups.provenance import Origin, origin
from dreamlab.spec import MixSpec
from dreamlab.stats import components
from dreamlab.stats.best import best_mix
from dreamlab.stats.exchange import Cell as AmountCell
from dreamlab.stats.exchange import exchange_rate
from dreamlab.stats.findings import Generator, Judgement, Treatment
from dreamlab.stats.verdict import judge
from dreamlab.store import Run, RunStore

Values = dict[str, Any]


def report(run: Run, store: RunStore, status: Status | None = None) -> Values:
    """The mix's result so far. Verdict and differences are None until every arm is done."""
    spec = cast(MixSpec, run.spec)
    children = Children(run, store, status)
    info = catalog.info(spec.dataset)
    origins = {key: origin(spec, key, store, children) for key in keys(spec)}
    listed = cells(spec)
    arms = [_arm(spec, cell, origins, children, info.classes) for cell in listed]
    answer: Values = {
        "verdict": None, "generators": [_generator(o, spec) for o in origins.values()], "arms": arms, "test_images": info.test,
        "budget": spec.budget, "steps": spec.steps, "notes": [], "detectable": None, "seeds_needed": None, "images_needed": None,
        "classes": list(info.classes), "histogram": _histogram(arms), "best": None, "extra_data": [], "exchange": None, "cost": None,
        "surface": [_surface_cell(spec, cell, children, info.classes) for cell in surface(spec)],
    }  # fmt: skip
    done = [c["state"] == "done" and len(c["accuracies"]) == spec.seeds for c in (*arms, *answer["surface"])]
    if all(done):
        _judge(answer, listed, origins, spec, children)
    return answer


def _generator(o: Origin, spec: MixSpec) -> Values:
    leak = o.leakage(real_data(spec))
    return {
        "key": o.key, "run": o.run, "name": o.name, "saw": leak.generator_saw if leak else None,
        "badge": leak.badge if leak else o.why, "seconds": o.seconds, "verdict": None,
    }  # fmt: skip


def _counts(spec: MixSpec, cell: Cell) -> list[mixing.Counts]:
    return mixing.counts(cell.taught, available(real_data(spec, **cell.data)))


def _measured(cell: Cell, children: Children) -> Values:
    """What is known of a classifier run: its result, or what it has said so far."""
    status, result = children.status(cell.role), children.result(cell.role)
    if result is not None:
        found = {
            k: result.get(k) for k in ("seeds", "accuracies", "macro_f1", "per_class", "steps", "confusion", "top5")
        }
        found |= {"interval": result["interval"], "macro_f1_interval": result["macro_f1_interval"]}
        found["seconds"] = result.get("train_seconds", result["seconds"])
    else:
        by_seed = {m["step"]: m for m in status.metrics if "accuracy" in m and "macro_f1" in m} if status else {}
        seeds = sorted(by_seed)
        found = {"seeds": seeds, "per_class": [], "steps": None, "confusion": None, "top5": None, "seconds": None}
        for name, metric, interval in (
            ("accuracies", "accuracy", "interval"),
            ("macro_f1", "macro_f1", "macro_f1_interval"),
        ):
            values = [by_seed[seed][metric] for seed in seeds]
            found[name] = values
            found[interval] = {"mean": float(np.mean(values)), "low": None, "high": None} if values else None
    return {
        "run": children.ids.get(cell.role, ""), "state": status.state if status else "missing", "error": status.error if status else "",
        **found,
    }  # fmt: skip


def _arm(spec: MixSpec, cell: Cell, origins: dict[str, Origin], children: Children, names: tuple[str, ...]) -> Values:
    counts = _counts(spec, cell)
    real, synthetic, other = (sum(getattr(c, kind) for c in counts) for kind in ("real", "synthetic", "other"))
    leak = origins[cell.key].leakage(real_data(spec, **cell.data)) if cell.key else None
    return {
        "arm": cell.arm, "label": mixing.label(cell.arm, names), "generator": cell.key,
        "role": "reference" if cell.arm == "real" else "treatment" if cell.treatment else "control",
        "real": real, "synthetic": synthetic, "other": other, "synthetic_fraction": synthetic / (real + synthetic + other),
        "counts_per_class": {kind: [getattr(c, kind) for c in counts] for kind in ("real", "synthetic", "other")},
        "difference": None, "leakage": {**dataclasses.asdict(leak), "badge": leak.badge} if leak else None,
        **_measured(cell, children),
    }  # fmt: skip


def _surface_cell(spec: MixSpec, cell: Cell, children: Children, names: tuple[str, ...]) -> Values:
    counts = _counts(spec, cell)
    kept = ("run", "state", "error", "accuracies", "interval")
    measured = _measured(cell, children)
    return {
        "size": cell.data["images_per_class"], "arm": cell.arm, "label": mixing.label(cell.arm, names), "generator": cell.key,
        "real": sum(c.real for c in counts), "synthetic": sum(c.synthetic for c in counts), **{k: measured[k] for k in kept},
    }  # fmt: skip


def _histogram(arms: list[Values]) -> Values:
    """Images per class before any mixing and in every arm."""
    after = {f"{a['generator']}:{a['arm']}" if a["generator"] else a["arm"]: a["counts_per_class"] for a in arms}
    return {"before": arms[0]["counts_per_class"]["real"], "after": after}


# ---- the judgement of a complete mix


def _judge(answer: Values, listed: list[Cell], origins: dict[str, Origin], spec: MixSpec, children: Children) -> None:
    """Fills verdicts, differences, best mix, exchange rate, cost and notes into a complete report."""
    lost = [o.name for o in origins.values() if not o.foreign and o.leakage(real_data(spec)) is None]
    found = {cell.role: _predicted(cell, children, spec.seeds) for cell in listed}
    if lost or any(p is None for p in found.values()):
        answer["notes"] = [
            f"No verdict: what {', '.join(lost)} saw cannot be told, its settings or those of the run it started from are gone or"
            " are about other data."
            if lost else "No verdict: the predictions of an arm cannot be read; resume this run, and they are computed again."
        ]  # fmt: skip
        return
    data = catalog.load(spec.dataset, spec.data_dir)
    by_role = cast(dict[str, np.ndarray], found)
    rows = list(zip(listed, answer["arms"], strict=True))
    treated = [(c, a) for c, a in rows if a["role"] == "treatment"]
    others = [(c, a) for c, a in rows if a["role"] == "control"]
    minutes = {(a["generator"], a["arm"]): _minutes(c, a, origins, children) for c, a in treated}
    judged = judge(
        [_treatment(c, a, by_role) for c, a in treated], by_role[listed[0].role], [_facts(o, spec) for o in origins.values()],
        labels=data.test_labels, class_names=data.info.classes, noun=data.info.noun,
        controls=[_treatment(c, a, by_role) for c, a in others], cost={k: v for k, v in minutes.items() if v is not None} or None,
    )  # fmt: skip
    for (_, arm), difference in zip([*treated, *others], [*judged.differences, *judged.controls], strict=True):
        arm["difference"] = dataclasses.asdict(difference)
    for g in answer["generators"]:
        g["verdict"] = dataclasses.asdict(judged.by_generator[g["key"]])
    _summary(answer, judged, spec)
    right = {role: components.correct(p, data.test_labels) for role, p in by_role.items()}
    answer["best"] = _best(rows, right, judged)
    answer["exchange"] = _exchange(answer, judged.overall.generator)


def _predicted(cell: Cell, children: Children, seeds: int) -> np.ndarray | None:
    return predictions(children.store.folder / children.ids.get(cell.role, ""), seeds)


def _treatment(cell: Cell, arm: Values, predicted: dict[str, np.ndarray]) -> Treatment:
    parsed = mixing.parse(cell.arm)
    return Treatment(
        generator=cell.key, arm=cell.arm, form=parsed.form, real=arm["real"], synthetic=arm["synthetic"],
        predicted=predicted[cell.role], other=arm["other"], label=arm["label"], classes=parsed.classes,
    )  # fmt: skip


def _facts(o: Origin, spec: MixSpec) -> Generator:
    data = real_data(spec)
    leak = o.leakage(data)
    return Generator(
        key=o.key, name=o.name, saw=leak.generator_saw if leak else None, extra=leak.extra if leak else 0,
        pool=len(roles(data).pool), per_arm=o.key == ARM,
    )  # fmt: skip


def _minutes(cell: Cell, arm: Values, origins: dict[str, Origin], children: Children) -> float | None:
    """Training of the generator (where that is known), sampling, and the classifiers of one arm."""
    made = children.result(set_role(cell))
    trained = children.result(set_role(cell).replace("set", "generator", 1))
    seconds = [
        trained["seconds"] if trained else origins[cell.key].seconds,
        made["seconds"] if made else None,
        arm["seconds"],
    ]
    return sum(s for s in seconds if s is not None) / 60 if any(s is not None for s in seconds) else None


def _summary(answer: Values, judged: Judgement, spec: MixSpec) -> None:
    answer["verdict"] = dataclasses.asdict(judged.overall)
    answer["detectable"] = round(judged.detectable, 3)
    answer["seeds_needed"], answer["images_needed"] = judged.seeds_needed, judged.images_needed
    answer["extra_data"] = [dataclasses.asdict(x) for x in judged.extra_data]
    answer["notes"] = [*judged.notes, _budget(spec)]
    if (minutes := judged.overall.minutes) is not None:
        text = f"{minutes:.1f} minutes of computing for the arm of the verdict: generator, images and classifiers."
        answer["cost"] = {"minutes": minutes, "text": text}


def _best(rows: list[tuple[Cell, Values]], right: dict[str, np.ndarray], judged: Judgement) -> Values | None:
    """Where the best mix lies, among real only and the mixes of the generator that the verdict speaks of."""
    key = judged.overall.generator
    mine = [(c, a) for c, a in rows if a["role"] != "control" and c.key in ("", key)]
    labels = {c.arm: a["label"] for c, a in mine}
    found = best_mix({c.arm: right[c.role] for c, _ in mine}, {c.arm: a["synthetic_fraction"] for c, a in mine}, labels)
    return {"label": labels[found.arm], **dataclasses.asdict(found)} if found else None


def _exchange(answer: Values, key: str) -> Values | None:
    """What a synthetic image is worth, from the surface of real sizes and amounts of one generator."""
    if not answer["surface"]:
        return None
    used = [
        AmountCell(a["real"], a["synthetic"], a["accuracies"])
        for a in (*answer["arms"], *answer["surface"])
        if a["generator"] in ("", key) and mixing.parse(a["arm"]).form in ("real", "add")
    ]
    found = exchange_rate(used, answer["test_images"])
    return dataclasses.asdict(found) if found else None


def _budget(spec: MixSpec) -> str:
    if spec.budget == "steps":
        return f"Every classifier took the same {spec.steps:,} optimiser steps."
    return f"Every classifier took {spec.epochs:,} epochs: larger arms trained longer, which may be what a gain comes from."
