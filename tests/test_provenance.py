"""Which real images a generator was trained on, as a mix counts and says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dreamlab.checks import Known, check
from dreamlab.data import catalog
from dreamlab.experiments import report
from dreamlab.settings import MixSpec, SpecError, SynthesizeSpec, make
from dreamlab.store import RunStore
from tests.evidence_helpers import finish_classifier, new_group, new_run, new_store

BARE: dict[str, Any] = {"images_per_class": 10, "controls": (), "steps": 200}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


def test_a_fine_tuned_generator_saw_what_its_source_saw(store: RunStore) -> None:
    base = new_run(store, "train", {"images_per_class": 100})
    tuned = new_run(store, "train", {"images_per_class": 10, "init_from": base.id})
    group, _ = new_group(
        store, "mix", {**BARE, "sources": (tuned.id,), "arms": ("real", "real+1x")}
    )
    assert (
        report(group, store)["generators"][0]["badge"]
        == "generator trained on 900 more real images"
    )


def test_images_of_other_data_that_a_generator_saw_before_are_counted(store: RunStore) -> None:
    base = new_run(store, "train", {"dataset": "digits"})
    tuned = new_run(store, "train", {"images_per_class": 10, "init_from": base.id})
    group, children = new_group(
        store, "mix", {**BARE, "sources": (tuned.id,), "arms": ("real", "real+1x")}
    )
    test_labels = catalog.load("mnist5k").test_labels
    for role, run in children.items():
        if run.kind == "classify":
            right = 0.92 if "real+1x" in role else 0.9
            finish_classifier(run, test_labels, [right + 0.001 * s for s in range(5)])
    found = report(group, store)
    assert found["generators"][0]["badge"] == (
        "generator trained on the same 100 images and 1,200 more images of other data"
    )
    assert "1,200 of them of other data" in " ".join(found["notes"])


def test_a_mix_whose_generator_has_an_unknown_past_is_refused(store: RunStore) -> None:
    base = new_run(store, "train", {"images_per_class": 100})
    tuned = new_run(store, "train", {"images_per_class": 10, "init_from": base.id})
    store.trash(base)
    spec = make(MixSpec, {"sources": (tuned.id,), "arms": ("real", "real+1x")})
    with pytest.raises(SpecError, match=r"what its generator was trained on is not known.*deleted"):
        check(spec, Known(store))


def test_a_labeller_that_saw_everything_counts(store: RunStore) -> None:
    source = new_run(
        store, "train", {"conditional": False, "images_per_class": 10, "label_dropout": 0.0}
    )
    for labeller, badge in (
        ("own", "generator trained on the same 100 images"),
        ("all", "generator trained on 2,900 more real images"),
    ):
        spec = {"source": source.id, "labeller": labeller, "guidance_weight": 0.0}
        made = new_run(store, "synthesize", spec)
        assert isinstance(make(SynthesizeSpec, spec), SynthesizeSpec)
        group, _ = new_group(
            store, "mix", {**BARE, "sets": (made.id,), "arms": ("real", "real+1x")}
        )
        assert report(group, store)["generators"][0]["badge"] == badge
