"""The verdict of a mix, computed when all of its runs are done."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np

from dreamlab.data import catalog, mixing
from dreamlab.data.selection import real_data, selected
from dreamlab.experiments.children import Children
from dreamlab.experiments.mix.plan import ARM, MixArm, set_role
from dreamlab.experiments.mix.quality import say_first
from dreamlab.experiments.predictions import predictions
from dreamlab.experiments.provenance import Origin
from dreamlab.settings import MixSpec
from dreamlab.stats import components
from dreamlab.stats.best import best_mix
from dreamlab.stats.enough import no_difference, no_verdict, too_few, too_few_text
from dreamlab.stats.exchange import SurfacePoint, exchange_rate
from dreamlab.stats.findings import GeneratorRecord, Judgement, Treatment
from dreamlab.stats.verdict import judge

Values = dict[str, Any]


def judge_mix(
    answer: Values,
    listed: list[MixArm],
    origins: dict[str, Origin],
    spec: MixSpec,
    children: Children,
) -> None:
    """Adds verdicts, differences, best mix, exchange rate, cost and notes to the report `answer`,
    in place. Adds only a note if the training images of a generator are not known or predictions
    cannot be read."""
    lost = [
        o.name for o in origins.values() if not o.foreign and o.leakage(real_data(spec)) is None
    ]
    found = {cell.role: _predicted(cell, children, spec.seeds) for cell in listed}
    if lost or any(p is None for p in found.values()):
        answer["notes"] = [
            (
                f"No verdict: the training images of {', '.join(lost)} are not known. The run, or"
                " the one it was fine-tuned from, was deleted or uses other data."
                if lost
                else (
                    "No verdict: the predictions of an arm cannot be read; resume this run to"
                    " compute them again."
                )
            )
        ]
        return
    data = catalog.load(spec.dataset, spec.data_dir)
    by_role = cast(dict[str, np.ndarray], found)
    rows = list(zip(listed, answer["arms"], strict=True))
    treated = [(c, a) for c, a in rows if a["role"] == "treatment"]
    others = [(c, a) for c, a in rows if a["role"] == "control"]
    if few := too_few(spec.seeds, len(data.test_labels)):
        answer["verdict"] = no_verdict(too_few_text(spec.seeds, len(data.test_labels)))
        answer["notes"] = [_budget(spec)]
        for _, arm in [*treated, *others]:
            arm["difference"] = no_difference(few)
        return
    minutes = {(a["generator"], a["arm"]): _minutes(c, a, origins, children) for c, a in treated}
    judged = judge(
        [_treatment(c, a, by_role) for c, a in treated],
        by_role[listed[0].role],
        [_generator_record(o, spec) for o in origins.values()],
        labels=data.test_labels,
        class_names=data.info.classes,
        noun=data.info.noun,
        controls=[_treatment(c, a, by_role) for c, a in others],
        cost={k: v for k, v in minutes.items() if v is not None} or None,
    )
    for (_, arm), difference in zip(
        [*treated, *others], [*judged.differences, *judged.controls], strict=True
    ):
        arm["difference"] = dataclasses.asdict(difference)
    for g in answer["generators"]:
        g["verdict"] = dataclasses.asdict(judged.by_generator[g["key"]])
    _summary(answer, judged, spec)
    say_first(answer)
    right = {role: components.correct(p, data.test_labels) for role, p in by_role.items()}
    answer["best"] = _best(rows, right, judged)
    answer["exchange"] = _exchange(answer, judged.overall.generator)


def _predicted(cell: MixArm, children: Children, seeds: int) -> np.ndarray | None:
    return predictions(children.store.folder / children.ids.get(cell.role, ""), seeds)


def _treatment(cell: MixArm, arm: Values, predicted: dict[str, np.ndarray]) -> Treatment:
    parsed = mixing.parse(cell.arm)
    return Treatment(
        generator=cell.key,
        arm=cell.arm,
        form=parsed.form,
        real=arm["real"],
        synthetic=arm["synthetic"],
        predicted=predicted[cell.role],
        other=arm["other"],
        label=arm["label"],
        classes=parsed.classes,
    )


def _generator_record(o: Origin, spec: MixSpec) -> GeneratorRecord:
    data = real_data(spec)
    leak = o.leakage(data)
    return GeneratorRecord(
        key=o.key,
        name=o.name,
        saw=leak.generator_saw if leak else None,
        extra=leak.extra if leak else 0,
        pool=len(selected(data).pool),
        per_arm=o.key == ARM,
        other=leak.other if leak else 0,
    )


def _minutes(
    cell: MixArm, arm: Values, origins: dict[str, Origin], children: Children
) -> float | None:
    """Cost of one arm in minutes: training the generator (if its time is known), sampling, and the
    classifiers."""
    made = children.result(set_role(cell))
    trained = children.result(set_role(cell).replace("set", "generator", 1))
    seconds = [
        trained["seconds"] if trained else origins[cell.key].seconds,
        made["seconds"] if made else None,
        arm["seconds"],
    ]
    return (
        sum(s for s in seconds if s is not None) / 60
        if any(s is not None for s in seconds)
        else None
    )


def _summary(answer: Values, judged: Judgement, spec: MixSpec) -> None:
    answer["verdict"] = dataclasses.asdict(judged.overall)
    answer["detectable"] = round(judged.detectable, 3)
    answer["seeds_needed"], answer["images_needed"] = judged.seeds_needed, judged.images_needed
    answer["extra_data"] = [dataclasses.asdict(x) for x in judged.extra_data]
    answer["notes"] = [*judged.notes, _budget(spec)]
    if (minutes := judged.overall.minutes) is not None:
        text = (
            f"{minutes:.1f} minutes of computing for the arm of the verdict: generator, images and"
            " classifiers."
        )
        answer["cost"] = {"minutes": minutes, "text": text}


def _best(
    rows: list[tuple[MixArm, Values]], right: dict[str, np.ndarray], judged: Judgement
) -> Values | None:
    """The best of the arm `real` and the mixes of the generator that the verdict is about."""
    key = judged.overall.generator
    mine = [(c, a) for c, a in rows if a["role"] != "control" and c.key in ("", key)]
    labels = {c.arm: a["label"] for c, a in mine}
    found = best_mix(
        {c.arm: right[c.role] for c, _ in mine},
        {c.arm: a["synthetic_fraction"] for c, a in mine},
        labels,
    )
    return {"label": labels[found.arm], **dataclasses.asdict(found)} if found else None


def _exchange(answer: Values, key: str) -> Values | None:
    """The exchange rate for one generator, from its arms at several numbers of real images; None
    without such arms."""
    if not answer["surface"]:
        return None
    used = [
        SurfacePoint(a["real"], a["synthetic"], a["accuracies"])
        for a in (*answer["arms"], *answer["surface"])
        if a["generator"] in ("", key) and mixing.parse(a["arm"]).form in ("real", "add")
    ]
    found = exchange_rate(used, answer["test_images"])
    return dataclasses.asdict(found) if found else None


def _budget(spec: MixSpec) -> str:
    if spec.budget == "steps":
        return f"Every classifier took the same {spec.steps:,} optimiser steps."
    return (
        f"Every classifier took {spec.epochs:,} epochs: larger arms trained longer, which may be"
        " the cause of a gain."
    )
