"""Verdicts: the sentences follow from the numbers, and never say more."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import pytest

from dreamlab.stats.findings import GeneratorRecord, Judgement, Treatment
from dreamlab.stats.verdict import judge
from tests.stats_simulation import World, experiments, judged

SAME = GeneratorRecord("own", "trained here", saw=100, extra=0, pool=100)
WIDE = GeneratorRecord("wide", "demo", saw=3000, extra=2900, pool=100)
IMAGES, SEEDS = 2000, 5
LABELS = np.arange(IMAGES) % 10
NAMES = tuple("zero one two three four five six seven eight nine".split())
FORMS = {"real+1x": ("add", 100, 100), "real+3x": ("add", 100, 300), "50/50": ("replace", 50, 50)}
CONTROL_FORMS = {
    "augmented": ("augmented", 0),
    "duplicated+1x": ("duplicated", 100),
    "noise+1x": ("noise", 100),
}


def rows(
    accuracy: float, random: int, only: int | None = None, worse: int | None = None
) -> np.ndarray:
    """Predictions of the given accuracy, mostly wrong on the same images; class `only` alone is
    always right, `worse` never."""
    hard = np.random.default_rng(0).random(IMAGES)
    noise = np.random.default_rng([1, random]).normal(0, 0.01, (SEEDS, IMAGES))
    seed = np.random.default_rng([2, random]).normal(0, 0.002, (SEEDS, 1))
    right = hard + noise + seed < accuracy
    if only is not None:
        right[:, only == LABELS] = True
    if worse is not None:
        right[:, worse == LABELS] = False
    return np.where(right, LABELS, (LABELS + 1) % 10)


def arm(generator: str, name: str, accuracy: float, random: int = 1, **changes: int) -> Treatment:
    form, real, synthetic = FORMS[name]
    return Treatment(generator, name, form, real, synthetic, rows(accuracy, random, **changes))


def control(name: str, accuracy: float, random: int = 7) -> Treatment:
    form, other = CONTROL_FORMS[name]
    return Treatment("", name, form, 100, 0, rows(accuracy, random), other=other)


REAL = rows(0.90, 0)


def verdict(
    treatments: list[Treatment], generators: list[GeneratorRecord], **more: object
) -> Judgement:
    return judge(
        treatments, REAL, generators, labels=LABELS, class_names=NAMES, noun="digits", **more
    )  # type: ignore[arg-type]


def test_help_says_effect_interval_mix_classes_and_cost() -> None:
    arms = [
        arm("own", "real+1x", 0.91),
        arm("own", "real+3x", 0.936, 2),
        arm("own", "50/50", 0.86, 3),
    ]
    found = verdict(arms, [SAME], cost={("own", "real+3x"): 3.24, ("own", "real+1x"): 2.0})
    v = found.overall
    assert (v.kind, v.arm, v.generator) == (
        "helps",
        "real+3x",
        "own",
    ) and v.effect == pytest.approx(3.6, abs=0.4)
    assert v.text.startswith(
        f"Synthetic data helps: {v.effect:+.1f} points (98.33 % interval {v.low:+.1f} to"
        f" {v.high:+.1f}) when 300 synthetic digits are added to all 100 real ones. "
    )
    assert (
        v.text.endswith(" It took 3.2 minutes: generator, images and classifiers.")
        and v.minutes == 3.24
    )
    assert any("Significant losses: 50/50" in note for note in found.notes)
    assert any("3 comparisons" in note and "new test images" in note for note in found.notes)
    assert found.seeds_needed is None and found.by_generator["own"] == v
    assert (
        len(found.differences[0].mcnemar) == SEEDS
        and found.differences[0].sign_flip == 2 / 2**SEEDS
    )


def test_the_classes_that_change_are_named_and_no_others() -> None:
    found = verdict([arm("own", "real+1x", 0.90, 1, only=3, worse=7)], [SAME]).overall
    assert [d.name for d in found.gain] == ["three"] and [d.name for d in found.lose] == ["seven"]
    assert found.gain[0].low > 0 > found.lose[0].high and found.lose[0].mean < -80
    assert (
        "Gains are shown for class three (+" in found.text
        and "losses are shown for class seven (-" in found.text
    )
    quiet = verdict([arm("own", "real+1x", 0.90, 1)], [SAME]).overall
    assert (
        quiet.gain == quiet.lose == []
        and "No change of a single class is significant." in quiet.text
    )


def test_a_class_with_few_test_images_has_no_comparison_of_its_own() -> None:
    labels = np.arange(IMAGES) % 10
    labels[9::10] = 8
    labels[[9, 19, 29]] = 9
    right = np.array(REAL == LABELS)
    better = right.copy()
    better[:, [9, 19, 29]] = True
    right[:, [9, 19, 29]] = False
    arms = [np.where(r, labels, (labels + 1) % 10) for r in (right, better)]
    found = judge(
        [Treatment("own", "real+1x", "add", 100, 100, arms[1])], arms[0], [SAME], labels=labels
    )
    assert found.overall.gain == found.overall.lose == []
    assert found.notes[-1].startswith("1 class has fewer than 10 test images and no comparison")


def test_a_help_says_whether_the_mix_beats_the_controls() -> None:
    mixes = [arm("own", "real+1x", 0.93)]
    found = verdict(
        mixes, [SAME], controls=[control("augmented", 0.931), control("noise+1x", 0.90)]
    )
    text = found.overall.text
    assert found.overall.kind == "helps"
    assert " The mix is not shown to beat classical augmentation: " in text
    assert " No control repeats the real images." in text and "noise" not in text
    assert found.controls[0].kind == "helps" and found.controls[1].kind == "undecided"
    assert found.differences[0].p_holm == found.differences[0].p  # controls are no treatments
    better = verdict(
        [arm("own", "real+1x", 0.96)],
        [SAME],
        controls=[control("augmented", 0.92), control("duplicated+1x", 0.90, 8)],
    )
    text = better.overall.text
    assert " The mix beats repeating the real images: +" in text
    assert "; it beats classical augmentation: +" in text and "No control" not in text
    assert "gains more than every mix" not in text
    assert "augmented +" in better.notes[0] and "a gain" in better.notes[0]
    assert not any("Warning" in note for note in better.notes)
    alone = verdict(mixes, [SAME]).overall.text
    assert " No control repeats the real images or uses classical augmentation." in alone


def test_a_mix_is_held_against_a_control_at_a_corrected_level() -> None:
    three = [arm("own", name, 0.93, i) for i, name in enumerate(FORMS)]
    both = [control("augmented", 0.90), control("duplicated+1x", 0.90, 8)]
    text = verdict(three, [SAME], controls=both).overall.text
    said = text[text.index("The mix") :]
    # Bonferroni over three mixes, Holm over two controls: 0.05 / 6 and 0.05 / 3
    assert "99.17 % interval" in said and "98.33 % interval" in said


def test_a_control_that_gains_more_than_every_mix_is_said_at_once() -> None:
    found = verdict([arm("own", "real+1x", 0.93)], [SAME], controls=[control("noise+1x", 0.96)])
    assert any(note.startswith("Warning: noise images seem to help") for note in found.notes)
    sentences = found.overall.text.split(". ")
    assert sentences[1].startswith("Adding noise images gains more than every mix: +")
    assert " The mix does worse than adding noise images: -" in found.overall.text
    unclear = verdict([arm("own", "real+1x", 0.90)], [SAME], controls=[control("noise+1x", 0.93)])
    assert unclear.overall.kind == "undecided"
    assert "Adding noise images gains more than every mix: +" in unclear.overall.text


def test_the_headline_names_the_generator_that_knows_more_and_what_that_is_worth() -> None:
    arms = [
        arm("own", "real+1x", 0.901),
        arm("own", "50/50", 0.82, 2),
        arm("wide", "real+1x", 0.93, 3),
        arm("wide", "50/50", 0.87, 4),
    ]
    found = verdict(arms, [SAME, WIDE])
    assert found.overall.kind == "helps" and found.overall.generator == "wide"
    assert found.overall.text.startswith(
        "Synthetic data helps where the generator was trained on more real images than the"
        " classifier: +"
    )
    assert "no gain is shown with the one trained on the same 100." in found.overall.text
    assert "trained on 3,000 real images" in found.overall.text
    assert (
        found.by_generator["own"].kind == "undecided"
        and "with a probability of 80 %" in found.by_generator["own"].text
    )
    smallest = min(found.differences, key=lambda d: d.p)
    assert smallest.p_holm == pytest.approx(4 * smallest.p) and smallest.level == pytest.approx(
        1 - 0.05 / 4
    )
    assert [(x.arm, x.more, x.same, x.further) for x in found.extra_data] == [
        ("real+1x", "wide", "own", 2900),
        ("50/50", "wide", "own", 2900),
    ]
    worth = found.extra_data[0]
    assert worth.mean == pytest.approx(2.9, abs=0.5) and worth.low > 0 and worth.p_holm < 0.01
    assert (
        worth.text.startswith("What the generator's 2,900 further real images are worth: +")
        and "at real+1x." in worth.text
    )


def test_generators_are_told_apart_by_what_they_saw() -> None:
    fewer = GeneratorRecord("wide", "demo", saw=50, extra=0, pool=100)
    arms = [arm("own", "real+1x", 0.90), arm("wide", "real+1x", 0.93, 2)]
    found = verdict(arms, [SAME, fewer])
    assert found.overall.text.startswith("Synthetic data helps with 1 of 2 generators: +")
    assert (
        "more real images than" not in found.overall.text
        and "trained on 50 of the same 100" in found.overall.text
    )
    assert found.extra_data == []
    twin = dataclasses.replace(SAME, key="wide", name="second try")
    text = verdict([arm("own", "real+1x", 0.93), arms[1]], [SAME, twin]).overall.text
    assert "(second try)" in text and "(trained here)" in text
    unknown = GeneratorRecord("wide", "bought", saw=None, extra=0, pool=100)
    found = verdict(arms, [SAME, unknown])
    assert "of unknown training (bought)" in found.overall.text and found.extra_data == []
    assert any(note.startswith("It is not known which real images bought") for note in found.notes)
    own = dataclasses.replace(SAME, key="wide", per_arm=True)
    assert "trained only on the real images of its arm" in verdict(arms, [SAME, own]).overall.text


def test_hurt_is_said_only_where_every_mix_is_shown_to_lose() -> None:
    losing = verdict([arm("own", "real+3x", 0.87), arm("own", "50/50", 0.82, 2)], [SAME])
    assert losing.overall.kind == "hurts" and losing.overall.arm == "real+3x"
    assert losing.overall.text.startswith("Synthetic data hurts in every mix: -")
    unclear = verdict([arm("own", "real+1x", 0.9), arm("own", "50/50", 0.82, 2)], [SAME])
    assert unclear.overall.kind == "undecided" and unclear.overall.text.startswith("Undecided: ")
    assert unclear.overall.arm == "real+1x" and any("50/50 -" in note for note in unclear.notes)
    assert unclear.detectable > 0 and (unclear.seeds_needed is None or unclear.seeds_needed > 5)


def test_undecided_for_want_of_test_images_asks_for_these() -> None:
    few = np.arange(60)
    cut = [
        dataclasses.replace(
            arm("own", "real+1x", 0.945), predicted=arm("own", "real+1x", 0.945).predicted[:, few]
        )
    ]
    found = judge(cut, REAL[:, few], [SAME], labels=LABELS[few])
    assert found.overall.kind == "undecided"
    if found.seeds_needed is None:
        assert found.images_needed is not None and found.images_needed > 60
        assert "more seeds alone are not enough" in found.overall.text
        assert f"about {found.images_needed:,} test images are" in found.overall.text
    else:
        assert f"about {found.seeds_needed:,} seeds" in found.overall.text


@pytest.mark.parametrize("seeds", [3, 5])
def test_identical_arms_give_numbers_and_no_decision(seeds: int) -> None:
    same = REAL[:seeds]
    mixes = [
        Treatment("own", "real+1x", "add", 100, 100, same),
        Treatment("own", "50/50", "replace", 50, 50, same),
    ]
    found = judge(mixes, same, [SAME], labels=LABELS)
    numbers = [x for d in found.differences for x in (d.mean, d.low, d.high, d.p, d.p_holm)] + [
        found.detectable
    ]
    assert all(math.isfinite(x) for x in numbers) and found.overall.kind == "undecided"
    assert "nan" not in found.overall.text and found.images_needed is None


def test_decisions_and_intervals_agree_where_effects_are_mixed() -> None:
    kinds = set()
    for right in experiments(
        World(0.9, 0.5), (0.0, 0.02, 0.008, 0.0, -0.008, -0.03, 0.0), 5, 1000, 40
    ):
        labels = np.zeros(1000, dtype=int)
        for d in judged(right, labels, 1, 4).differences:
            assert (d.p_holm <= 0.05) == (d.low > 0 or d.high < 0) == (d.kind != "undecided")
            kinds.add(d.kind)
    assert kinds == {"helps", "hurts", "undecided"}


def test_bad_input_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="at least one mix"):
        judge([], REAL, [SAME], labels=LABELS)
    with pytest.raises(ValueError, match="arm real\\+1x: predictions must be seeds x 2000"):
        judge(
            [dataclasses.replace(arm("own", "real+1x", 0.9), predicted=REAL[:, :5])],
            REAL,
            [SAME],
            labels=LABELS,
        )
    for seeds, images, words in (
        (2, IMAGES, "at least 3 seeds"),
        (5, 2, "at least 10 test images"),
    ):
        one = dataclasses.replace(arm("own", "real+1x", 0.9), predicted=REAL[:seeds, :images])
        with pytest.raises(ValueError, match=words):
            judge([one], REAL[:seeds, :images], [SAME], labels=LABELS[:images])


def test_a_verdict_takes_milliseconds() -> None:
    right = next(experiments(World(0.9, 0.5), (0.0,) * 11, 5, 2000, 1))
    judged(right, LABELS, 1, 8)
    taken = []
    for _ in range(15):
        began = time.process_time()
        judged(right, LABELS, 1, 8)
        taken.append(time.process_time() - began)
    assert min(taken) < 0.05
    print(f"judge: {1000 * min(taken):.2f} ms at best")
