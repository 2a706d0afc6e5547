"""Plans of mixes and sweeps, and their reports while the children run: from hand-made run directories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.groups import Child, plan, report
from dreamlab.spec import KINDS, MixSpec, SpecError, SweepSpec, TrainSpec, make
from dreamlab.store import EventWriter, Run, RunError, RunStatus, RunStore
from dreamlab.tasks.context import TaskError
from dreamlab.tasks.groups import mix as mix_task
from tests.evidence_helpers import context, finish, new_run, new_store

ARMS = ("real", "50/50", "synthetic", "real+1x", "real+3x")


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


def create(store: RunStore, kind: str, values: dict[str, Any]) -> tuple[Run, dict[str, Run]]:
    """The group and its children as the service makes them."""
    children: dict[str, Run] = {}
    for child in plan(make(KINDS[kind], values), store):
        resolved = {
            k: children[v[1:]].id if isinstance(v, str) and v.startswith("@") else v for k, v in child.values.items()
        }
        children[child.role] = new_run(store, child.kind, resolved)
    return new_run(store, kind, values, {role: run.id for role, run in children.items()}), children


def roles(children: list[Child]) -> list[str]:
    return [c.role for c in children]


def test_the_card_shares_its_control_and_sizes_its_sets(store: RunStore) -> None:
    source = new_run(store, "train", {})
    spec = make(
        MixSpec, {"images_per_class": 10, "sources": (source.id,), "train_own": True, "arms": ARMS, "steps": 200}
    )
    children = plan(spec, store)
    assert roles(children).count("arm:real") == 1 and len(children) == 1 + 2 + 1 + 2 * 4
    by_role = {c.role: c for c in children}
    own = make(TrainSpec, by_role["generator:own"].values)
    assert (own.images_per_class, own.subset_seed, own.seconds) == (10, 0, 60)
    assert (
        by_role["set:own"].values["source"] == "@generator:own"
        and by_role[f"set:{source.id}"].values["source"] == source.id
    )
    assert by_role["set:own"].values["per_class"] == 30 and by_role["set:own"].values["guidance_weight"] == 0.5
    arm = by_role[f"arm:{source.id}:real+3x"].values
    assert arm["synthetic"] == f"@set:{source.id}" and (arm["steps"], arm["seeds"], arm["images_per_class"]) == (
        200,
        5,
        10,
    )
    assert "synthetic" not in by_role["arm:real"].values
    seen: set[str] = set()
    for child in children:  # siblings come before those that need them, and every spec is valid
        needed = {v[1:] for v in child.values.values() if isinstance(v, str) and v.startswith("@")}
        assert needed <= seen
        seen.add(child.role)
        make(KINDS[child.kind], {k: v.lstrip("@") if isinstance(v, str) else v for k, v in child.values.items()})


def test_without_a_source_a_mix_trains_its_own_generator_and_always_has_a_control(store: RunStore) -> None:
    children = plan(make(MixSpec, {"arms": ("50/50", "synthetic")}), store)
    assert roles(children) == ["generator:own", "set:own", "arm:real", "arm:own:50/50", "arm:own:synthetic"]
    assert children[1].values["per_class"] == 300


@pytest.mark.parametrize(
    ("train", "values", "field", "words"),
    [
        ({"dataset": "digits"}, {}, "sources", "was trained on digits; a generator of mnist5k is needed"),
        ({}, {"images_per_class": 1, "arms": ("real", "50/50")}, "arms", "at least 2 real images per class"),
        ({}, {"images_per_class": 301}, "images_per_class", "301 cannot be used"),
        ({}, {"arms": ("real", "real")}, "arms", "at least one arm with synthetic"),
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
        plan(make(MixSpec, {"sources": (source.id,), **values}), store)
    assert refused.value.field == field


def test_a_source_that_is_no_generator_is_refused(store: RunStore) -> None:
    source = new_run(store, "train", {})
    made = new_run(store, "synthesize", {"source": source.id})
    with pytest.raises(SpecError, match="a train run is needed"):
        plan(make(MixSpec, {"sources": (made.id,)}), store)
    with pytest.raises(SpecError, match="There is no run"):
        plan(make(MixSpec, {"sources": ("nobody",)}), store)
    with pytest.raises(RunError, match="has no parts"):
        plan(source.spec, store)


def arm_result(accuracies: list[float]) -> dict[str, Any]:
    return {
        "seeds": list(range(len(accuracies))), "accuracies": accuracies, "macro_f1": accuracies, "steps": 200,
        "per_class": [float(np.mean(accuracies))] * 10,
    }  # fmt: skip


CONTROL = [0.90, 0.894, 0.903, 0.899, 0.897]
SHIFT = {"real": 0.0, "50/50": -0.03, "synthetic": -0.09, "real+1x": 0.001, "real+3x": 0.03}


def accuracies(arm: str, bonus: float) -> list[float]:
    wiggle = 0.003 * np.array([0.5, -1.0, 1.2, -0.6, -0.1]) if arm != "real" else np.zeros(5)
    extra = bonus if arm == "real+3x" else 0.0
    return [round(c + SHIFT[arm] + float(w) + extra, 4) for c, w in zip(CONTROL, wiggle, strict=True)]


def test_a_mix_reports_cell_by_cell_and_judges_when_all_are_there(store: RunStore) -> None:
    source = new_run(store, "train", {})
    group, children = create(
        store, "mix", {"images_per_class": 10, "sources": (source.id,), "train_own": True, "arms": ARMS, "steps": 200}
    )
    empty = report(group, store)
    assert empty["verdict"] is None and [a["arm"] for a in empty["arms"]] == ["real", *ARMS[1:], *ARMS[1:]]
    assert all(a["interval"] is None and a["accuracies"] == [] and a["difference"] is None for a in empty["arms"])
    assert [g["badge"] for g in empty["generators"]] == [
        "generator saw the same 100 images",
        "generator saw 2,900 more real images",
    ]
    assert (empty["arms"][4]["real"], empty["arms"][4]["synthetic"], empty["arms"][4]["synthetic_fraction"]) == (
        100,
        300,
        0.75,
    )

    events = EventWriter(children["arm:real"].path / "events.jsonl", 1)
    events.write("state", state="running", error="")
    events.write("metric", step=0, values={"accuracy": 0.9, "macro_f1": 0.89, "seconds": 2.0})
    one = report(group, store)["arms"][0]
    assert (
        one["seeds"] == [0]
        and one["interval"] == {"mean": 0.9, "low": None, "high": None}
        and one["state"] == "running"
    )
    events.write("metric", step=1, values={"accuracy": 0.91, "macro_f1": 0.9, "seconds": 2.0})
    two = report(group, store)["arms"][0]
    assert two["interval"]["low"] < two["interval"]["mean"] < two["interval"]["high"]
    events.close()
    with pytest.raises(TaskError, match="Not all parts"):
        list(mix_task(context(store, group)))

    for role, run in children.items():
        if role.startswith("arm:"):
            name = role.split(":")[-1]
            finish(run, arm_result(accuracies(name, -0.03 if ":own:" in role else 0.0)))
    finish(children["generator:own"], {"seconds": 60.0})
    (event,) = mix_task(context(store, group))
    result = event["values"]
    assert (
        event["type"] == "result"
        and result["verdict"]["kind"] == "helps"
        and result["verdict"]["generator"] == source.id
    )
    assert "when 300 synthetic digits are added to all 100 real ones" in result["verdict"]["text"]
    own, wide = result["generators"]
    assert own["verdict"]["kind"] == "undecided" and wide["verdict"]["kind"] == "helps" and own["seconds"] == 60.0
    assert result["arms"][0]["difference"] is None and result["arms"][0]["generator"] == ""
    for arm in result["arms"][1:]:
        d = arm["difference"]
        assert set(d) == {"mean", "low", "high", "level", "p", "p_holm"}
        assert (d["p_holm"] <= 0.05) == (d["low"] > 0 or d["high"] < 0)
        assert arm["leakage"]["extra"] == (0 if arm["generator"] == "own" else 2900)
    assert any("2,900 real digits" in note for note in result["notes"]) and result["detectable"] > 0
    assert result["classes"] == [str(i) for i in range(10)] and result["test_images"] == 2000


def test_a_report_reads_through_the_given_status_only(store: RunStore) -> None:
    group, _ = create(store, "mix", {"images_per_class": 10})
    asked: list[str] = []

    def status(run_id: str) -> RunStatus:
        asked.append(run_id)
        return RunStatus(
            state="running", metrics=[{"step": 0, "t": 0.0, "attempt": 1, "accuracy": 0.5, "macro_f1": 0.4}]
        )

    found = report(group, store, status)
    assert all(a["accuracies"] == [0.5] for a in found["arms"]) and len(asked) == len(set(asked))


def test_a_mix_whose_source_has_gone_gives_numbers_but_no_verdict(store: RunStore) -> None:
    source = new_run(store, "train", {})
    group, children = create(
        store, "mix", {"images_per_class": 10, "sources": (source.id,), "arms": ("real", "real+1x")}
    )
    for role, run in children.items():
        if role.startswith("arm:"):
            finish(run, arm_result(accuracies(role.split(":")[-1], 0.0)))
    store.trash(source)
    found = report(group, store)
    assert found["verdict"] is None and "gone" in found["notes"][0] and found["arms"][1]["accuracies"]


def test_a_sweep_plans_points_and_reports_them(store: RunStore) -> None:
    source = new_run(store, "train", {"num_train_timesteps": 20})
    group, children = create(store, "sweep", {"source": source.id, "axis": "num_steps", "per_class": 5})
    assert list(children) == [
        f"{kind}:{x}" for x in (4, 6, 10, 20) for kind in ("set", "fidelity")
    ]  # 50 > T is left out
    assert report(group, store)["best"] is None
    extractor = {"name": "classifier", "accuracy": 0.98, "dimensions": 128, "id": "x"}
    for x, value in ((4, 9.0), (6, 3.0), (10, 2.0), (20, 2.5)):
        finish(children[f"set:{x}"], {"seconds": x / 10})
        metrics = [{"name": "fd_classifier", "value": value, "low": value - 1, "high": value + 1, "unit": ""}]
        finish(children[f"fidelity:{x}"], {
            "metrics": metrics, "real_floor": metrics, "recognised": 0.9, "extractor": extractor, "images": 50,
            "reference": {"dataset": "mnist5k", "split": "test", "images": 2000},
        })  # fmt: skip
        points = report(group, store)["points"]
        assert [bool(p["metrics"]) for p in points] == [p["x"] <= x for p in points]
    found = report(group, store)
    assert found["best"] == {"x": 10.0, "metric": "fd_classifier"} and found["points"][0]["seconds"] == 0.4


def test_a_sweep_over_t_retrains_with_the_settings_of_its_source(store: RunStore) -> None:
    source = new_run(store, "train", {"steps": 7, "base_width": 16, "images_per_class": 10})
    children = plan(make(SweepSpec, {"source": source.id, "axis": "num_train_timesteps", "values": (50, 1000)}), store)
    trained = make(TrainSpec, children[0].values)
    assert (trained.num_train_timesteps, trained.steps, trained.base_width, trained.images_per_class) == (50, 7, 16, 10)
    assert children[1].values["source"] == "@generator:50"
    same = make(TrainSpec, next(c for c in children if c.role == "generator:1000").values)
    assert same.content_hash() == source.spec.content_hash()  # T of the source itself: its run is used again


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"axis": "num_steps", "values": (50,)}, "T = 20"),
        ({"axis": "num_steps", "values": (2.5,)}, "whole numbers"),
        ({"axis": "num_train_timesteps", "values": (5,)}, "20 to 4,000"),
        ({"axis": "guidance_weight", "values": (30,)}, "0 to 20"),
        ({"axis": "guidance_weight", "num_steps": 50}, "T = 20"),
    ],
)
def test_impossible_sweeps_are_refused(store: RunStore, values: dict[str, Any], words: str) -> None:
    source = new_run(store, "train", {"num_train_timesteps": 20})
    with pytest.raises(SpecError, match=words):
        plan(make(SweepSpec, {"source": source.id, **values}), store)
