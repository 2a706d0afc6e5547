"""Plans of mixes and their reports while the children run: from hand-made run directories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.checks import Known, check
from dreamlab.data import catalog
from dreamlab.data.selection import arm_counts
from dreamlab.experiments import Child, plan, report
from dreamlab.service.home import TRAIN_STEPS, home_mix
from dreamlab.service.tables import as_csv, as_latex
from dreamlab.settings import KINDS, ClassifySpec, MixSpec, SpecError, TrainSpec, make
from dreamlab.store import EventWriter, Run, RunError, RunStatus, RunStore
from dreamlab.tasks.context import TaskError
from dreamlab.tasks.experiment import mix as mix_task
from dreamlab.ui.parts.numbers import points
from tests.evidence_helpers import (
    context,
    finish,
    finish_classifier,
    new_group,
    new_run,
    new_set,
    new_store,
)

ARMS = ("real", "50/50", "synthetic", "real+1x", "real+3x")
BARE: dict[str, Any] = {"images_per_class": 10, "controls": (), "steps": 200}
CONTROL = [0.90, 0.894, 0.903, 0.899, 0.897]
SHIFT = {
    "real": 0.0,
    "50/50": -0.03,
    "synthetic": -0.09,
    "real+1x": 0.0,
    "real+3x": 0.03,
    "augmented": 0.01,
    "duplicated+3x": 0.0,
    "noise+3x": -0.05,
}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return catalog.load("mnist5k").test_labels


def of_role(spec: MixSpec, store: RunStore) -> dict[str, Child]:
    children = plan(spec, store)
    seen: set[str] = set()
    for child in children:  # siblings come before those that need them, and every spec is valid
        needed = {v[1:] for v in child.values.values() if isinstance(v, str) and v.startswith("@")}
        assert needed <= seen
        seen.add(child.role)
        make(
            KINDS[child.kind],
            {k: v.lstrip("@") if isinstance(v, str) else v for k, v in child.values.items()},
        )
    assert len(seen) == len(children)
    return {c.role: c for c in children}


def accuracies(arm: str, bonus: float) -> list[float]:
    return [c + SHIFT[arm] + (bonus if arm == "real+3x" else 0.0) for c in CONTROL]


def finish_arms(children: dict[str, Run], labels: np.ndarray, own_bonus: float = 0.0) -> None:
    for role, run in children.items():
        if role.startswith(("arm:", "control:")):
            finish_classifier(
                run, labels, accuracies(role.split(":")[-1], own_bonus if ":own:" in role else 0.0)
            )


def test_the_card_shares_its_control_and_sizes_its_sets(store: RunStore) -> None:
    source = new_run(store, "train", {})
    by_role = of_role(
        make(MixSpec, {**BARE, "sources": (source.id,), "train_own": True, "arms": ARMS}), store
    )
    assert len(by_role) == 1 + 2 + 1 + 2 * 4
    own = make(TrainSpec, by_role["generator:own"].values)
    assert (own.images_per_class, own.subset_seed, own.steps) == (10, 0, 2000)
    assert by_role["set:own"].values["source"] == "@generator:own"
    assert by_role[f"set:{source.id}"].values["source"] == source.id
    assert (
        by_role["set:own"].values["per_class"] == 30
        and by_role["set:own"].values["guidance_weight"] == 0.5
    )
    arm = make(ClassifySpec, by_role[f"arm:{source.id}:real+3x"].values)
    assert (arm.synthetic, arm.steps, arm.seeds, arm.images_per_class) == (
        f"@set:{source.id}",
        200,
        5,
        10,
    )
    assert "synthetic" not in by_role["arm:real"].values


def test_a_mix_from_before_budgets_in_steps_still_trains_for_its_time(store: RunStore) -> None:
    spec = make(MixSpec, {**BARE, "train_own": True, "train_seconds": 20})
    run = new_run(store, "mix", spec.model_dump(mode="json"))
    text = (run.path / "spec.json").read_text()
    assert '"train_steps": 0,' in text
    (run.path / "spec.json").write_text(text.replace('"train_steps": 0,', ""))
    old = RunStore(store.folder).get(run.id).spec
    assert old == spec and old.content_hash() == spec.content_hash()
    own = make(TrainSpec, of_role(old, store)["generator:own"].values)
    assert own == make(TrainSpec, {"images_per_class": 10, "steps": 0, "seconds": 20})


def test_the_card_of_the_home_page_trains_by_steps_and_has_its_controls(store: RunStore) -> None:
    by_role = of_role(home_mix([]), store)
    own = make(TrainSpec, by_role["generator:own"].values)
    assert (own.steps, own.epochs) == (TRAIN_STEPS, 0)
    assert {"control:duplicated+3x", "control:augmented"} <= set(by_role)


def test_controls_are_on_by_default_and_join_the_arms(store: RunStore) -> None:
    by_role = of_role(make(MixSpec, {"images_per_class": 10, "arms": ("50/50", "real+3x")}), store)
    assert list(by_role) == [
        "generator:own",
        "set:own",
        "arm:real",
        "control:duplicated+3x",
        "control:augmented",
        "control:noise+3x",
        "arm:own:50/50",
        "arm:own:real+3x",
        "arm:own:synthetic",
    ]
    assert by_role["set:own"].values["per_class"] == 30
    augmenting = of_role(make(MixSpec, {"images_per_class": 10, "augment": True}), store)
    assert "control:augmented" not in augmenting  # every arm is augmented already
    named = of_role(make(MixSpec, {**BARE, "arms": ("real+1x", "noise+2x")}), store)
    assert "control:noise+2x" in named and "arm:own:noise+2x" not in named


def test_a_generator_per_arm_sees_that_arm_alone(store: RunStore) -> None:
    by_role = of_role(
        make(MixSpec, {**BARE, "train_arm": True, "arms": ("90/10", "50/50", "real+1x")}), store
    )
    assert make(TrainSpec, by_role["generator:arm:90/10"].values).replaced == 0.1
    assert by_role["set:arm:50/50"].values["per_class"] == 5
    half = make(ClassifySpec, by_role["arm:arm:50/50"].values)
    assert (half.replaced, half.arm, half.synthetic) == (0.5, "50/50", "@set:arm:50/50")
    tail = {**BARE, "train_arm": True, "images_per_class": 37, "long_tail": 0.1, "share": 0.9}
    by_arm = of_role(make(MixSpec, {**tail, "train_own": True, "arms": ("50/50", "1/99")}), store)
    for arm in ("50/50", "1/99"):
        one, other = (
            make(ClassifySpec, by_arm[f"arm:{key}:{arm}"].values) for key in ("arm", "own")
        )
        assert arm_counts(one.arm, one) == arm_counts(other.arm, other)
    assert (
        "arm:arm:real+1x" not in by_role
        and by_role["arm:own:real+1x"].values["synthetic"] == "@set:own"
    )
    with pytest.raises(SpecError, match="no arm replaces") as refused:
        plan(make(MixSpec, {**BARE, "train_arm": True, "arms": ("real+1x", "real+2x")}), store)
    assert refused.value.field == "train_arm"


def test_a_generator_on_all_images_ignores_the_selection_but_not_the_validation(
    store: RunStore,
) -> None:
    spec = make(
        MixSpec,
        {
            **BARE,
            "train_all": True,
            "long_tail": 0.5,
            "validation": 0.1,
            "arms": ("real+1x", "real+100@8+9"),
        },
    )
    by_role = of_role(spec, store)
    trained = make(TrainSpec, by_role["generator:all"].values)
    assert (trained.images_per_class, trained.long_tail, trained.validation, trained.share) == (
        0,
        0.0,
        0.1,
        1.0,
    )
    assert by_role["set:all"].values["per_class"] == 100
    only = of_role(make(MixSpec, {**BARE, "arms": ("real+100@8+9", "real+50@9")}), store)
    assert only["set:own"].values["classes"] == (8, 9)


def test_real_sizes_add_a_surface(store: RunStore) -> None:
    by_role = of_role(
        make(MixSpec, {**BARE, "real_sizes": (5, 10, 20), "arms": ("50/50", "real+1x", "real+3x")}),
        store,
    )
    assert [r for r in by_role if r.startswith("surface")] == [
        f"surface:{n}:{rest}" for n in (5, 20) for rest in ("real", "own:real+1x", "own:real+3x")
    ]
    assert by_role["set:own"].values["per_class"] == 60  # three times the largest size
    with pytest.raises(SpecError, match="exchange rate"):
        plan(make(MixSpec, {**BARE, "real_sizes": (5,), "arms": ("50/50", "90/10")}), store)


def test_a_set_is_taken_as_it_is(store: RunStore, labels: np.ndarray) -> None:
    source = new_run(store, "train", {})
    images = np.zeros((200, 28, 28, 1), np.uint8)
    made = new_set(store, source, images, np.arange(200) % 10)
    by_role = of_role(
        make(MixSpec, {**BARE, "sets": (made.id,), "arms": ("real+1x", "50/50")}), store
    )
    assert by_role[f"arm:{made.id}:real+1x"].values["synthetic"] == made.id and "set" not in by_role
    with pytest.raises(
        SpecError, match=r"has 20 images of class 0 \(0\), but 30 are needed"
    ) as refused:
        check(
            make(MixSpec, {**BARE, "sets": (made.id,), "arms": ("real+3x", "50/50")}), Known(store)
        )
    assert refused.value.field == "sets"
    other = new_run(store, "train", {"dataset": "digits"})
    with pytest.raises(SpecError, match="holds digits images; a set of mnist5k is needed"):
        made = new_set(store, other, images, np.arange(200) % 10)
        check(make(MixSpec, {**BARE, "sets": (made.id,)}), Known(store))


@pytest.mark.parametrize(
    ("train", "values", "field", "words"),
    [
        (
            {"dataset": "digits"},
            {},
            "sources",
            "was trained on digits; a generator of mnist5k is needed",
        ),
        (
            {},
            {"images_per_class": 1, "arms": ("real", "50/50")},
            "arms",
            "at least 2 real images per class",
        ),
        ({}, {"images_per_class": 301}, "images_per_class", "301 cannot be used"),
        ({}, {"images_per_class": 10, "long_tail": 0.01}, "long_tail", "without images"),
        ({}, {"arms": ("real", "real")}, "arms", "has no synthetic images"),
        ({}, {"arms": ("real", "real+5@10")}, "arms", "names class 10, the classes are 0 to 9"),
        ({"num_train_timesteps": 10}, {}, "num_steps", "it must be 1 to 10"),
        ({"label_dropout": 0.0}, {}, "guidance_weight", "without label dropout"),
        ({"conditional": False}, {}, "sources", "no labels"),
    ],
)
def test_impossible_mixes_are_refused(
    store: RunStore, train: dict[str, Any], values: dict[str, Any], field: str, words: str
) -> None:
    source = new_run(store, "train", train)
    with pytest.raises(SpecError, match=words) as refused:
        check(make(MixSpec, {"sources": (source.id,), **values}), Known(store))
    assert refused.value.field == field


def test_a_source_that_is_no_generator_is_refused(store: RunStore) -> None:
    source = new_run(store, "train", {})
    made = new_run(store, "synthesize", {"source": source.id})
    with pytest.raises(SpecError, match="a train run is needed"):
        check(make(MixSpec, {"sources": (made.id,)}), Known(store))
    with pytest.raises(SpecError, match="There is no run"):
        check(make(MixSpec, {"sources": ("nobody",)}), Known(store))
    with pytest.raises(SpecError, match="seeds"):
        make(MixSpec, {"seeds": 1})
    with pytest.raises(RunError, match="has no parts"):
        plan(source.spec, store)


def test_a_mix_reports_cell_by_cell_while_it_runs(store: RunStore) -> None:
    source = new_run(store, "train", {})
    group, children = new_group(
        store, "mix", {**BARE, "sources": (source.id,), "train_own": True, "arms": ARMS}
    )
    empty = report(group, store)
    assert empty["verdict"] is None and [a["arm"] for a in empty["arms"]] == [
        "real",
        *ARMS[1:],
        *ARMS[1:],
    ]
    assert all(
        a["interval"] is None and a["accuracies"] == [] and a["difference"] is None
        for a in empty["arms"]
    )
    assert [g["badge"] for g in empty["generators"]] == [
        "generator trained on the same 100 images",
        "generator trained on 2,900 more real images",
    ]
    added = empty["arms"][4]
    assert (added["real"], added["synthetic"], added["synthetic_fraction"], added["role"]) == (
        100,
        300,
        0.75,
        "treatment",
    )
    assert empty["histogram"]["before"] == [10] * 10
    assert empty["histogram"]["after"]["own:real+3x"] == {
        "real": [10] * 10,
        "synthetic": [30] * 10,
        "other": [0] * 10,
    }
    events = EventWriter(children["arm:real"].path / "events.jsonl", 1)
    events.write("state", state="running", error="")
    events.write("metric", step=0, values={"accuracy": 0.9, "macro_f1": 0.89, "seconds": 2.0})
    events.close()
    one = report(group, store)["arms"][0]
    assert (one["seeds"], one["state"], one["interval"]) == (
        [0],
        "running",
        {"mean": 0.9, "low": None, "high": None},
    )
    with pytest.raises(TaskError, match="Not all parts"):
        list(mix_task(context(store, group)))


def test_a_complete_mix_is_judged_on_its_predictions(store: RunStore, labels: np.ndarray) -> None:
    source = new_run(store, "train", {})
    finish(source, {"seconds": 120.0})
    values = {
        **BARE,
        "controls": ("augmented", "duplicated", "noise"),
        "sources": (source.id,),
        "train_own": True,
        "arms": ARMS,
    }
    group, children = new_group(store, "mix", values)
    finish_arms(children, labels, own_bonus=-0.03)
    finish(children["generator:own"], {"seconds": 60.0})
    for key in ("own", source.id):
        finish(children[f"set:{key}"], {"seconds": 12.0})
    (event,) = mix_task(context(store, group))
    result = event["values"]
    verdict = result["verdict"]
    assert event["type"] == "result" and (
        verdict["kind"],
        verdict["generator"],
        verdict["arm"],
    ) == ("helps", source.id, "real+3x")
    assert (
        "when 300 synthetic digits are added to all 100 real ones" in verdict["text"]
        and verdict["low"] > 0
    )
    own, wide = result["generators"]
    assert (
        own["verdict"]["kind"] == "undecided"
        and wide["verdict"]["kind"] == "helps"
        and own["seconds"] == 60.0
    )
    by_arm = {(a["generator"], a["arm"]): a for a in result["arms"]}
    assert by_arm["", "real"]["difference"] is None and by_arm["", "augmented"]["role"] == "control"
    assert (
        by_arm["", "noise+3x"]["other"] == 300 and by_arm["", "noise+3x"]["difference"]["high"] < 0
    )
    for arm in result["arms"][1:]:
        d = arm["difference"]
        assert (d["p_holm"] <= 0.05) == (d["low"] > 0 or d["high"] < 0) and len(d["mcnemar"]) == 5
        if arm["generator"]:
            assert arm["leakage"]["extra"] == (0 if arm["generator"] == "own" else 2900)
    assert result["cost"]["minutes"] == pytest.approx((120 + 12 + 6) / 60)
    worth = next(x for x in result["extra_data"] if x["arm"] == "real+3x")
    assert (worth["more"], worth["same"]) == (source.id, "own") and worth["mean"] == pytest.approx(
        3.0, abs=0.3
    )
    assert (
        result["best"]["arm"] == "real+3x"
        and result["best"]["low"] == result["best"]["high"] == 0.75
    )
    assert (
        result["detectable"] > 0
        and result["classes"] == [str(i) for i in range(10)]
        and result["exchange"] is None
    )


def test_two_seeds_are_too_few_for_a_verdict(store: RunStore, labels: np.ndarray) -> None:
    source = new_run(store, "train", {})
    finish(source, {"seconds": 1.0})
    values = {**BARE, "sources": (source.id,), "arms": ("real", "real+1x"), "seeds": 2}
    group, children = new_group(store, "mix", values)
    for role, child in children.items():
        if child.kind == "classify":
            finish_classifier(child, labels, [0.8, 0.81] if role == "arm:real" else [0.9, 0.91])
    finish(children[f"set:{source.id}"], {"seconds": 1.0})
    (event,) = mix_task(context(store, group))
    result = event["values"]
    assert result["verdict"]["text"] == (
        "Undecided: too few seeds. A verdict needs at least 3 seeds per arm; there are 2."
    )
    assert result["verdict"]["effect"] is result["verdict"]["low"] is result["best"] is None
    difference = result["arms"][1]["difference"]
    assert difference["mean"] is difference["p"] is None and difference["why"] == "too few seeds"
    assert len(result["arms"][1]["accuracies"]) == 2
    assert "too few seeds" in as_latex(result) and "too few" not in as_csv(result)
    assert points(difference).text == "too few seeds"


def test_images_made_elsewhere_are_judged_and_said_to_be_unknown(
    store: RunStore, labels: np.ndarray, tmp_path: Path
) -> None:
    foreign = new_run(
        store, "import", {"source": str(tmp_path), "role": "synthetic", "dataset": "mnist5k"}
    )
    rng = np.random.default_rng(0)
    np.save(foreign.path / "images.npy", rng.integers(0, 256, (300, 28, 28, 1), dtype=np.uint8))
    np.save(foreign.path / "labels.npy", np.arange(300) % 10)
    group, children = new_group(
        store, "mix", {**BARE, "sets": (foreign.id,), "arms": ("real", "real+1x", "real+3x")}
    )
    finish_arms(children, labels)
    found = report(group, store)
    assert found["verdict"]["kind"] == "helps" and "not known" in found["generators"][0]["badge"]
    assert found["arms"][1]["leakage"] is None


def test_a_surface_gives_an_exchange_rate(store: RunStore, labels: np.ndarray) -> None:
    values = {**BARE, "real_sizes": (20, 40), "arms": ("real", "real+1x", "real+3x"), "seeds": 3}
    group, children = new_group(store, "mix", values)
    for run in children.values():
        if run.kind == "classify":
            spec = run.spec
            assert isinstance(spec, ClassifySpec)
            factor = {"real": 0, "real+1x": 1, "real+3x": 3}[spec.arm]
            images = (
                10 * spec.images_per_class * (1 + 0.25 * factor)
            )  # four synthetic images are worth a real one
            finish_classifier(run, labels, [1 - 2.0 * images**-0.5 + 0.001 * s for s in range(3)])
    found = report(group, store)
    assert (
        found["exchange"]["rate"] == pytest.approx(4, rel=0.15)
        and found["exchange"]["low"] < 4 < found["exchange"]["high"]
    )
    assert [(c["size"], c["arm"]) for c in found["surface"][:3]] == [
        (20, "real"),
        (20, "real+1x"),
        (20, "real+3x"),
    ]


def test_a_report_reads_through_the_given_status_only(store: RunStore) -> None:
    group, _ = new_group(store, "mix", {"images_per_class": 10})
    asked: list[str] = []

    def status(run_id: str) -> RunStatus:
        asked.append(run_id)
        return RunStatus(
            state="running",
            metrics=[{"step": 0, "t": 0.0, "attempt": 1, "accuracy": 0.5, "macro_f1": 0.4}],
        )

    found = report(group, store, status)
    assert all(a["accuracies"] == [0.5] for a in found["arms"]) and len(asked) == len(set(asked))


@pytest.mark.parametrize("what", ["source", "predictions"])
def test_a_mix_whose_parts_have_gone_gives_numbers_but_no_verdict(
    store: RunStore, labels: np.ndarray, what: str
) -> None:
    source = new_run(store, "train", {})
    group, children = new_group(
        store, "mix", {**BARE, "sources": (source.id,), "arms": ("real", "real+1x")}
    )
    finish_arms(children, labels)
    if what == "source":
        store.trash(source)
    else:
        (children["arm:real"].path / "predictions.npz").write_bytes(b"PK damaged")
    found = report(group, store)
    assert (
        found["verdict"] is None
        and found["notes"][0].startswith("No verdict")
        and found["arms"][1]["accuracies"]
    )


def test_replaced_images_in_the_generator_have_a_worth_of_their_own(
    store: RunStore, labels: np.ndarray
) -> None:
    values = {**BARE, "train_arm": True, "train_own": True, "arms": ("real", "50/50", "real+1x")}
    group, children = new_group(store, "mix", values)
    finish_arms(children, labels)
    run = children["arm:arm:50/50"]
    (run.path / "events.jsonl").unlink()
    finish_classifier(run, labels, [a - 0.04 for a in accuracies("50/50", 0.0)])
    found = report(group, store)
    assert [g["key"] for g in found["generators"]] == ["own", "arm"]
    (worth,) = found["extra_data"]
    assert (worth["more"], worth["same"], worth["arm"], worth["further"]) == (
        "own",
        "arm",
        "50/50",
        50,
    )
    assert worth["mean"] == pytest.approx(4.0, abs=0.3) and worth["low"] > 0
