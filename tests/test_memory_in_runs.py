"""Memory of the training set in runs: measured by a fidelity run, shown, asked for by the command
line, and left out of a mix."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from dreamlab.checks import Known
from dreamlab.checks.classify import check_classify
from dreamlab.cli import main
from dreamlab.data import catalog, memory, memory_report
from dreamlab.data.selection import selected
from dreamlab.experiments.children import Children
from dreamlab.experiments.mix import report as mix_report
from dreamlab.experiments.mix.plan import MixArm
from dreamlab.service import Refused, Service, Submitted, export
from dreamlab.service import memory as memory_of
from dreamlab.settings import KINDS, ClassifySpec, FidelitySpec, SpecError, TrainSpec, make
from dreamlab.store import Run, RunStore
from dreamlab.tasks.classify.task import classify
from dreamlab.tasks.fidelity.task import fidelity
from dreamlab.tasks.memory import in_set
from dreamlab.ui.pages.mix import answer
from dreamlab.ui.parts.memory import memory_html
from dreamlab.ui.shell import act
from dreamlab.ui.view import Pages, View
from tests.arm_helpers import new_import
from tests.evidence_helpers import context, finish, new_run, new_set, new_store
from tests.html_helpers import text
from tests.near_copy_helpers import drained

PLANTED = 8
DIGITS = catalog.load("digits")
ON, OFF = {"without_near_copies": True}, {"without_near_copies": False}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunStore]:
    yield new_store(tmp_path_factory.mktemp("memory"))


@pytest.fixture(scope="module")
def made(lab: RunStore) -> Run:
    """A set of images that its generator has not seen, and the first ones that it has."""
    generator = new_run(lab, "train", {"dataset": "digits", "images_per_class": 60})
    finish(generator, {"real_images": 600})
    return new_set(lab, generator, *seen_and_unseen(DIGITS))


def seen_and_unseen(data: catalog.DataSet) -> tuple[np.ndarray, np.ndarray]:
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


def test_a_set_of_an_unknown_generator_is_compared_with_all_training_images(lab: RunStore) -> None:
    order = np.random.default_rng(0).permutation(1200)[:40]
    images, labels = DIGITS.train_images[order], DIGITS.train_labels[order]
    foreign = new_import(lab, images[:, :, ::-1].copy(), labels, 40, dataset="digits")
    found = drained(in_set(context(lab, foreign), foreign, DIGITS, ""))
    assert not found.known and found.references == 1200
    assert found.left_out().tolist() == list(range(40))
    assert np.array_equal(found.spaces["pixels"].training, order)
    assert "which of them the generator was trained on is not known" in memory_report.compared(
        memory.summary(found)
    )
    again = drained(in_set(context(lab, foreign), foreign, DIGITS, ""))
    assert again is memory.load(foreign.path)


def test_the_page_shows_shares_a_picture_and_a_sentence_on_privacy(
    lab: RunStore, measured: tuple[Run, dict[str, Any]]
) -> None:
    service, (run, result) = Service(lab.folder), measured
    html = memory_html(service, service.row(run.id))
    words = text(html)
    pixels = result["memory"]["spaces"][0]
    assert f"In pixels, {pixels['flagged']} of the 308 images" in words
    assert "where 0.84 % are expected" in words and "Chance does not explain" in words
    assert "the 600 training images of the generator" in words
    assert "no privacy guarantee" in words and "data:image/png" in html
    assert html.count("<tr><td>") == 10 and "0 of 5" in words
    assert not memory_html(service, None)
    images = run.spec.images  # type: ignore[attr-defined]
    more, usual = (
        service.estimate(make(FidelitySpec, {"images": images, "metrics": m})).seconds
        for m in (("kid", "memory"), ("kid",))
    )
    assert more is not None and usual is not None and more > usual
    other = new_run(lab, "fidelity", {"images": images})
    finish(other, {"metrics": [], "images": 1})
    assert not memory_html(Service(lab.folder), Service(lab.folder).row(other.id))


def classified(store: RunStore, made: Run, **values: Any) -> dict[str, Any]:
    fixed = {"dataset": "digits", "images_per_class": 25, "steps": 3, "seeds": 1, "arm": "real+1x"}
    run = new_run(store, "classify", {**fixed, "synthetic": made.id, **values})
    result: dict[str, Any] = list(classify(context(store, run)))[-1]["values"]
    finish(run, result)
    return {**result, "run": run.id}


def test_a_classifier_leaves_flagged_images_out_and_says_which(lab: RunStore, made: Run) -> None:
    whole, without = (classified(lab, made, without_near_copies=w) for w in (False, True))
    assert "left_out" not in whole
    known = memory.load(made.path)
    assert known is not None
    assert without["left_out"] == {
        "run": made.id,
        "images": known.left_out().tolist(),
        "of": PLANTED + 300,
    }
    assert set(range(PLANTED)) <= set(without["left_out"]["images"])
    labels = np.delete(known.labels, known.left_out())
    held = np.minimum(np.bincount(labels), 25).tolist()
    assert without["counts_per_class"]["synthetic"] == held
    reader = Service(lab.folder)
    *_, all_of, _ = export._contents(reader, reader.get(whole["run"]), "", 0)
    *_, rest, card = export._contents(reader, reader.get(without["run"]), "", 0)
    left = {f"synthetic: {made.id} image {i}" for i in without["left_out"]["images"]}
    assert not left & set(rest) and left & set(all_of)
    # what is left out is replaced, the rest is drawn as before
    assert set(all_of) - left <= set(rest)
    assert card["left_out"] == {"run": made.id, "images": without["left_out"]["images"]}
    with pytest.raises(SpecError, match="no synthetic images that could be left out"):
        spec = make(ClassifySpec, {"dataset": "digits", "without_near_copies": True})
        check_classify(spec, Known(lab))


def test_a_mix_without_near_copies_computes_only_arms_with_synthetic_images(
    lab: RunStore, made: Run, measured: tuple[Run, dict[str, Any]]
) -> None:
    service = Service(lab.folder)
    finish(made, {"seconds": 1.0})
    values = {"dataset": "digits", "images_per_class": 25, "arms": ("real", "real+1x")}
    mix = service.submit(service.check("mix", {**values, "sets": (made.id,), "seeds": 3})).run
    before = service.get(mix)
    other = service.without_near_copies(mix)
    after = service.get(other.run)
    assert not other.reused and after.spec.without_near_copies  # type: ignore[attr-defined]
    kept = {role for role, run in before.record.roles.items() if after.record.roles[role] == run}
    assert kept == {"arm:real", "control:augmented", "control:duplicated+1x", "control:noise+1x"}
    assert set(after.record.roles) - kept == {f"arm:{made.id}:real+1x", f"arm:{made.id}:synthetic"}
    assert service.without_near_copies(mix) == Submitted(other.run, True)
    assert memory_of.copied_sets(service, before).keys() == {made.id}
    assert [row.id for row in memory_of.mixes(service, made.id)] == []  # it is not done
    pages = Pages(service)
    assert "Gain without" not in answer(pages, service.row(mix))
    for part in {*before.record.children, *after.record.children} - {made.id}:
        finish(lab.get(part), {})
    for one in (before, after):
        finish(one, {"verdict": None, "generators": [], "arms": []})
    service = Service(lab.folder)
    pages = Pages(service)
    button = 'data-act="without-copies" data-run="'
    assert f'{button}{mix}"' in answer(pages, service.row(mix))
    assert button not in answer(pages, service.row(other.run))
    html = memory_html(service, service.row(measured[0].id))
    assert f'{button}{mix}"' in html and other.run not in html
    view = act(pages, View(tab="fidelity"), {"act": "without-copies", "run": mix})
    assert (view.tab, view.run("mix")) == ("mix", other.run)
    with pytest.raises(Refused, match="only a mix"):
        service.without_near_copies(made.id)
    hashed = make(KINDS["mix"], values)
    assert hashed.content_hash() == make(KINDS["mix"], {**values, **OFF}).content_hash()
    assert hashed.content_hash() != make(KINDS["mix"], {**values, **ON}).content_hash()


def test_the_report_of_a_mix_says_what_was_left_out_of_each_set_once() -> None:
    held = {"left_out": {"run": "SET", "images": [3, 5], "of": 1000}}
    of_arms = cast(Children, SimpleNamespace(result=lambda role: held if role else None))
    arms = [MixArm(role, "real+1x", "SET", True, {}) for role in ("one", "two", "")]
    text_of = "Left out as near-copies of training images: 2 of the 1,000 images of SET."
    assert mix_report._left_out(arms, of_arms) == [text_of]


def said(*words: str) -> tuple[int, str]:
    """(exit status, stdout and stderr) of a command in this process."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = main(list(words))
    return status, out.getvalue()


def test_the_command_line_names_the_neighbours_of_an_image(
    lab: RunStore, made: Run, measured: tuple[Run, dict[str, Any]], tmp_path: Path
) -> None:
    run, _ = measured
    common = ("--runs", str(lab.folder))
    for name in (run.id, made.id):
        status, words = said("neighbours", name, "--image", "3", "--json", *common)
        found = json.loads(words.splitlines()[-1])["result"]
        assert status == 0 and (found["set"], found["measured_by"]) == (made.id, run.id)
        pixels, features = found["spaces"]
        assert pixels["flagged"] and features["flagged"] and pixels["ratio"] == 0
        assert pixels["training"]["image"] == features["training"]["image"]
        assert pixels["training"]["class"] == found["class"] and found["known"]
        assert pixels["training"]["distance"] < pixels["held_out"]["distance"]
        assert 0 < pixels["limit"] < 1 and "no privacy guarantee" in found["note"]
    file = tmp_path / "row.png"
    status, words = said("neighbours", run.id, "--image", "100", "--to", str(file), *common)
    assert status == 0 and "nearest held-out image" in words and "no privacy guarantee" in words
    assert "Traceback" not in words and file.is_file()
    other = new_set(lab, new_run(lab, "train", {"dataset": "digits"}), *seen_and_unseen(DIGITS))
    for asked, sentence in (
        ((run.id, "--image", "308"), "has the images 0 to 307"),
        ((run.id, "--image", "-1"), "must be a whole number"),
        ((run.id, "--image", "one"), "must be a whole number"),
        ((other.id, "--image", "0"), "--metrics memory` finds them"),
        (("nothing", "--image", "0"), "nothing"),
        ((made.record.spec["source"], "--image", "0"), "name a synthetic set"),
        ((run.id, "--image", "0", "--to", str(file)), "exists already"),
        ((run.id, "--image", "0", "--to", "a.jpg"), "must end in .png"),
    ):
        status, words = said("neighbours", *asked, *common)
        assert status == 2 and sentence in words and words.strip().count("\n") == 0, words
