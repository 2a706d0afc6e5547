"""The real images that a fidelity run compares with are those that it says they are."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dreamlab.checks import Known, check
from dreamlab.checks.inception_weights import FEWEST_BYTES, NAMES, check_weights
from dreamlab.data import catalog, imageset
from dreamlab.experiments import report
from dreamlab.fidelity import wording
from dreamlab.fidelity.extractors import ClassifierExtractor
from dreamlab.service import Refused, Service
from dreamlab.settings import FidelitySpec, SpecError, SweepSpec, make
from dreamlab.store import RunStore
from dreamlab.tasks.fidelity import task
from dreamlab.tasks.fidelity.sets import Sets, compared_sets
from dreamlab.tasks.fidelity.task import fidelity
from dreamlab.ui.parts.fidelity_numbers import about, reading
from tests.content_helpers import npz
from tests.evidence_helpers import context, finish, new_group, new_run
from tests.test_identity import forget
from tests.test_judged_data import service as service
from tests.test_judged_data import trained


def lab(service: Service, folder: Path) -> tuple[str, str]:
    """(generator that set 30 images aside, set of it)."""
    generator = trained(service, folder, validation=0.25)
    made = new_run(service.store, "synthesize", {"source": generator})
    images = np.random.default_rng(9).integers(0, 256, (20, 28, 28, 1), np.uint8)
    imageset.save(made.path, images, np.arange(20) % 10)
    finish(made, {"images": 20})
    return generator, made.id


def changed(path: Path) -> Path:
    npz(path, seed=1)
    forget()
    return path


@pytest.mark.parametrize("reference", ["validation", "train", "test"])
def test_a_part_of_the_generators_images_is_refused_when_they_have_changed(
    service: Service, tmp_path: Path, reference: str
) -> None:
    data = npz(tmp_path / "x.npz")
    generator, made = lab(service, data)
    values = {"images": made, "reference": reference}
    service.check("fidelity", values)
    sweep = {"source": generator, "reference": reference, "values": (0.0, 1.0)}
    service.check("sweep", sweep)
    former = Path(shutil.copy(data, tmp_path / "former.npz"))
    changed(data)
    if reference == "test":
        service.check("fidelity", values)
        service.check("sweep", sweep)
        return
    for kind, given in (("fidelity", values), ("sweep", sweep)):
        with pytest.raises(Refused, match="have changed since the generator") as error:
            service.check(kind, given)
        assert error.value.field == "reference"
        assert f"{data}" in str(error.value) and "choose test" in str(error.value)
    run = new_run(service.store, "fidelity", values)
    with pytest.raises(SpecError, match="have changed"):  # a run that waited in the queue
        list(fidelity(context(service.store, run)))
    # the former images in another folder are right
    spec = service.check("fidelity", {**values, "data_dir": str(former)})
    with pytest.raises(Refused, match="does not hold the images that the generator"):
        service.check("fidelity", {**values, "data_dir": str(data)})
    sets = compared_sets(context(service.store, run), spec)
    assert not sets.others
    expected = catalog.load("mnist", str(former)).train_images
    kept = {image.tobytes() for image in expected}
    assert all(image.tobytes() in kept for image in sets.reference)
    assert len(sets.reference) == {"validation": 30, "train": 120}[reference]
    # a sweep against T trains generators on the images of now
    service.check("sweep", {**sweep, "axis": "num_train_timesteps", "values": (500, 1000)})


def test_another_folder_is_used_if_it_holds_the_same_images_and_refused_otherwise(
    service: Service, tmp_path: Path
) -> None:
    data, other = npz(tmp_path / "x.npz"), npz(tmp_path / "other.npz", seed=1)
    _, made = lab(service, data)
    same = Path(shutil.copy(data, tmp_path / "same.npz"))
    with pytest.raises(Refused, match="does not hold the images that the generator") as error:
        service.check("fidelity", {"images": made, "data_dir": str(other)})
    assert error.value.field == "data_dir" and f"{other}" in str(error.value)
    with pytest.raises(Refused, match="does not exist"):
        service.check("fidelity", {"images": made, "data_dir": str(tmp_path / "none")})
    here = service.check("fidelity", {"images": made})
    there = service.check("fidelity", {"images": made, "data_dir": str(same)})
    assert service.hash_of(here) == service.hash_of(there)
    data.unlink()
    forget()
    with pytest.raises(Refused, match="does not exist"):
        service.check("fidelity", {"images": made})
    there = service.check("fidelity", {"images": made, "data_dir": str(same)})
    run = new_run(service.store, "fidelity", there.model_dump())
    assert compared_sets(context(service.store, run), there).data_dir == str(same)


def test_a_measurement_against_other_test_images_says_it(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = npz(tmp_path / "x.npz")
    generator, made = lab(service, data)
    monkeypatch.setattr(task, "extractor_of", untrained)
    run = new_run(service.store, "fidelity", {"images": made})

    def results() -> tuple[list[str], dict[str, Any]]:
        events = list(fidelity(context(service.store, run)))
        return [e["text"] for e in events if e.get("level") == "warning"], events[-1]["values"]

    said, result = results()
    assert not said and "other_images" not in result["reference"]
    assert wording.OTHER_IMAGES not in about(result)
    changed(data)
    said, result = results()
    assert said == [wording.OTHER_IMAGES] and result["reference"]["other_images"] is True
    assert wording.OTHER_IMAGES in about(result)
    values = {"source": generator, "reference": "test", "values": (1.0,)}
    group, children = new_group(service.store, "sweep", values)
    finish(children["set:1"], {"seconds": 1.0})
    finish(children["fidelity:1"], result)
    assert wording.OTHER_IMAGES in report(group, service.store)["reference_note"]


def untrained(ctx: Any, spec: FidelitySpec, sets: Sets) -> Any:
    """A classifier that need not be trained."""
    from dreamlab.classifiers.networks import build

    yield {"type": "progress"}
    torch.manual_seed(0)
    info = sets.data.info
    network = build("cnn", info.channels, info.size, len(info.classes)).eval()
    return ClassifierExtractor(network, "cpu"), 0.5


def test_what_an_unknown_generator_was_trained_on_is_not_guessed(
    service: Service, tmp_path: Path
) -> None:
    """A generator of a version that did not hash its images."""
    data = npz(tmp_path / "x.npz")
    old = new_run(service.store, "train", {"dataset": "mnist", "data_dir": str(data)})
    made = new_run(service.store, "synthesize", {"source": old.id})
    imageset.save(made.path, np.zeros((20, 28, 28, 1), np.uint8), np.arange(20) % 10)
    known = Known(service.store)
    spec = make(FidelitySpec, {"images": made.id, "reference": "train"})
    check(spec, known)
    changed(data)
    check(spec, known)
    data.unlink()
    other = npz(tmp_path / "other.npz")
    with pytest.raises(SpecError, match="is not known to hold"):
        check(make(FidelitySpec, {"images": made.id, "data_dir": str(other)}), known)


# ---- the column of real images


def one_sided(store: RunStore) -> str:
    """300 images of class 8 and 2 of each other class of the 8x8 digits."""
    data = catalog.load("digits")
    counts = np.full(10, 2)
    counts[8] = 300
    labels = np.repeat(np.arange(10), counts)
    pick = [np.flatnonzero(data.train_labels == c)[i % 50] for i, c in enumerate(labels)]
    generator = new_run(store, "train", {"dataset": "digits"})
    made = new_run(store, "synthesize", {"source": generator.id})
    imageset.save(made.path, data.train_images[pick], labels)
    return made.id


def test_the_column_of_real_images_is_empty_where_their_classes_cannot_be_those_of_the_set(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "extractor_of", untrained)
    run = new_run(service.store, "fidelity", {"images": one_sided(service.store)})
    result = list(fidelity(context(service.store, run)))[-1]["values"]
    held = int((catalog.load("digits").train_labels == 8).sum())
    assert held < 300 < len(catalog.load("digits").train_labels)
    assert result["real_floor"] == [] and result["real_floor_images"] == 0
    assert result["real_floor_lacks"] == {"class": "8", "synthetic": 300, "real": held}
    assert not wording.comparable(result)
    said = wording.about_floor(result)
    assert f"300 images of class 8, and the training split only {held}" in said
    assert said in reading(result)
    json.dumps(result)


# ---- the file of weights


def test_a_file_of_another_kind_is_no_inception_weights(service: Service, tmp_path: Path) -> None:
    made = one_sided(service.store)
    finish(service.get(made), {"images": 318})
    files = {
        "text.pth": lambda p: p.write_text("hello"),
        "empty.pth": lambda p: p.write_bytes(b""),
        "pickle.pth": lambda p: p.write_bytes(pickle.dumps({"w": 1})),
        "zip.pth": lambda p: zipfile.ZipFile(p, "w").close(),
        "cut.pth": lambda p: p.write_bytes(b"PK\x03\x04 and no more"),
        "model.safetensors": lambda p: p.write_bytes(b"\x08" + b"\0" * 7 + b'{"w": 1}'),
        "resnet.pth": lambda p: torch.save({"conv1.weight": torch.zeros(3)}, p),
        "legacy.pth": lambda p: torch.save(
            {"conv1.weight": torch.zeros(3)}, p, _use_new_zipfile_serialization=False
        ),
        "folder": lambda p: p.mkdir(),
    }
    for name, make_file in files.items():
        make_file(tmp_path / name)
        with pytest.raises(Refused, match="^Inception weights .*give the file weights-") as error:
            service.check(
                "fidelity",
                {
                    "images": made,
                    "extractor": "inception",
                    "inception_weights": str(tmp_path / name),
                },
            )
        assert error.value.field == "inception_weights", name


@pytest.mark.parametrize("zipped", [True, False])
def test_files_with_the_names_of_inception_pass_and_incomplete_ones_do_not(
    tmp_path: Path, zipped: bool
) -> None:
    names = [name.decode() for name in NAMES]
    file = tmp_path / "inception.pth"

    def write(size: int, *more: str) -> None:
        state = {name: torch.zeros(size, dtype=torch.uint8) for name in (*names, *more)}
        torch.save(state, file, _use_new_zipfile_serialization=zipped)

    write(FEWEST_BYTES // 3 + 1)
    check_weights(str(file))
    write(FEWEST_BYTES // 4 + 1, "AuxLogits.fc.weight")
    with pytest.raises(SpecError, match="weights of another network"):
        check_weights(str(file))
    write(10)
    with pytest.raises(SpecError, match="must be incomplete"):
        check_weights(str(file))


def test_a_sweep_refuses_such_weights_too(service: Service, tmp_path: Path) -> None:
    generator, _ = lab(service, npz(tmp_path / "x.npz"))
    (tmp_path / "w.pth").write_text("hello")
    values = {
        "source": generator,
        "extractor": "inception",
        "inception_weights": str(tmp_path / "w.pth"),
    }
    with pytest.raises(SpecError, match="not a file of PyTorch weights"):
        check(make(SweepSpec, values), Known(service.store))
