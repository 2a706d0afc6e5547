"""The report of a mix, both during its runs and after them."""

from __future__ import annotations

import dataclasses
from typing import cast

import numpy as np

from dreamlab.data import catalog, mixing
from dreamlab.data.selection import arm_counts, real_data, real_part
from dreamlab.experiments.children import Children, Status
from dreamlab.experiments.identity import images_read
from dreamlab.experiments.mix.judge import Values, judge_mix
from dreamlab.experiments.mix.plan import MixArm, cells, keys, set_role, surface
from dreamlab.experiments.mix.quality import generator_values
from dreamlab.experiments.provenance import Origin, origin
from dreamlab.settings import MixSpec
from dreamlab.store import Run, RunStore


def report(run: Run, store: RunStore, status: Status | None = None) -> Values:
    """The result of a mix so far, with the keys of its result.json. Verdict and differences are
    None until all arms are done."""
    spec = cast(MixSpec, run.spec)
    children = Children(run, store, status)
    info = catalog.info(spec.dataset)
    images = images_read(run, spec.dataset)
    origins = {key: origin(spec, key, images, store, children) for key in keys(spec)}
    listed = cells(spec)
    arms = [_arm(spec, cell, origins, children, info.classes) for cell in listed]
    answer: Values = {
        "verdict": None,
        "generators": [
            _generator(o, spec) | generator_values(spec, o.key, run, store, children)
            for o in origins.values()
        ],
        "arms": arms,
        "test_images": info.test,
        "budget": spec.budget,
        "steps": spec.steps,
        "notes": [],
        "detectable": None,
        "seeds_needed": None,
        "seeds_low": None,
        "seeds_high": None,
        "images_needed": None,
        "classes": list(info.classes),
        "histogram": _histogram(arms),
        "best": None,
        "extra_data": [],
        "exchange": None,
        "cost": None,
        "surface": [_surface_cell(spec, cell, children, info.classes) for cell in surface(spec)],
    }
    done = [
        c["state"] == "done" and len(c["accuracies"]) == spec.seeds
        for c in (*arms, *answer["surface"])
    ]
    if all(done):
        judge_mix(answer, listed, origins, spec, children)
        answer["notes"] += _left_out([*listed, *surface(spec)], children)
    return answer


def _left_out(listed: list[MixArm], children: Children) -> list[str]:
    """What was left out of each synthetic set as near-copies, a sentence each."""
    found = [(children.result(cell.role) or {}).get("left_out") for cell in listed]
    by_set = {f["run"]: f for f in found if f}
    return [
        f"Left out as near-copies of training images: {len(f['images']):,} of the {f['of']:,}"
        f" images of {run}."
        for run, f in by_set.items()
    ]


def _generator(o: Origin, spec: MixSpec) -> Values:
    leak = o.leakage(real_data(spec))
    return {
        "key": o.key,
        "run": o.run,
        "name": o.name,
        "saw": leak.generator_saw if leak else None,
        "badge": o.badge(real_data(spec)),
        "seconds": o.seconds,
        "foreign": o.foreign,
        "verdict": None,
    }


def _counts(spec: MixSpec, cell: MixArm, children: Children) -> list[mixing.Counts]:
    """Number of images of each class: those of the result, or those that are planned."""
    held = (children.result(cell.role) or {}).get("counts_per_class")
    if held:
        return [
            mixing.Counts(*n)
            for n in zip(*(held[sort] for sort in ("real", "synthetic", "other")), strict=True)
        ]
    return arm_counts(cell.arm, real_part(spec, **cell.data))


def _measured(cell: MixArm, children: Children) -> Values:
    """The result of a classifier run, or the metrics of its finished seeds."""
    status, result = children.status(cell.role), children.result(cell.role)
    if result is not None:
        found = {
            k: result.get(k)
            for k in ("seeds", "accuracies", "macro_f1", "per_class", "steps", "confusion", "top5")
        }
        found |= {"interval": result["interval"], "macro_f1_interval": result["macro_f1_interval"]}
        found["seconds"] = result.get("train_seconds", result["seconds"])
    else:
        by_seed = (
            {m["step"]: m for m in status.metrics if "accuracy" in m and "macro_f1" in m}
            if status
            else {}
        )
        seeds = sorted(by_seed)
        found = {
            "seeds": seeds,
            "per_class": [],
            "steps": None,
            "confusion": None,
            "top5": None,
            "seconds": None,
        }
        for name, metric, interval in (
            ("accuracies", "accuracy", "interval"),
            ("macro_f1", "macro_f1", "macro_f1_interval"),
        ):
            values = [by_seed[seed][metric] for seed in seeds]
            found[name] = values
            found[interval] = (
                {"mean": float(np.mean(values)), "low": None, "high": None} if values else None
            )
    return {
        "run": children.ids.get(cell.role, ""),
        "state": status.state if status else "missing",
        "error": status.error if status else "",
        **found,
    }


def _arm(
    spec: MixSpec,
    cell: MixArm,
    origins: dict[str, Origin],
    children: Children,
    names: tuple[str, ...],
) -> Values:
    counts = _counts(spec, cell, children)
    real, synthetic, other = (
        sum(getattr(c, kind) for c in counts) for kind in ("real", "synthetic", "other")
    )
    data = real_part(spec, **cell.data)
    leak = origins[cell.key].leakage(data) if cell.key else None
    return {
        "arm": cell.arm,
        "label": mixing.label(cell.arm, names),
        "generator": cell.key,
        "role": "reference" if cell.arm == "real" else "treatment" if cell.treatment else "control",
        "real": real,
        "synthetic": synthetic,
        "other": other,
        "synthetic_fraction": synthetic / (real + synthetic + other),
        "counts_per_class": {
            kind: [getattr(c, kind) for c in counts] for kind in ("real", "synthetic", "other")
        },
        "difference": None,
        "leakage": {
            **dataclasses.asdict(leak),
            "badge": origins[cell.key].badge(data, set_role(cell)),
        }
        if leak
        else None,
        **_measured(cell, children),
    }


def _surface_cell(
    spec: MixSpec, cell: MixArm, children: Children, names: tuple[str, ...]
) -> Values:
    counts = _counts(spec, cell, children)
    kept = ("run", "state", "error", "accuracies", "interval")
    measured = _measured(cell, children)
    return {
        "size": cell.data["images_per_class"],
        "arm": cell.arm,
        "label": mixing.label(cell.arm, names),
        "generator": cell.key,
        "real": sum(c.real for c in counts),
        "synthetic": sum(c.synthetic for c in counts),
        **{k: measured[k] for k in kept},
    }


def _histogram(arms: list[Values]) -> Values:
    """Images per class in the real selection (`before`) and in each arm (`after`)."""
    after = {
        f"{a['generator']}:{a['arm']}" if a["generator"] else a["arm"]: a["counts_per_class"]
        for a in arms
    }
    return {"before": arms[0]["counts_per_class"]["real"], "after": after}
