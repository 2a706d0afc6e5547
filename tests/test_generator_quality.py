"""Whether a generator was trained enough for a verdict: the rule and its sentences, what workers
measure, and what reports, tables and pages say first."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dreamlab.data import catalog, judge
from dreamlab.experiments import quality, report
from dreamlab.service import Service, tables
from dreamlab.service.library import headline
from dreamlab.settings import ClassifySpec, SynthesizeSpec, make
from dreamlab.stats import generator_quality as rule
from dreamlab.store import ArtefactCache, Run, RunStore, read_json
from dreamlab.tasks.context import TaskContext
from dreamlab.tasks.experiment import mix as mix_task
from dreamlab.tasks.fidelity import recognition
from dreamlab.tasks.train.task import train
from dreamlab.ui.pages import train as train_page
from dreamlab.ui.parts import mix_pictures
from tests import task_helpers
from tests.evidence_helpers import (
    context,
    finish,
    finish_classifier,
    new_group,
    new_run,
    new_set,
    new_store,
)
from tests.train_helpers import TINY

ARMS: dict[str, Any] = {
    "dataset": "digits",
    "images_per_class": 10,
    "controls": (),
    "arms": ("real", "50/50"),
    "seeds": 3,
    "steps": 60,
}


def stored(recognised: float, accuracy: float = 0.98, **more: Any) -> dict[str, Any]:
    samples = more.pop("samples", 300)
    found = rule.recognition(round(recognised * samples), samples, accuracy, 1000, "abc")
    return {**dataclasses.asdict(found), **more}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


@pytest.fixture(scope="module")
def digits() -> catalog.DataSet:
    return catalog.load("digits")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArtefactCache]:
    """Shared, so that the judge of the digits is trained once, with fewer steps than usual."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "DEFAULT_RECIPE", judge.JudgeRecipe("cnn", 200, 64, 4e-3))
        yield ArtefactCache(tmp_path_factory.mktemp("cache"))


def held(data: catalog.DataSet, per_class: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Real training images as stand-ins for good samples, and their labels."""
    index = np.concatenate([np.flatnonzero(data.train_labels == c)[-per_class:] for c in range(10)])
    return data.train_images[index], data.train_labels[index]


def scribbles(labels: np.ndarray) -> np.ndarray:
    shape = (len(labels), 8, 8, 1)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


# ---- the rule


@pytest.mark.parametrize(
    ("recognised", "accuracy", "state"),
    [
        (0.21, 0.98, "under-trained"),
        (0.88, 0.98, "under-trained"),  # 0.898
        (0.89, 0.98, "good"),  # 0.908
        (1.0, 0.98, "good"),
        (1.0, 0.76, "above"),
        (0.9, 0.76, "good"),  # 1.18
        (0.3, 0.59, "not judged"),
        (0.3, 0.6, "under-trained"),
    ],
)
def test_a_generator_is_judged_relative_to_real_images(
    recognised: float, accuracy: float, state: str
) -> None:
    found = rule.quality(stored(recognised, accuracy))
    assert found.state == state
    assert (found.ratio is None) == (state == "not judged")
    if found.ratio is not None:
        assert found.ratio == pytest.approx(recognised / accuracy)


def test_the_sentence_holds_both_numbers_and_never_rounds_up_to_enough() -> None:
    found = rule.quality(stored(0.21))
    assert "21 % (95 % interval 16.8 to 26.0) of 300 samples" in found.text
    assert "98 % of 1,000 held-out real images, 0.21 times" in found.text
    close = rule.quality(stored(0.8998, 1.0, samples=10_000))
    assert close.state == "under-trained" and "0.89 times" in close.text


def test_far_above_one_is_a_sign_and_says_what_the_judge_shares() -> None:
    found = rule.quality(stored(1.0, 0.76, shared=585, seen=585))
    assert ". " not in found.text and "1.31 times" in found.text  # one sentence
    for words in ("copies", "guidance", "learned from the same images", "585 of the 585"):
        assert words in found.text
    assert "copies" not in rule.quality(stored(1.0, 0.98)).text


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (stored(0.2, 0.52), "only 52 % of 1,000 held-out real images, and 60 % is needed"),
        (stored(0.2, 0.98, real_images=99), "99 held-out real images"),
        ({"reason": rule.PSEUDO_LABELLED}, "labels come from a classifier"),
        (None, "was not measured"),
        ({}, "was not measured"),
    ],
)
def test_where_the_judge_is_no_judge_there_is_neither_number_nor_gate(
    found: dict[str, Any] | None, words: str
) -> None:
    judged = rule.quality(found)
    assert judged.state == "not judged" and judged.ratio is None and words in judged.text
    assert rule.caution([{"name": "x", "recognition": found, "quality": vars(judged)}]) == ""


def test_the_caution_names_each_generator_and_its_steps() -> None:
    def generator(name: str, share: float, **more: Any) -> dict[str, Any]:
        found = stored(share)
        return {
            "name": name,
            "recognition": found,
            "quality": dataclasses.asdict(rule.quality(found)),
            **more,
        }

    weak = generator("A", 0.21, steps=62, promised_steps=900)
    assert rule.caution([weak]) == (
        "Under-trained generator: 21 % of its samples are recognised as their class, and 98 % of"
        " held-out real images; it took 62 of about 900 steps. "
    )
    both = rule.caution([weak, generator("B", 0.97), generator("C", 0.5, foreign=True)])
    assert "generator (A): 21 %" in both and "or wrong labels (C): 50 %" in both
    assert "(B)" not in both
    assert rule.caution([generator("B", 0.97)]) == ""


@pytest.mark.parametrize(
    ("steps", "promised", "said"),
    [
        (7, 990, "7 of about 990 steps"),
        (494, 990, "494 of about 990 steps"),
        (495, 990, ""),
        (2000, 990, ""),
        (7, None, ""),
        (None, 990, ""),
        (0, 990, "0 of about 990 steps"),
    ],
)
def test_far_fewer_steps_than_promised_are_said(
    steps: int | None, promised: int | None, said: str
) -> None:
    assert rule.far_fewer(steps, promised) == said


# ---- what the workers measure


def measure(
    store: RunStore, cache: ArtefactCache, images: np.ndarray, labels: np.ndarray, **settings: Any
) -> dict[str, Any]:
    source = new_run(store, "train", {"dataset": "digits", "images_per_class": 10})
    run = new_run(store, "synthesize", {"source": source.id, **settings})
    ctx = TaskContext(run, store, cache)
    work = recognition.recognised(ctx, run, "digits", "", images, labels)
    while True:
        try:
            next(work)
        except StopIteration as done:
            return dict(done.value)


def test_real_images_are_recognised_and_scribbles_and_wrong_labels_are_not(
    store: RunStore, cache: ArtefactCache, digits: catalog.DataSet
) -> None:
    images, labels = held(digits)
    good = measure(store, cache, images, labels)
    assert rule.quality(good).state == "good" and good["recognised"] > 0.97
    assert good["samples"] == 200 and good["real_images"] == len(digits.test_labels)
    assert (good["shared"], good["seen"]) == (100, 100)  # the judge saw all training images
    assert good["low"] < good["recognised"] <= good["high"]
    weak = measure(store, cache, scribbles(labels), labels)
    assert rule.quality(weak).state == "under-trained" and weak["recognised"] < 0.3
    assert weak["accuracy"] == good["accuracy"] and weak["judge"] == good["judge"]
    swapped = measure(store, cache, images, (labels + 1) % 10)
    assert swapped["recognised"] < 0.05


def test_the_accuracy_is_that_on_the_classes_of_the_set(
    store: RunStore, cache: ArtefactCache, digits: catalog.DataSet
) -> None:
    images, labels = held(digits)
    few = np.isin(labels, (0, 1, 8))
    part = measure(store, cache, images[few], labels[few])
    tested = np.isin(digits.test_labels, (0, 1, 8))
    assert part["real_images"] == tested.sum() >= rule.HELD_OUT
    whole = measure(store, cache, images, labels)
    assert part["accuracy"] != whole["accuracy"]
    one = measure(store, cache, images[labels == 3], labels[labels == 3])
    assert "held-out real images" in one["reason"]  # about 36 digits of one class are too few


def test_pseudo_labels_give_a_reason_and_no_number(
    store: RunStore, cache: ArtefactCache, digits: catalog.DataSet
) -> None:
    images, labels = held(digits)
    found = measure(store, cache, images, labels, labeller="all")
    assert found["reason"] == rule.PSEUDO_LABELLED and "recognised" not in found


# ---- what a mix says


def mix_of(
    store: RunStore, data: catalog.DataSet, images: np.ndarray, labels: np.ndarray
) -> tuple[Run, dict[str, Run], Run]:
    """A mix on a finished set whose own result says nothing about recognition."""
    made = new_set(store, new_run(store, "train", {"dataset": "digits"}), images, labels)
    finish(made, {"images": len(labels)})
    group, children = new_group(store, "mix", {**ARMS, "sets": (made.id,)})
    for run in children.values():
        spec = run.spec
        assert isinstance(spec, ClassifySpec)
        best = 0.9 if spec.arm == "real" else 0.8
        finish_classifier(run, data.test_labels, [best, best + 0.01, best - 0.01])
    return group, children, made


@pytest.mark.parametrize("good", [True, False])
def test_a_set_that_was_not_judged_is_judged_by_the_mix_before_its_verdict(
    store: RunStore, cache: ArtefactCache, digits: catalog.DataSet, good: bool
) -> None:
    images, labels = held(digits)
    group, _, made = mix_of(store, digits, images if good else scribbles(labels), labels)
    result = list(mix_task(TaskContext(group, store, cache)))[-1]["values"]
    (generator,) = result["generators"]
    assert generator["sets"] == [made.id]
    text, own = result["verdict"]["text"], generator["verdict"]["text"]
    if good:
        assert generator["quality"]["state"] == "good" and text.startswith("Synthetic data hurts")
    else:
        assert generator["quality"]["state"] == "under-trained"
        for said in (text, own):
            assert said.startswith("Under-trained generator: ") and "Synthetic data hurts" in said
    assert headline("mix", result) == text  # the line that the command line and lists show
    assert set(read_json(group.path / quality.FILE)) == {made.id}
    assert report(group, store)["generators"] == result["generators"]  # reports only read


def test_what_is_stored_with_a_set_is_read_and_not_measured_again(
    store: RunStore, digits: catalog.DataSet
) -> None:
    images, labels = held(digits)
    group, _, made = mix_of(store, digits, images, labels)
    finish(made, {"images": 200, "recognition": stored(0.21)})
    (event,) = mix_task(context(store, group))
    assert event["values"]["verdict"]["text"].startswith("Under-trained generator: 21 % of its")
    assert not (group.path / quality.FILE).exists()


def test_a_set_that_cannot_be_judged_gates_nothing(
    store: RunStore, digits: catalog.DataSet
) -> None:
    images, labels = held(digits)
    group, _, made = mix_of(store, digits, images, labels)
    finish(made, {"images": 200, "recognition": stored(0.21, 0.4)})
    found = report(group, store)
    assert found["verdict"]["text"].startswith("Synthetic data hurts")
    assert "cannot be judged" in found["generators"][0]["quality"]["text"]


def test_steps_of_the_training_behind_a_set_are_said_in_the_notes(
    store: RunStore, digits: catalog.DataSet
) -> None:
    images, labels = held(digits)
    group, _, made = mix_of(store, digits, images, labels)
    source = made.spec
    assert isinstance(source, SynthesizeSpec)
    finish(store.get(source.source), {"steps": 7, "promised_steps": 990, "seconds": 60.0})
    found = report(group, store)
    assert found["generators"][0]["promised_steps"] == 990
    assert any("training took 7 of about 990 steps" in note for note in found["notes"])
    assert any("was not measured" in note for note in found["notes"])
    finish(made, {"recognition": stored(0.21)})
    weak = report(group, store)
    assert "it took 7 of about 990 steps" in weak["verdict"]["text"]
    assert not any("990" in note for note in weak["notes"])  # it is not said twice
    finish(made, {"recognition": stored(1.0, 0.76)})
    assert any("copies of training images" in note for note in report(group, store)["notes"])


def test_with_a_generator_per_arm_the_worst_set_speaks(store: RunStore) -> None:
    values = {**ARMS, "train_arm": True, "arms": ("real", "90/10", "50/50")}
    group, children = new_group(store, "mix", values)
    finish(children["set:arm:90/10"], {"recognition": stored(0.97)})
    finish(children["set:arm:50/50"], {"recognition": stored(0.4)})
    (generator,) = report(group, store)["generators"]
    assert generator["quality"]["state"] == "under-trained"
    assert generator["recognition"]["recognised"] == 0.4
    assert len(generator["sets"]) == 2


def test_a_set_is_judged_by_its_own_worker_only_if_it_was_made_for_a_mix(store: RunStore) -> None:
    source = new_run(store, "train", {"dataset": "digits"})
    run = new_run(store, "synthesize", {"source": source.id})
    spec = make(SynthesizeSpec, {"source": source.id})
    empty = np.zeros((0, 8, 8, 1), np.uint8), np.zeros(0, np.int64)
    with pytest.raises(StopIteration) as alone:
        next(recognition.for_mix(context(store, run), spec, *empty))
    assert alone.value.value == {}
    run.record.group = "20260101-000000-mix-test-abcd"
    with pytest.raises(StopIteration) as within:
        next(recognition.for_mix(context(store, run), spec, *empty))
    assert "reason" in within.value.value["recognition"]  # no image, so nothing to judge on


# ---- what exports and pages say


def weak_report(**verdict: Any) -> dict[str, Any]:
    arm = {"label": "x", "role": "treatment", "real": 50, "synthetic": 50, "other": 0}
    weak = stored(0.21)
    return {
        "arms": [
            {**arm, "arm": "real", "generator": ""},
            {**arm, "arm": "50/50", "generator": "own"},
        ],
        "generators": [
            {
                "key": "own",
                "name": "trained here",
                "recognition": weak,
                "quality": dataclasses.asdict(rule.quality(weak)),
            }
        ],
        "test_images": 360,
        **verdict,
    }


def test_tables_hold_the_two_numbers_and_say_it_first() -> None:
    frame = tables.frame(weak_report())
    assert frame["generator_state"].tolist() == [None, "under-trained"]
    assert frame["recognised_percent"].tolist() == [None, 21.0]
    assert frame["judge_accuracy_percent"].tolist() == [None, 98.0]
    latex = tables.as_latex(weak_report())
    assert latex.startswith("% Under-trained generator: 21 % of its samples") and "360" in latex
    old = {**weak_report(), "generators": [{"key": "own", "name": "trained here"}]}
    assert tables.frame(old)["generator_state"].tolist() == [None, None]
    assert tables.as_latex(old).startswith("% Tested on 360")


def test_a_contact_sheet_holds_the_classes_that_both_kinds_have() -> None:
    many = np.repeat(np.arange(100), 5)
    shown, cols = mix_pictures.shown_classes(many, many, 100, 8)
    assert (shown[0], shown[-1], len(shown), cols) == (0, 99, 10, 5)
    shown, cols = mix_pictures.shown_classes(np.array([1, 1, 1, 4]), np.array([1, 1, 2]), 3, 8)
    assert (shown, cols) == ([1], 2)
    assert mix_pictures.shown_classes(np.array([0]), np.array([1]), 2, 8) == ([], 0)
    labels = np.array([2, 0, 2, 0, 2])
    assert mix_pictures.first(labels, [0, 2], 2).tolist() == [1, 3, 0, 2]
    assert len(mix_pictures.shortened("n02102040_english_springer")) == mix_pictures.LONGEST_NAME


@pytest.mark.parametrize("there", [True, False])
def test_the_mix_page_shows_real_images_beside_samples_of_the_same_classes(
    store: RunStore, digits: catalog.DataSet, there: bool
) -> None:
    images, labels = held(digits)
    group, _, made = mix_of(store, digits, images, labels)
    finish(made, {"images": 200, "recognition": stored(0.21)})
    finish(group, list(mix_task(context(store, group)))[-1]["values"])
    if not there:
        (made.path / "images.npy").unlink()
    service = Service(store.folder)
    html = mix_pictures.contact_html(service, service.row(group.id), service.report(group.id))
    if not there:
        assert html == ""
        return
    assert html.index('class="real"') < html.index('class="synthetic"')
    assert html.count('data-w="64" data-h="80" data-cell="8"') == 2  # 8 of each of 10 classes
    assert "Under-trained: 21 % (95 % interval" in html and 'class="sub warned"' in html
    assert "none chosen" in html


def test_a_training_says_in_its_line_that_it_ended_early() -> None:
    result = {"loss": None, "steps": 7, "images_per_second": 3.0, "promised_steps": 990}
    assert headline("train", result) == "7 of about 990 steps, 3 images/s"
    assert headline("train", {**result, "steps": 900}) == "900 steps, 3 images/s"
    assert headline("train", {**result, "promised_steps": None}) == "7 steps, 3 images/s"


@pytest.mark.parametrize(("promised", "said"), [(990, True), (4, False), (None, False)])
def test_a_training_that_ended_far_early_keeps_the_promise_and_warns(
    tmp_path: Path, promised: int | None, said: bool
) -> None:
    store = new_store(tmp_path)
    ctx = task_helpers.context(store, "train", **{**TINY, "steps": 2})
    ctx.run.record.promised_steps = promised
    events = list(train(ctx))
    (result,) = (e["values"] for e in events if e["type"] == "result")
    assert (result["steps"], result["promised_steps"]) == (2, promised)
    warned = [e["text"] for e in events if e.get("level") == "warning"]
    assert warned == (["The training ended after 2 of about 990 steps."] if said else [])


def test_the_promise_is_the_estimate_at_submission(store: RunStore) -> None:
    service = Service(store.folder)
    values = {**TINY, "steps": 0, "seconds": 30.0}
    spec = service.check("train", values)
    run = service.submit(spec).run
    promised = store.get(run).record.promised_steps
    assert promised == service.estimate(spec).steps and promised > 1
    exact = service.submit(service.check("train", {**TINY, "steps": 12})).run
    assert store.get(exact).record.promised_steps == 12


def test_the_train_page_says_how_many_steps_were_promised(store: RunStore) -> None:
    run = new_run(store, "train", {"dataset": "digits"})
    service = Service(store.folder)
    for steps, said in ((7, "of about 990 steps"), (900, "steps")):
        finish(run, {"steps": steps, "promised_steps": 990, "images_per_second": 3.0})
        row, status = service.row(run.id), service.status(run.id)
        assert train_page.numbers(row, status)[0][1] == said
