"""Specs: one place for a setting, one sentence for a mistake."""

from __future__ import annotations

import shlex

import pytest

from dreamlab import cli
from dreamlab.architecture.network import network_of
from dreamlab.checks.network import check_fine_tuning, check_network
from dreamlab.checks.sampling import check_cascade, check_guide, check_sampling
from dreamlab.data import catalog
from dreamlab.experiments import plan
from dreamlab.paths import program
from dreamlab.settings import (
    KINDS,
    MixSpec,
    Setting,
    Spec,
    SpecError,
    SweepSpec,
    SynthesizeSpec,
    TrainSpec,
    command,
    differences,
    exact,
    make,
    settings_of,
)
from dreamlab.settings.budget import kept_checkpoints
from dreamlab.settings.presets import PRESETS
from dreamlab.settings.setting import setting
from dreamlab.store import RunStore
from tests.evidence_helpers import new_run

EXAMPLES = [
    make(TrainSpec, {"seconds": 12.123456789, "multipliers": "1,2,4", "target": "v", "steps": 7}),
    make(
        SynthesizeSpec,
        {"source": "20261121-101503-train-a-7f3a", "classes": [1, 3], "guidance_weight": 0.25},
    ),
    make(MixSpec, {"sources": ("a", "b"), "train_own": True, "arms": "real, 50/50, real+1.5x"}),
    make(SweepSpec, {"source": "a", "values": "0.5,1"}),
    make(TrainSpec, {"preset": "s0", "learning_rate": 3e-4, "attention": ()}),
    make(TrainSpec, {"preset": "s4", "epochs": 50, "conditional": True, "flip": False}),
    make(TrainSpec, {"init_from": "a", "freeze": "stem, down", "grad_clip": 1}),
    make(TrainSpec, {"seconds": 30}),
    make(MixSpec, {"train_seconds": 30}),
    make(
        SynthesizeSpec,
        {"source": "a", "upsample": ("b", "c"), "guide": "d", "guide_checkpoint": "step-000100"},
    ),
]


@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda s: s.kind)
def test_the_shown_command_makes_the_same_spec(spec) -> None:
    words = shlex.split(command(spec))[3:]
    given = vars(cli.parser().parse_args(words))
    values = {
        k.name: ",".join(v) if isinstance(v := given[k.name], list) else v
        for k in settings_of(type(spec))
        if k.name in given
    }
    assert make(type(spec), values) == spec


@pytest.mark.parametrize(
    ("kind", "values", "field", "words"),
    [
        ("train", {"seconds": "0"}, "seconds", ["Time (--seconds)", "'0'", "1 to 604,800 s"]),
        ("train", {"seconds": "nan"}, "seconds", ["--seconds", "nan"]),
        ("train", {"schedule": "cosin"}, "schedule", ["'cosin'", "cosine, linear"]),
        ("train", {"preset": "s9"}, "preset", ["'s9'", "s0, s2"]),
        (
            "train",
            {"target": "eps", "zero_terminal_snr": True},
            "target",
            ["--target", "eps", "v or x0"],
        ),
        ("train", {"steps": 5, "epochs": 2}, "epochs", ["--epochs", "2", "5 steps"]),
        ("train", {"accumulate": 65}, "accumulate", ["--accumulate", "65", "1 to 64"]),
        ("train", {"devices": 4, "batch_size": 2}, "devices", ["--devices", "4", "at most 2"]),
        ("train", {"freeze": "stem"}, "freeze", ["--freeze", "--init-from"]),
        ("train", {"freeze": "stomach", "init_from": "a"}, "freeze", ["--freeze"]),
        ("synthesize", {"source": "a", "eta": 0.5}, "eta", ["--eta", "0.5", "dpmpp_2m", "ddim"]),
        (
            "synthesize",
            {"source": "a", "variance": "beta"},
            "variance",
            ["--variance", "beta", "ddpm"],
        ),
        (
            "synthesize",
            {"source": "a", "guidance_t_min": 0.9, "guidance_t_max": 0.5},
            "guidance_t_min",
            ["0.9", "0.5"],
        ),
        (
            "synthesize",
            {"source": "a", "guide_checkpoint": "step-000100"},
            "guide_checkpoint",
            ["one with --guide."],
        ),
        (
            "synthesize",
            {"source": "a", "checkpoint": "../ema"},
            "checkpoint",
            ["--checkpoint", "'../ema'", "step-000400"],
        ),
        (
            "synthesize",
            {"source": "a", "guide": "b", "guide_checkpoint": "step-1"},
            "guide_checkpoint",
            ["'step-1'"],
        ),
        ("train", {"num_train_timesteps": 9}, "num_train_timesteps", ["10 to 4,000"]),
        (
            "train",
            {"num_train_timesteps": 15.5},
            "num_train_timesteps",
            ["a whole number, 10 to 4,000"],
        ),
        (
            "sweep",
            {"source": "x", "axis": "num_train_timesteps", "values": "-1"},
            "values",
            ["numbers of at least 0"],
        ),
        ("train", {"multipliers": "1,x"}, "multipliers", ["--multipliers", "comma-separated"]),
        ("train", {"stem_patch": 3}, "stem_patch", ["1, 2 or 4"]),
        ("train", {"widht": 3}, "widht", ["not a setting of train"]),
        ("synthesize", {}, "source", ["Generator is missing", "--from"]),
        (
            "synthesize",
            {"source": "a", "guidance_weight": -1},
            "guidance_weight",
            ["-1", "0 to 20"],
        ),
        ("mix", {"arms": "real,60/50"}, "arms", ["'60/50'", "real+Kx"]),
        ("mix", {"seeds": 1}, "seeds", ["2 to 100"]),
    ],
)
def test_a_mistake_is_one_sentence_with_field_value_and_mend(kind, values, field, words) -> None:
    with pytest.raises(SpecError) as caught:
        make(KINDS[kind], values)
    assert caught.value.field == field
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_hash_counts_what_changes_results_only() -> None:
    spec = make(TrainSpec, {})
    assert (
        spec.content_hash() == make(TrainSpec, {"device": "cpu", "preview_every": 9}).content_hash()
    )
    assert spec.content_hash() != make(TrainSpec, {"seed": 1}).content_hash()
    a, b = (make(SynthesizeSpec, {"source": s}) for s in ("run-a", "run-b"))
    assert a.content_hash() != b.content_hash()
    assert a.content_hash(lambda _: "same weights") == b.content_hash(lambda _: "same weights")


def test_a_setting_added_later_keeps_the_hash_at_the_value_of_before() -> None:
    class LaterSpec(TrainSpec):
        smoothing: float = setting(0.1, "Added later, at 0 as before.", ge=0, le=1, added=0.0)

    before = make(TrainSpec, {"seed": 3}).content_hash()
    assert make(LaterSpec, {"seed": 3, "smoothing": 0}).content_hash() == before
    assert make(LaterSpec, {"seed": 3}).content_hash() != before


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"ge": 0, "le": 1}, "0 to 1"),
        ({"gt": 0, "le": 1}, "above 0, at most 1"),
        ({"ge": 0, "lt": 1}, "at least 0, below 1"),
        ({"gt": 0, "lt": 1}, "above 0, below 1"),
    ],
)
def test_a_bound_that_is_not_allowed_is_said_as_such(bounds, words) -> None:
    class BoundedSpec(Spec):
        kind = "bounded"
        part: float = setting(0.5, "A part.", **bounds)

    with pytest.raises(SpecError) as caught:
        make(BoundedSpec, {"part": -1})
    assert str(caught.value) == f"Part (--part): -1 cannot be used; it must be {words}."


@pytest.mark.parametrize(
    ("cls", "steps", "seconds"),
    [(TrainSpec, "steps", "seconds"), (MixSpec, "train_steps", "train_seconds")],
)
def test_a_budget_is_in_steps_unless_a_time_is_asked_for(cls, steps, seconds) -> None:
    def budget(**values: object) -> tuple[int, float]:
        spec = make(cls, values)
        return getattr(spec, steps), getattr(spec, seconds)

    assert budget() == (2000, 60)
    assert budget(**{seconds: 30}) == (0, 30), "a time alone is meant"
    assert budget(**{seconds: "0.5e2"}) == (0, 50)
    assert budget(**{steps: 7, seconds: 30}) == (7, 30), "steps come first"
    assert budget(**{steps: 0}) == (0, 60)


def test_epochs_alone_are_meant_and_epochs_of_zero_are_not() -> None:
    assert make(TrainSpec, {"epochs": "1.5"}).steps == 0
    assert make(TrainSpec, {"epochs": "0"}).steps == make(TrainSpec, {"epochs": 0}).steps == 2000


def test_checkpoints_every_so_many_epochs_are_counted_in_any_budget() -> None:
    def kept(**values: object) -> int:
        return kept_checkpoints(make(TrainSpec, {"batch_size": 16, **values}), 1000)

    assert kept(snapshots=7) == 7 and kept() == 0
    assert kept(epochs=50, snapshot_epochs=5) == 9, "the last one is kept anyway"
    assert kept(epochs=51, snapshot_epochs=5) == 10
    assert kept(steps=3125, snapshot_epochs=5) == 9, "50 epochs of 62.5 steps"
    assert kept(epochs=3, snapshot_epochs=10) == 0
    assert kept(epochs=0.7, snapshot_epochs=0.1) == 6


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"snapshots": 3, "epochs": 9}, "2 epochs cannot be used beside 3 snapshots"),
        ({"seconds": 60}, "2 epochs cannot be used with a budget in seconds; give --steps or"),
    ],
)
def test_checkpoints_every_so_many_epochs_need_a_budget_in_steps(values, words) -> None:
    with pytest.raises(SpecError, match=rf"Snapshot every \(--snapshot-epochs\): {words}") as said:
        make(TrainSpec, {**values, "snapshot_epochs": 2})
    assert said.value.field == "snapshot_epochs"


def test_a_preset_fills_what_is_not_given() -> None:
    s0 = make(TrainSpec, {"preset": "s0", "base_width": 32})
    assert (s0.num_train_timesteps, s0.multipliers, s0.time_activation, s0.base_width) == (
        400,
        (1, 2, 4, 8),
        "gelu",
        32,
    )
    assert command(s0) == f"{program()} train --preset s0 --base-width 32"
    again = make(TrainSpec, s0.model_dump())
    assert again == s0, "a stored spec says everything, so its preset changes nothing"
    assert (
        make(TrainSpec, {**s0.model_dump(), "preset": "small"}).content_hash() == s0.content_hash()
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.0002, "0.0002"),
        (0.123456789, "0.123456789"),
        (1 / 3, "0.3333333333333333"),
        (604799.5, "604799.5"),
        (12345678.0, "12345678.0"),
        ((1.0, 0.1234567), "1,0.1234567"),
        ((), "none"),
        ("cosine", "cosine"),
    ],
)
def test_a_number_is_written_so_that_it_reads_back_the_same(value: object, text: str) -> None:
    assert exact(value) == text


LISTS = [(cls, k) for cls in KINDS.values() for k in settings_of(cls) if k.type == "list"]


@pytest.mark.parametrize(("cls", "k"), LISTS, ids=lambda v: getattr(v, "flag", ""))
def test_every_list_may_be_given_as_none(cls: type[Spec], k: Setting) -> None:
    needed = {s.name: s.choices[0] if s.choices else "r" for s in settings_of(cls) if s.required}
    for text in ("none", " None ", ""):
        values = {**needed, k.name: text}
        if k.name in (
            "multipliers",
            "arms",
            "metrics",
        ):  # read as an empty list too, which these may not be
            with pytest.raises(SpecError, match=rf"\({k.flag}\): \(\) cannot be used.*at least"):
                make(cls, values)
        else:
            assert getattr(make(cls, values), k.name) == ()


def test_an_empty_list_is_shown_and_read_as_none() -> None:
    spec = make(TrainSpec, {"preset": "s0", "attention": "none"})
    assert spec.attention == () and "--attention none" in command(spec)


def test_a_sweep_over_close_values_has_a_run_for_each(store: RunStore) -> None:
    source = new_run(store, "train", {"dataset": "digits"})
    spec = make(SweepSpec, {"source": source.id, "values": "0.12345671,0.12345672"})
    roles = [child.role for child in plan(spec, store)]
    assert len(set(roles)) == len(roles) == 4


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_valid_spec_whose_network_fits(preset) -> None:
    spec = make(TrainSpec, {"preset": preset})
    for dataset in ("mnist5k", "cifar10"):
        check_network(network_of(spec.model_copy(update={"dataset": dataset})))


BASE = {"preset": "tiny", "dataset": "digits"}


@pytest.mark.parametrize(
    ("trained", "asked", "field", "words"),
    [
        ({}, {"num_steps": 1001}, "num_steps", ["1001", "1 to 1000"]),
        ({}, {"classes": "10"}, "classes", ["10", "0 to 9"]),
        ({}, {"classes": "1,1"}, "classes", ["1,1", "once"]),
        ({"conditional": False}, {}, "guidance_weight", ["1", "no classes", "use 0"]),
        ({"label_dropout": 0}, {}, "guidance_weight", ["label dropout", "use 0"]),
        (
            {},
            {"sampler": "ddpm", "variance": "learned"},
            "variance",
            ["learned", "--learn-variance"],
        ),
        ({"low_size": 4}, {}, "source", ["4x4", "--upsample"]),
    ],
)
def test_sampling_that_cannot_work_is_refused(trained, asked, field, words) -> None:
    spec = make(TrainSpec, {**BASE, **trained})
    with pytest.raises(SpecError) as caught:
        check_sampling(
            make(SynthesizeSpec, {"source": "a", **asked}), spec, len(catalog.drawn_classes(spec))
        )
    assert caught.value.field == field
    for word in words:
        assert word in str(caught.value)


def test_an_unconditional_generator_can_be_sampled_without_guidance_or_with_a_guide() -> None:
    spec = make(TrainSpec, {**BASE, "conditional": False})
    check_sampling(make(SynthesizeSpec, {"source": "a", "guidance_weight": 0}), spec, 1)
    check_sampling(make(SynthesizeSpec, {"source": "a", "guide": "b"}), spec, 1)
    check_guide(spec, 8, spec, 8)
    with pytest.raises(SpecError, match="schedule is linear, the generator's cosine"):
        check_guide(spec, 8, spec.model_copy(update={"schedule": "linear"}), 8)


def test_a_guide_makes_images_of_the_same_size_however_that_is_written() -> None:
    spec = make(TrainSpec, {"preset": "tiny", "dataset": "mnist5k"})
    written, other = (spec.model_copy(update={"image_size": size}) for size in (28, 32))
    check_guide(spec, network_of(spec).image_size, written, network_of(written).image_size)
    with pytest.raises(SpecError, match="its image_size is 32, the generator's 28"):
        check_guide(spec, network_of(spec).image_size, other, network_of(other).image_size)


def test_a_cascade_starts_where_the_stage_before_ends() -> None:
    base = make(TrainSpec, BASE)
    up = make(TrainSpec, {**BASE, "image_size": 16, "low_size": 8})
    spec = make(SynthesizeSpec, {"source": "a", "upsample": ("b",)})
    check_cascade(spec, base, 8, [("b", up, 16)])
    with pytest.raises(SpecError, match="before it have 16"):
        check_cascade(spec, base, 8, [("b", up, 16), ("b", up, 16)])
    with pytest.raises(SpecError, match="not a super-resolution model"):
        check_cascade(spec, base, 8, [("a", base, 8)])


def test_a_fine_tuned_model_keeps_the_network_it_starts_from() -> None:
    def check(source: TrainSpec, **values: object) -> None:
        spec = make(TrainSpec, {**source.model_dump(), "init_from": "a", **values})
        check_fine_tuning(spec, source, network_of(spec), network_of(source))

    digits = make(TrainSpec, BASE)
    check(digits, dataset="mnist5k")
    check(digits, freeze="condition, stem")
    for values, field, words in (
        ({"base_width": 32}, "base_width", "--base-width.*32.*16"),
        ({"dataset": "cifar10"}, "dataset", "3 colour channels.* 1"),
        ({"dataset": "mnist5k", "freeze": "condition"}, "freeze", "--freeze.*trained for mnist5k"),
    ):
        with pytest.raises(SpecError, match=words) as caught:
            check(digits, **values)
        assert caught.value.field == field


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"attention": "16"}, "attention", ["16", "4, 2"]),
        ({"attention": "4", "heads": 5}, "heads", ["5", "32"]),
        ({"wiring": "ddpm", "heads": 7}, "heads", ["7", "64"]),
        ({"image_size": 9}, "stem_patch", ["2", "use 1"]),
        ({"multipliers": "1,2,2,2"}, "multipliers", ["1,2,2,2", "at most 3"]),
        ({"low_size": 3}, "low_size", ["3", "divisor of 8"]),
    ],
)
def test_a_network_that_does_not_fit_is_refused(settings, field, words) -> None:
    with pytest.raises(SpecError) as caught:
        check_network(network_of(make(TrainSpec, {"dataset": "digits", **settings})))
    assert caught.value.field == field
    for word in words:
        assert word in str(caught.value)


def test_differences_shows_only_what_differs() -> None:
    rows = differences([make(TrainSpec, {"seed": 1}), make(TrainSpec, {"seed": 2})])
    assert rows == [("Seed", [1, 2])]
