"""Specs: one place for a knob, one sentence for a mistake."""

from __future__ import annotations

import shlex

import pytest

from dreamlab import cli
from dreamlab.spec import (
    KINDS,
    MixSpec,
    SpecError,
    SweepSpec,
    SynthesizeSpec,
    TrainSpec,
    command,
    differences,
    knobs,
    make,
)

EXAMPLES = [
    make(TrainSpec, {"seconds": 12.5, "multipliers": "1,2,4", "target": "v", "steps": 7}),
    make(SynthesizeSpec, {"source": "20261121-101503-train-a-7f3a", "classes": [1, 3], "guidance_weight": 0.25}),
    make(MixSpec, {"sources": ("a", "b"), "train_own": True, "arms": "real, 50/50, real+1.5x"}),
    make(SweepSpec, {"source": "a", "values": "0.5,1"}),
]


@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda s: s.kind)
def test_the_shown_command_makes_the_same_spec(spec) -> None:
    words = shlex.split(command(spec))[3:]
    given = vars(cli._parser().parse_args(words))
    values = {
        k.name: ",".join(v) if isinstance(v := given[k.name], list) else v for k in knobs(type(spec)) if k.name in given
    }
    assert make(type(spec), values) == spec


@pytest.mark.parametrize(
    ("kind", "values", "field", "words"),
    [
        ("train", {"seconds": "0"}, "seconds", ["Time (--seconds)", "'0'", "1 to 604,800 s"]),
        ("train", {"seconds": "nan"}, "seconds", ["--seconds", "nan"]),
        ("train", {"schedule": "cosin"}, "schedule", ["'cosin'", "cosine, linear"]),
        ("train", {"num_train_timesteps": 9}, "num_train_timesteps", ["10 to 4,000"]),
        ("train", {"multipliers": "1,x"}, "multipliers", ["--multipliers", "comma-separated"]),
        ("train", {"stem_patch": 3}, "stem_patch", ["1, 2 or 4"]),
        ("train", {"widht": 3}, "widht", ["not a setting of train"]),
        ("synthesize", {}, "source", ["Generator is missing", "--from"]),
        ("synthesize", {"source": "a", "guidance_weight": -1}, "guidance_weight", ["-1", "0 to 20"]),
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
    assert spec.content_hash() == make(TrainSpec, {"device": "cpu", "preview_every": 9}).content_hash()
    assert spec.content_hash() != make(TrainSpec, {"seed": 1}).content_hash()
    a, b = (make(SynthesizeSpec, {"source": s}) for s in ("run-a", "run-b"))
    assert a.content_hash() != b.content_hash()
    assert a.content_hash(lambda _: "same weights") == b.content_hash(lambda _: "same weights")


def test_differences_shows_only_what_differs() -> None:
    rows = differences([make(TrainSpec, {"seed": 1}), make(TrainSpec, {"seed": 2})])
    assert rows == [("Seed", [1, 2])]
