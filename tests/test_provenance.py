"""Which real images a generator was trained on, as a mix counts and says it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.architecture.cost import parameter_count
from dreamlab.architecture.network import network_of
from dreamlab.checks import Known, check
from dreamlab.data import catalog
from dreamlab.experiments import report
from dreamlab.experiments.identity import images_read
from dreamlab.service import Refused, Service
from dreamlab.settings import MixSpec, SpecError, SynthesizeSpec, make
from dreamlab.store import RunStore, checkpoints
from tests.arm_helpers import new_import
from tests.content_helpers import digits_of, make_old, npz
from tests.evidence_helpers import finish, finish_classifier, new_group, new_run, new_store
from tests.test_checkpoints import write

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


# ---- the same name, other images


SAME = "generator trained on the same 50 images"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose engine never starts."""
    monkeypatch.setattr(Service, "keep_engine", lambda self: None)
    return Service(new_store(tmp_path / "lab").folder)


def trained(service: Service, folder: Path | str, **values: Any) -> str:
    """The id of a finished training on all images of a folder."""
    wanted = {"dataset": "mnist", "data_dir": str(folder), "steps": 3, "base_width": 8, **values}
    run = service.submit(service.check("train", wanted)).run
    count = 10 * values.get("images_per_class", 12)
    finish(service.get(run), {"real_images": count, "peak_memory_bytes": 1})
    numbers = parameter_count(network_of(service.get(run).spec))
    write(checkpoints.path_of(service.get(run).path), numbers, format=checkpoints.FORMAT)
    return run


def badge(service: Service, folder: Path | str, **values: Any) -> str:
    """What a mix on images in a folder says of its generator."""
    wanted = {"dataset": "mnist", "data_dir": str(folder), "images_per_class": 5, "controls": ()}
    spec = service.check("mix", {**wanted, "arms": ("real", "real+1x"), **values})
    group = service.get(service.submit(spec).run)
    return str(report(group, service.store)["generators"][0]["badge"])


def test_images_are_the_same_by_their_content_and_not_by_their_folder(
    service: Service, tmp_path: Path
) -> None:
    one, two = npz(tmp_path / "one.npz"), npz(tmp_path / "two.npz", seed=1)
    copy = shutil.copy(one, tmp_path / "copy.npz")
    on_one, on_two = trained(service, one), trained(service, two)
    more = "generator trained on 70 more real images"
    assert badge(service, one, sources=(on_one,)) == more
    assert badge(service, copy, sources=(on_one,)) == more
    assert badge(service, two, sources=(on_two,)) == more
    said = badge(service, two, sources=(on_one,))
    assert "120 images of other data" in said and "real" not in said
    tuned = trained(service, two, init_from=on_one, images_per_class=5)
    assert badge(service, two, sources=(tuned,)) == f"{SAME} and 120 more images of other data"
    assert badge(service, one, sources=(tuned,)) == (
        "generator trained on 70 more real images and 50 images of other data"
    )


def test_images_that_were_changed_since_are_other_images(service: Service, tmp_path: Path) -> None:
    data = npz(tmp_path / "data.npz")
    before = trained(service, data)
    tuned = trained(service, data, init_from=before, images_per_class=12)
    npz(data, seed=1)
    assert "120 images of other data" in badge(service, data, sources=(before,))
    # 12 of each class are all images too, but a selection that cannot be made again may overlap
    with pytest.raises(Refused, match=r"not known.*has changed"):
        badge(service, data, sources=(tuned,))
    npz(data)
    assert badge(service, data, sources=(tuned,)) == "generator trained on 70 more real images"


def test_the_classifier_that_gave_labels_saw_the_images_of_its_time(
    service: Service, tmp_path: Path
) -> None:
    data = npz(tmp_path / "data.npz")
    source = trained(service, data, images_per_class=5, conditional=False, label_dropout=0.0)
    npz(data, seed=1)
    values = {"source": source, "guidance_weight": 0.0, "per_class": 5}
    names = []
    for labeller in ("own", "all"):
        wanted = service.check("synthesize", {**values, "labeller": labeller})
        made = service.get(service.submit(wanted).run)
        labels = np.arange(50) % 10
        np.save(made.path / "images.npy", np.zeros((50, 28, 28, 1), np.uint8))
        np.save(made.path / "labels.npy", labels)
        finish(made, {"images_per_second": 1.0})
        names.append(made.id)
    found = [badge(service, data, sets=(name,)) for name in names]
    assert found == [
        f"{SAME} and 50 more images of other data",
        "generator trained on 70 more real images and 50 images of other data",
    ]


def test_two_imports_of_the_same_images_are_one_data_set(service: Service) -> None:
    arrays = digits_of()
    labels, images = arrays["y_train"], arrays["x_train"][..., None]
    first, second = (new_import(service.store, images, labels, 100, role="real") for _ in range(2))
    base = trained(service, "", dataset=first.id, images_per_class=10)
    tuned = trained(service, "", dataset=second.id, images_per_class=5, init_from=base)
    said = badge(service, "", dataset=second.id, sources=(tuned,))
    assert said == "generator trained on 50 more real images"


def test_a_run_of_an_older_version_on_a_folder_read_unknown_images(
    service: Service, tmp_path: Path
) -> None:
    data = npz(tmp_path / "data.npz")
    on_folder, on_package = (
        trained(service, data),
        trained(service, "", dataset="digits", images_per_class=5),
    )
    for run in (on_folder, on_package):
        make_old(service.store, run)
    store = RunStore(service.store.folder)
    assert images_read(store.get(on_folder), "mnist") == ""
    assert images_read(store.get(on_package), "digits") != ""
    with pytest.raises(Refused, match=r"not known.*older version"):
        badge(service, data, sources=(on_folder,))
    assert badge(service, "", dataset="digits", sources=(on_package,)) == SAME


def test_an_arm_whose_folder_holds_other_images_now_is_not_exported(
    service: Service, tmp_path: Path
) -> None:
    data = npz(tmp_path / "data.npz")
    values = {"dataset": "mnist", "data_dir": str(data), "arm": "real", "steps": 5}
    run = service.submit(service.check("classify", values)).run
    npz(data, seed=1)
    with pytest.raises(Refused, match=r"the images in .*data\.npz have changed"):
        service.export(run, tmp_path / "arm.npz")
    assert not (tmp_path / "arm.npz").exists()
    npz(data)
    assert service.export(run, tmp_path / "arm.npz")["images"] == 120
