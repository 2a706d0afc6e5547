"""What the service refuses before anything starts: one sentence that names the setting, and nothing
is left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.data import catalog, near_copies
from dreamlab.service import Refused, Service
from dreamlab.store import Run
from dreamlab.tasks.generator import save_generator
from tests.evidence_helpers import finish, new_run, new_set
from tests.near_copy_helpers import drained
from tests.sampling_helpers import random_generator


@pytest.fixture
def service(tmp_path: Path) -> Service:
    found = Service(tmp_path / "runs")
    found.store.prepare()
    return found


def imported(
    service: Service,
    train: np.ndarray,
    test: np.ndarray,
    role: str = "real",
    done: bool = True,
    **card: Any,
) -> Run:
    """An import run: 8x8 grey images, ten classes in turn."""
    values = {
        "source": "somewhere",
        "role": role,
        **({"dataset": "digits"} if role == "synthetic" else {}),
    }
    run = new_run(service.store, "import", values)
    images = np.concatenate([train, test])
    np.save(run.path / "images.npy", images)
    np.save(
        run.path / "labels.npy",
        np.concatenate([np.arange(len(train)) % 10, np.arange(len(test)) % 10]),
    )
    facts = {
        "title": "Mine",
        "size": 8,
        "channels": 1,
        "classes": [f"c{i}" for i in range(10)],
        "train": len(train),
        "test": len(test),
        "mirror": True,
        "role": role,
        "content_hash": "0",
        "source": "somewhere",
        "preprocessing": {"overlap": 0},
        **card,
    }
    (run.path / "card.json").write_text(json.dumps(facts))
    if done:
        finish(
            run,
            {
                "role": role,
                "images": len(images),
                "train": len(train),
                "test": len(test),
                "left_out_counts": {},
                "image_size": 8,
            },
        )
    return run


def pictures(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)


def refused(service: Service, kind: str, values: dict[str, Any]) -> Refused:
    before = service.store.ids()
    with pytest.raises(Refused) as error:
        service.submit(service.check(kind, values))
    assert "\n" not in str(error.value) and service.store.ids() == before
    return error.value


@pytest.mark.parametrize(
    ("kind", "values", "field", "words"),
    [
        ("mix", {"seeds": 1}, "seeds", "2 to 100"),
        ("classify", {"arm": "real+1x"}, "synthetic", "needs a synthetic set"),
        ("classify", {"dataset": "nothing"}, "dataset", "or an import run"),
        ("classify", {"images_per_class": 10, "long_tail": 0.01}, "long_tail", "without images"),
        (
            "classify",
            {"images_per_class": 300, "validation": 0.1},
            "images_per_class",
            "were set aside for validation",
        ),
        ("mix", {"arms": "real,real+10@12"}, "arms", "names class 12"),
        ("mix", {"arms": "real,60/60"}, "arms", "cannot be used"),
        ("mix", {"arms": "real,real+0x"}, "arms", "cannot be used"),
        ("train", {"dataset": "mnist"}, "", "--data-dir"),
        (
            "train",
            {"dataset": "digits", "epochs": 50, "snapshot_epochs": 0.1},
            "snapshot_epochs",
            "would keep 499 checkpoints; at most 100",
        ),
        ("import", {"source": "x", "role": "synthetic"}, "dataset", "need the data set"),
        ("import", {"source": "x", "dataset": "mnist5k"}, "dataset", "real images"),
    ],
)
def test_settings_that_cannot_work(
    service: Service, kind: str, values: dict[str, Any], field: str, words: str
) -> None:
    error = refused(service, kind, values)
    assert words in str(error) and (not field or error.field == field)


def test_an_imported_set_is_a_data_set_and_a_synthetic_one_is_not(service: Service) -> None:
    real, made = (
        imported(service, pictures(60, 0), pictures(40, 1)),
        imported(service, pictures(60, 2), pictures(0, 3), "synthetic"),
    )
    spec = service.check("classify", {"dataset": real.id[-4:]})
    assert spec.dataset == real.id and spec.references() == [real.id]  # type: ignore[attr-defined]
    assert "role synthetic" in str(refused(service, "classify", {"dataset": made.id}))
    assert "role real" in str(
        refused(service, "classify", {"arm": "real+1x", "dataset": "digits", "synthetic": real.id})
    )
    assert [run for _, run in service.choices("import")] == [real.id]
    assert [run for _, run in service.choices("synthesize|import")] == [made.id]
    wanted = {"dataset": "digits", "arm": "real+1x", "images_per_class": 6, "synthetic": made.id}
    assert service.check("classify", wanted).references() == [made.id]
    assert "has 6 images of class 0" in str(
        refused(service, "classify", {**wanted, "images_per_class": 7})
    )


def test_a_test_part_that_was_trained_on_is_refused(service: Service, tmp_path: Path) -> None:
    arrays = {
        "x_train": (
            np.zeros((100, 28, 28), np.uint8) + np.arange(100, dtype=np.uint8)[:, None, None]
        ),
        "y_train": np.arange(100) % 10,
        "y_test": np.arange(20) % 10,
    }
    np.savez(tmp_path / "both.npz", **arrays, x_test=arrays["x_train"][:20])
    error = refused(
        service,
        "mix",
        {"dataset": "mnist", "data_dir": str(tmp_path / "both.npz"), "images_per_class": 5},
    )
    assert "20 of the 20 test images" in str(error) and error.field == "dataset"


def test_synthetic_images_that_copy_the_test_are_refused(service: Service) -> None:
    data = catalog.load("digits")
    test = data.test_images
    made = imported(
        service, np.concatenate([pictures(95, 0), test[:5, :, ::-1]]), pictures(0, 1), "synthetic"
    )
    limit = drained(near_copies.calibrated(data.train_images, test, 8))
    found = drained(near_copies.in_set(np.load(made.path / "images.npy"), data, limit))
    near_copies.save(made.path, found)
    for kind, values in (
        ("classify", {"arm": "real+1x", "synthetic": made.id}),
        ("mix", {"sets": (made.id,), "arms": ("real", "real+1x"), "controls": ()}),
    ):
        error = refused(service, kind, {"dataset": "digits", "images_per_class": 5, **values})
        assert "5 of the 100 images" in str(error) and "copies of test images" in str(error)


def test_a_set_that_is_still_being_imported_is_waited_for_by_the_person(service: Service) -> None:
    made = new_run(
        service.store, "import", {"source": "somewhere", "role": "synthetic", "dataset": "digits"}
    )
    error = refused(
        service,
        "classify",
        {"dataset": "digits", "arm": "real+1x", "images_per_class": 5, "synthetic": made.id},
    )
    assert "still being imported" in str(error) and error.field == "synthetic"


def test_pseudo_labels_are_for_generators_without_classes(service: Service) -> None:
    labelled = new_run(service.store, "train", {})
    plain = new_run(service.store, "train", {"conditional": False, "label_dropout": 0.0})
    for run in (labelled, plain):
        finish(run, {"seconds": 1.0})
        (run.path / "checkpoints").mkdir()
        save_generator(run.path, random_generator(**run.record.spec))
    assert "have labels already" in str(
        refused(service, "synthesize", {"source": labelled.id, "labeller": "own"})
    )
    drawn = {"source": plain.id, "labeller": "own", "guidance_weight": 0.0}
    assert "pseudo-labels always cover all classes" in str(
        refused(service, "synthesize", {**drawn, "classes": "0"})
    )
    assert service.check("synthesize", drawn).references() == [plain.id]
    made = new_set(
        service.store, plain, np.zeros((20, 28, 28, 1), np.uint8), np.zeros(20, np.int64)
    )
    finish(made, {"seconds": 1.0})
    error = refused(
        service, "classify", {"arm": "real+1x", "synthetic": made.id, "images_per_class": 2}
    )
    assert "have no labels" in str(error)
