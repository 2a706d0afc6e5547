"""Memory of the training set in runs: measured by a fidelity run, shown, asked for by the command
line, and left out of a mix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from dreamlab.data import catalog, memory, memory_report
from dreamlab.store import Run, RunStore
from dreamlab.tasks.fidelity.task import fidelity
from tests.evidence_helpers import context, finish, new_run, new_set, new_store

PLANTED = 8


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunStore]:
    yield new_store(tmp_path_factory.mktemp("memory"))


@pytest.fixture(scope="module")
def made(lab: RunStore) -> Run:
    """A set of images that its generator has not seen, and the first ones that it has."""
    data = catalog.load("digits")
    values = {"dataset": "digits", "images_per_class": 60}
    generator = new_run(lab, "train", values)
    finish(generator, {"real_images": 600})
    return new_set(lab, generator, *seen_and_unseen(data))


def seen_and_unseen(data: catalog.DataSet) -> tuple[np.ndarray, np.ndarray]:
    from dreamlab.data.selection import selected
    from dreamlab.settings import TrainSpec, make

    pool = selected(make(TrainSpec, {"dataset": "digits", "images_per_class": 60})).pool
    others = np.setdiff1d(np.arange(len(data.train_labels)), pool)[:300]
    chosen = np.concatenate([pool[:PLANTED], others])
    return data.train_images[chosen], data.train_labels[chosen]


@pytest.fixture(scope="module")
def measured(lab: RunStore, made: Run) -> tuple[Run, dict[str, Any]]:
    run = new_run(lab, "fidelity", {"images": made.id, "metrics": ["kid", "memory"]})
    result = list(fidelity(context(lab, run)))[-1]["values"]
    finish(run, result)
    return run, result


def test_a_fidelity_run_measures_memory_in_pixels_and_in_features(
    made: Run, measured: tuple[Run, dict[str, Any]]
) -> None:
    run, result = measured
    names = [m["name"] for m in result["metrics"]]
    assert names == ["kid_classifier", "memorised_pixels", "memorised", "authenticity"]
    assert [m["name"] for m in result["real_floor"]] == ["kid_classifier"]
    rows = {m["name"]: m for m in result["metrics"]}
    assert all(0 <= m["low"] < m["value"] < m["high"] <= 100 for m in list(rows.values())[1:])
    assert rows["memorised_pixels"]["extractor"] == "pixels" and rows["memorised"]["weights"]
    found = memory.load(run.path)
    assert found is not None and found.known and found.references == 600
    assert list(found.spaces) == ["pixels", "classifier"]
    for space in found.spaces.values():
        assert space.flagged[:PLANTED].all() and space.flagged[PLANTED:].mean() < 0.05
        assert (found.train_labels[space.training[:PLANTED]] == found.labels[:PLANTED]).all()
    assert not found.spaces["classifier"].authentic[:PLANTED].any()
    assert result["memory"] == memory.summary(found)
    assert (run.path / memory_report.PICTURE).is_file()
    own = memory.load(made.path)
    assert own is not None and list(own.spaces) == ["pixels"]
