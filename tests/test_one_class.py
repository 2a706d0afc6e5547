"""Data sets without labels or with one class: what they can be used for, and what they lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.data import catalog
from dreamlab.service import Refused, Service
from dreamlab.store import RunStore
from dreamlab.tasks import find_task
from tests.import_helpers import class_files, encoded, folder_of, picture
from tests.task_helpers import context

FILES = {
    "unlabelled": {f"{i}.png": encoded(picture(i)) for i in range(30)},
    "one class": class_files(("butterfly",), 30),
}


@pytest.fixture(params=FILES)
def imported(request: pytest.FixtureRequest, store: RunStore, tmp_path: Path) -> str:
    """The id of an import with one class."""
    catalog.add_runs_folder(store.folder)
    source = folder_of(tmp_path / "pictures", FILES[request.param])
    ctx = context(store, "import", source=str(source))
    result = list(find_task("import")(ctx))[-1]["values"]
    assert result["per_class"] == [30] and result["labelled"] is (request.param == "one class")
    return ctx.run.id


@pytest.mark.parametrize("conditional", [True, False])
def test_a_generator_can_be_trained_and_sampled(
    store: RunStore, imported: str, conditional: bool
) -> None:
    values = {"dataset": imported, "preset": "tiny", "steps": 2, "conditional": conditional}
    train = context(store, "train", **values)
    assert list(find_task("train")(train))[-1]["type"] == "result"
    (train.run.path / "result.json").write_text("{}")
    weight = 0.5 if conditional else 0.0
    made = context(
        store, "synthesize", source=train.run.id, per_class=4, num_steps=2, guidance_weight=weight
    )
    assert list(find_task("synthesize")(made))[-1]["type"] == "result"
    assert np.load(made.run.path / "images.npy").shape == (4, 16, 16, 3)


@pytest.mark.parametrize(
    ("kind", "values"), [("mix", {"train_own": True}), ("classify", {"arm": "real"})]
)
def test_what_needs_classes_is_refused_in_one_sentence(
    store: RunStore, imported: str, kind: str, values: dict[str, Any]
) -> None:
    with pytest.raises(Refused, match="has one class, .* needs at least 2"):
        Service(store.folder).check(kind, {"dataset": imported, **values})
