"""A set is judged on the images of the mix that uses it, whatever its generator's folder holds by
then, and never by a classifier that gave its labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from dreamlab.architecture.cost import parameter_count
from dreamlab.architecture.network import network_of
from dreamlab.data import catalog, contents, imageset
from dreamlab.experiments import quality, report
from dreamlab.experiments.provenance import labelled_by
from dreamlab.service import Service
from dreamlab.settings import ImportSpec, SynthesizeSpec, TrainSpec, make
from dreamlab.stats import generator_quality as rule
from dreamlab.store import Run, RunStore, checkpoints, read_json
from dreamlab.tasks.experiment import mix as mix_task
from dreamlab.tasks.fidelity import recognition
from dreamlab.tasks.fidelity.sets import compared_sets
from dreamlab.tasks.fidelity.task import fidelity
from tests.arm_helpers import new_import
from tests.content_helpers import done, npz
from tests.evidence_helpers import context, finish, finish_classifier, new_run, new_store
from tests.import_helpers import do_import
from tests.near_copy_helpers import drained
from tests.test_checkpoints import write
from tests.test_generator_quality import stored
from tests.test_identity import forget

STEPS = {"steps": 3, "base_width": 8}
SAMPLED = {"seconds": 1.0, "images_per_second": 100.0}
GATED = "Under-trained generator: 21 % of its samples"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose engine never starts."""
    monkeypatch.setattr(Service, "keep_engine", lambda self: None)
    return Service(new_store(tmp_path / "lab").folder)


def trained(service: Service, folder: Path, **more: Any) -> str:
    """The id of a finished training on the images of a folder."""
    values = {"dataset": "mnist", "data_dir": str(folder), **STEPS, **more}
    run = done(service, service.submit(service.check("train", values)).run)
    spec = cast(TrainSpec, service.get(run).spec)
    weights = checkpoints.path_of(service.get(run).path)
    write(weights, parameter_count(network_of(spec)), format=checkpoints.FORMAT)
    return run


def mixed(service: Service, generator: str, folder: Path) -> tuple[Run, Run, bool]:
    """(mix on the images of a folder, its set, whether that was there) whose classifiers are done.
    The set is the one of an earlier mix if that has the same hash."""
    values = {
        "dataset": "mnist",
        "data_dir": str(folder),
        "sources": (generator,),
        "arms": ("real", "50/50"),
        "controls": (),
        "seeds": 3,
        "steps": 10,
    }
    group = service.get(service.submit(service.check("mix", values)).run)
    role = next(r for r in group.record.roles if r.startswith("set:"))
    made = service.get(group.record.roles[role])
    old = made.result() is not None
    for run_id in group.record.roles.values():
        run = service.get(run_id)
        if run.kind == "classify":
            finish_classifier(run, np.arange(20) % 10, [0.9, 0.91, 0.89])
    if not old:
        labels = np.arange(200) % 10
        images = np.random.default_rng(5).integers(0, 256, (200, 28, 28, 1), np.uint8)
        imageset.save(made.path, images, labels)
    return group, made, old


def judged(service: Service, made: Run) -> dict[str, Any]:
    """What the worker of a set adds to its result."""
    spec = made.spec
    assert isinstance(spec, SynthesizeSpec)
    found: dict[str, Any] = drained(
        recognition.for_mix(context(service.store, made), spec, *imageset.load(made.path))
    )
    return found


def test_what_was_measured_on_other_images_is_measured_again(
    service: Service, tmp_path: Path
) -> None:
    one, two = npz(tmp_path / "one" / "x.npz"), npz(tmp_path / "two" / "x.npz", seed=1)
    generator = trained(service, one)
    first, made, old = mixed(service, generator, one)
    content = contents.images_of("mnist", str(one))
    assert not old and judged(service, made)["recognition"]["images"] == content
    finish(made, {**SAMPLED, "images": 200, "recognition": stored(0.21, 0.965, images=content)})
    (event,) = mix_task(context(service.store, first))
    assert event["values"]["verdict"]["text"].startswith(GATED)
    # the set of the second mix is the first one: its hash does not hold the images
    second, again, old = mixed(service, generator, two)
    assert old and again.id == made.id
    assert report(second, service.store)["generators"][0]["recognition"] is None
    found = list(mix_task(context(service.store, second)))[-1]["values"]
    (said,) = found["generators"]
    assert said["recognition"]["images"] == contents.images_of("mnist", str(two))
    assert "20 held-out real images" in said["quality"]["text"]  # too few to judge on
    assert "96.5 %" not in str(found) and not found["verdict"]["text"].startswith("Under")
    assert set(read_json(second.path / quality.FILE)) == {made.id}
    # the same images elsewhere are the same
    copy = shutil.copy(one, tmp_path / "copy.npz")
    third, _, _ = mixed(service, generator, Path(copy))
    (event,) = mix_task(context(service.store, third))
    assert event["values"]["verdict"]["text"].startswith(GATED)


@pytest.mark.parametrize("gone", [True, False])
def test_a_set_whose_generators_images_are_gone_or_others_is_judged_by_the_mix(
    service: Service, tmp_path: Path, gone: bool
) -> None:
    own, elsewhere = npz(tmp_path / "own.npz"), npz(tmp_path / "elsewhere.npz")
    generator = trained(service, own)
    if gone:
        own.unlink()
    else:
        npz(own, seed=1)
    forget()
    group, made, _ = mixed(service, generator, elsewhere)
    assert judged(service, made) == {}
    finish(made, {**SAMPLED, "images": 200})
    found = list(mix_task(context(service.store, group)))[-1]["values"]
    measured = found["generators"][0]["recognition"]
    assert measured["images"] == contents.images_of("mnist", str(elsewhere))


def test_what_a_mix_measured_before_is_kept_when_it_measures_more(
    service: Service, tmp_path: Path
) -> None:
    data = npz(tmp_path / "x.npz")
    group, made, _ = mixed(service, trained(service, data), data)
    finish(made, {**SAMPLED, "images": 200})
    list(mix_task(context(service.store, group)))
    first = read_json(group.path / quality.FILE)
    kept = {**first, "another": {"reason": "x"}}
    kept[made.id] = {"reason": "of other images", "images": "0"}
    (group.path / quality.FILE).write_text(json.dumps(kept))
    list(mix_task(context(service.store, group)))
    assert read_json(group.path / quality.FILE) == {**first, "another": {"reason": "x"}}


# ---- labels that a classifier gave


def pseudo_set(store: RunStore) -> Run:
    data = catalog.load("digits")
    generator = new_run(store, "train", {"dataset": "digits", "conditional": False})
    made = new_run(store, "synthesize", {"source": generator.id, "labeller": "all"})
    imageset.save(made.path, data.train_images[:60], np.asarray(data.train_labels[:60]))
    finish(made, {"images": 60})
    return made


def imported(store: RunStore, source: Path) -> Run:
    values = {"source": str(source), "role": "synthetic", "dataset": "digits"}
    run = new_run(store, "import", values)
    spec = make(ImportSpec, values)
    result, _ = do_import(source, run.path, role=spec.role, dataset=spec.dataset)
    finish(run, result)
    catalog.add_runs_folder(store.folder)
    return run


@pytest.mark.parametrize("suffix", ["", ".zip", ".npz"])
def test_an_exported_set_with_pseudo_labels_is_not_judged_after_its_import(
    service: Service, tmp_path: Path, suffix: str
) -> None:
    store = service.store
    made = pseudo_set(store)
    service.export(made.id, tmp_path / f"out{suffix}")
    back = imported(store, tmp_path / f"out{suffix}")
    by = {"labeller": "all", "run": made.id}
    assert labelled_by(made) == labelled_by(back) == by
    result = back.result() or {}
    assert result["labelled_by"] == by and "a classifier gave the labels" in result["notes"][0]
    run = new_run(store, "fidelity", {"images": back.id})
    assert compared_sets(context(store, run), run.spec).pseudo
    images, labels = imageset.load(back.path)
    found = drained(
        recognition.recognised(context(store, back), back, "digits", "", images, labels)
    )
    assert found["reason"] == rule.PSEUDO_LABELLED and "recognised" not in found
    # exported once more, it still says so
    service.export(back.id, tmp_path / f"again{suffix}")
    assert labelled_by(imported(store, tmp_path / f"again{suffix}")) == by


def test_the_card_of_an_earlier_export_says_it_in_its_settings(
    service: Service, tmp_path: Path
) -> None:
    made = pseudo_set(service.store)
    target = tmp_path / "out"
    service.export(made.id, target)
    card = read_json(target / "card.json")
    del card["labelled_by"]
    (target / "card.json").write_text(json.dumps(card))
    assert labelled_by(imported(service.store, target)) == {"labeller": "all", "run": made.id}
    card["settings"]["labeller"] = "none"
    (target / "card.json").write_text(json.dumps(card))
    assert labelled_by(imported(service.store, target)) is None
    for text in ("[1]", "{", '{"made_by": "DreamLab", "labelled_by": 3, "settings": 4}'):
        (target / "card.json").write_text(text)
        assert labelled_by(imported(service.store, target)) is None


def test_a_fidelity_says_nothing_of_recognition_and_the_page_says_why(service: Service) -> None:
    store = service.store
    data = catalog.load("digits")
    by = {"labeller": "own", "run": "20260101-000000-synthesize-x-abcd"}
    images, labels = data.train_images[:60], np.asarray(data.train_labels[:60])
    back = new_import(store, images, labels, 60, dataset="digits", labelled_by=by)
    plain = new_import(store, images, labels, 60, dataset="digits")
    assert contents.import_of(back.id) != contents.import_of(plain.id)  # their results differ
    run = new_run(store, "fidelity", {"images": back.id})
    result = list(fidelity(context(store, run)))[-1]["values"]
    assert result["recognised"] is None and result["pseudo_labelled"]
