"""Plans of sweeps and their reports while the children run: from hand-made run directories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dreamlab.checks import Known, check
from dreamlab.experiments import plan, report
from dreamlab.experiments.sweep.report import best_text
from dreamlab.settings import SpecError, SweepSpec, TrainSpec, make
from dreamlab.store import RunStore
from tests.evidence_helpers import finish, new_group, new_run, new_store


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


def test_a_sweep_plans_points_and_reports_them(store: RunStore) -> None:
    source = new_run(store, "train", {"num_train_timesteps": 20})
    group, children = new_group(
        store, "sweep", {"source": source.id, "axis": "num_steps", "per_class": 5}
    )
    assert list(children) == [
        f"{kind}:{x}" for x in (4, 6, 10, 20) for kind in ("set", "fidelity")
    ]  # 50 > T is left out
    assert report(group, store)["best"] is None
    extractor = {"name": "classifier", "accuracy": 0.98, "dimensions": 128, "id": "x"}
    for x, value in ((4, 9.0), (6, 3.0), (10, 2.0), (20, 2.5)):
        finish(children[f"set:{x}"], {"seconds": x / 10})
        metrics = [
            {
                "name": "fd_classifier",
                "value": value,
                "low": value - 1,
                "high": value + 1,
                "unit": "",
            }
        ]
        finish(
            children[f"fidelity:{x}"],
            {
                "metrics": metrics,
                "real_floor": metrics,
                "recognised": 0.9,
                "extractor": extractor,
                "images": 50,
                "reference": {"dataset": "mnist5k", "split": "test", "images": 2000},
            },
        )
        points = report(group, store)["points"]
        assert [bool(p["metrics"]) for p in points] == [p["x"] <= x for p in points]
    found = report(group, store)
    assert (
        found["best"] == {"x": 10.0, "metric": "fd_classifier"}
        and found["points"][0]["seconds"] == 0.4
        and best_text(found).startswith("Lowest fd_classifier at num_steps = 10")
    )


def test_a_sweep_over_t_retrains_with_the_settings_of_its_source(store: RunStore) -> None:
    source = new_run(store, "train", {"steps": 7, "base_width": 16, "images_per_class": 10})
    children = plan(
        make(SweepSpec, {"source": source.id, "axis": "num_train_timesteps", "values": (50, 1000)}),
        store,
    )
    trained = make(TrainSpec, children[0].values)
    assert (
        trained.num_train_timesteps,
        trained.steps,
        trained.base_width,
        trained.images_per_class,
    ) == (50, 7, 16, 10)
    assert children[1].values["source"] == "@generator:50"
    same = make(TrainSpec, next(c for c in children if c.role == "generator:1000").values)
    assert (
        same.content_hash() == source.spec.content_hash()
    )  # T of the source itself: its run is used again


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"axis": "num_steps", "values": (50,)}, "1 to 20"),
        ({"axis": "num_steps", "values": (2.5,)}, "whole numbers"),
        ({"axis": "num_train_timesteps", "values": (5,)}, "10 to 4,000"),
        ({"axis": "guidance_weight", "values": (30,)}, "0 to 20"),
        ({"axis": "guidance_weight", "num_steps": 50}, "1 to 20"),
    ],
)
def test_impossible_sweeps_are_refused(store: RunStore, values: dict[str, Any], words: str) -> None:
    source = new_run(store, "train", {"num_train_timesteps": 20})
    with pytest.raises(SpecError, match=words):
        check(make(SweepSpec, {"source": source.id, **values}), Known(store))
