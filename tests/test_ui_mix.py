"""What the Mix page makes of a report: arms, tests, classes, figures, planned counts. Pure
functions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dreamlab.data import mixing
from dreamlab.settings import MixSpec, make
from dreamlab.ui import render
from dreamlab.ui.charts import mix_chart
from dreamlab.ui.parts import (
    arm_tables,
    class_tables,
    mix_answer,
    mix_plan,
    mix_report,
    numbers,
    verdicts,
)
from dreamlab.ui.theme import mix_colour, palette
from tests.html_helpers import heights, hints, looks, parsed, rows, text
from tests.test_ui_units import NASTY

NAMES = [str(i) for i in range(10)]


def arm(
    name: str, generator: str, mean: float, role: str = "treatment", **more: Any
) -> dict[str, Any]:
    accuracies = [mean - 0.01, mean, mean + 0.01]
    interval = {"mean": mean, "low": mean - 0.025, "high": mean + 0.025}
    counts = mixing.counts(name, [10] * 10)
    per_class = {
        part: [getattr(c, part) for c in counts] for part in ("real", "synthetic", "other")
    }
    real, synthetic, other = (sum(per_class[part]) for part in ("real", "synthetic", "other"))
    confusion = [[30 if i == j else 0 for j in range(10)] for i in range(10)]
    confusion[3][8] += 3
    return {
        "arm": name,
        "label": mixing.label(name),
        "generator": generator,
        "role": role,
        "run": "child",
        "real": real,
        "synthetic": synthetic,
        "other": other,
        "counts_per_class": per_class,
        "synthetic_fraction": synthetic / (real + synthetic + other),
        "seeds": [0, 1, 2],
        "accuracies": accuracies,
        "macro_f1": accuracies,
        "interval": interval,
        "macro_f1_interval": interval,
        "per_class": [mean] * 10,
        "confusion": confusion,
        "top5": [0.99, 0.98, 1.0],
        "difference": None,
        "leakage": None,
        **more,
    }


def outcome(mean: float, low: float, high: float) -> dict[str, Any]:
    return {
        "mean": mean,
        "low": low,
        "high": high,
        "level": 0.95,
        "p": 0.01,
        "p_holm": 0.02,
        "mcnemar": [0.0004, 0.03, 0.2],
        "sign_flip": 0.25,
    }


@pytest.fixture
def report() -> dict[str, Any]:
    return {
        "verdict": {
            "text": "Synthetic data helps: +3.0 points.",
            "kind": "helps",
            "arm": "real+1x",
            "generator": "b",
        },
        "steps": 200,
        "budget": "steps",
        "classes": NAMES,
        "generators": [
            {
                "key": "own",
                "run": "a",
                "name": "trained here",
                "badge": "generator trained on the same 100 images",
                "verdict": {"text": "Undecided.", "kind": "undecided"},
            },
            {
                "key": "b",
                "run": "b",
                "name": NASTY,
                "badge": "generator trained on 2,900 more real images",
                "verdict": {"text": "helps", "kind": "helps"},
            },
        ],
        "arms": [
            arm("real", "", 0.90, "reference"),
            arm("augmented", "", 0.91, "control", difference=outcome(1, -1, 3)),
            arm("10/90", "own", 0.85),
            arm("50/50", "own", 0.89, difference=outcome(-1, -3, 1)),
            arm("real+1x", "b", 0.93, difference=outcome(3, 1, 5)),
        ],
        "best": {
            "arm": "real+1x",
            "arms": ["real", "real+1x"],
            "text": "between 0 % and 50 % synthetic.",
        },
        "extra_data": [
            {
                "arm": "50/50",
                "label": "50 / 50",
                "more": "b",
                "same": "own",
                "mean": 3.1,
                "low": 1.0,
                "high": 5.2,
                "p_holm": 0.01,
                "text": "worth it",
            }
        ],
    }


NEW_KEYS = ("role", "other", "counts_per_class", "confusion", "top5")


def old(report: dict[str, Any]) -> dict[str, Any]:
    """The same as an earlier version wrote it: without roles, counts per class and confusion."""
    listed = [
        {k: v for k, v in a.items() if k not in NEW_KEYS}
        for a in report["arms"]
        if a["arm"] != "augmented"
    ]
    kept = {k: report[k] for k in ("verdict", "generators", "steps", "budget", "classes")}
    return {**kept, "arms": listed}


def test_a_mix_with_a_nasty_name_stays_text(report: dict[str, Any]) -> None:
    report["classes"] = [NASTY, *NAMES[1:]]
    report["verdict"]["text"] = report["best"]["text"] = NASTY
    made = [
        arm_tables.arms_html(report),
        render.part("mix.html", "by_generator", mix_answer.by_generator(report)),
        class_tables.arm_html(report, ""),
        arm_tables.worth_html(report),
        mix_answer.best_html(report),
        verdicts.verdict_html(report["verdict"]),
    ]
    for part in made:
        assert "<img" not in part and "&lt;img" in part
    assert "<img" not in json.dumps(
        mix_chart.mix(report, "light", "r").to_plotly_json(), default=str
    )


def test_the_table_names_what_each_generator_saw_and_sets_controls_apart(
    report: dict[str, Any],
) -> None:
    made = arm_tables.arms_html(report)
    arms, tests = parsed(made).all("table")
    assert [(row[0], row[-2] if row[1:] else "") for row in rows(made)[1:9]] == [
        ("Real only", "reference"),
        ("trained here generator trained on the same 100 images", ""),
        ("50 / 50", "\u22121.0 \u22123.0 to +1.0"),
        ("10 / 90", "to come"),
        (f"{NASTY} generator trained on 2,900 more real images", ""),
        ("Real + 1x synthetic", "+3.0 +1.0 to +5.0"),
        ("Controls for comparison with the mixes", ""),
        ("Real, augmented", "+1.0 \u22121.0 to +3.0"),
    ]
    for table in (arms, tests):
        marked = [row for row in table.all("tr") if row.with_look("hollow")]
        assert [next(row.all("td")).text for row in marked] == ["Real, augmented"]


def test_treatments_stand_by_generator_and_synthetic_fraction(report: dict[str, Any]) -> None:
    assert [a["arm"] for a in mix_report.ordered(report)] == [
        "real",
        "50/50",
        "10/90",
        "real+1x",
        "augmented",
    ]
    assert [a["arm"] for a in mix_report.ordered(old(report))] == [
        "real",
        "50/50",
        "10/90",
        "real+1x",
    ]


def test_better_is_green_only_when_its_interval_leaves_zero() -> None:
    shown = [numbers.points(outcome(*found)) for found in ((-1, -3, 1), (3, 1, 5), (-3, -5, -1))]
    assert [(n.look, n.text) for n in shown] == [
        ("mut", "\u22121.0"),
        ("good", "+3.0"),
        ("bad", "\u22123.0"),
    ]
    assert shown[1].beside == "+1.0 to +5.0"
    by_holm = {**outcome(3, 1, 5), "level": 1 - 0.05 / 3}
    assert numbers.points(by_holm).beside == "+1.0 to +5.0 (98.33 %)"
    drawn = render.part("results.html", "number", shown[1])
    assert looks(drawn) == [("+3.0", "good"), ("+1.0 to +5.0", "mut")]
    assert text(drawn) == "+3.0 +1.0 to +5.0"


def test_an_interval_of_accuracy_does_not_leave_zero_to_hundred() -> None:
    shown = numbers.percent({"mean": 0.95, "low": 0.8, "high": 1.1}, 2)
    assert (shown.text, shown.beside) == ("95.0", "80.0 to 100.0")
    assert numbers.percent({"mean": 0.95, "low": None, "high": None}, 1).beside == "(1 seed)"


def test_cells_that_are_not_there_are_said_to_come(report: dict[str, Any]) -> None:
    waiting = {
        "accuracies": [],
        "interval": None,
        "macro_f1_interval": None,
        "difference": None,
        "per_class": [],
        "confusion": None,
    }
    report["arms"] = [{**a, **waiting} for a in report["arms"]]
    # the reference has no difference
    assert looks(arm_tables.arms_html(report)).count(("to come", "mut")) == 3 * 5 - 1
    assert "to come" in json.dumps(
        mix_chart.mix(report, "light", "r").to_plotly_json(), default=str
    )


def test_every_test_stands_behind_the_table(report: dict[str, Any]) -> None:
    made = arm_tables.tests_html(mix_report.ordered(report))
    assert rows(made) == [
        [
            "Arm",
            "top-5, %",
            "paired t, p",
            "p (Holm)",
            "sign flips over seeds, p",
            "McNemar for each seed, p",
        ],
        *(
            [name, "99.0", "0.010", "0.020", "0.250", "< 0.001, 0.030, 0.200"]
            for name in ("50 / 50", "Real + 1x synthetic", "Real, augmented")
        ),
    ]
    assert arm_tables.tests_html([report["arms"][0]]) == ""


def test_the_word_of_the_verdict_wears_its_kind(report: dict[str, Any]) -> None:
    made = verdicts.verdict_html(report["verdict"])
    assert text(made) == "Synthetic data helps: +3.0 points." and ("helps", "helps") in looks(made)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_mix_figure_shows_every_seed_and_stays_on_the_scale(
    report: dict[str, Any], theme: str
) -> None:
    figure = mix_chart.mix(report, theme, "run")
    seeds = [t for t in figure.data if t.mode == "markers" and t.marker.size == 6]
    assert sum(len(t.y) for t in seeds) == 15
    assert figure.layout.uirevision == "run"
    low, high = figure.layout.yaxis.range
    assert low < 82.5 and high <= 100.2
    means = [t.marker for t in figure.data if t.mode == "markers+text"]
    assert [m.color for m in means[:4]] == [
        palette(theme)["real"],
        *(mix_colour(f, theme) for f in (0.5, 0.9, 0.5)),
    ]
    assert (means[4].color, means[4].line.color) == (
        palette(theme)["panel"],
        palette(theme)["real"],
    )  # hollow


def test_the_band_of_the_best_mix_stands_behind_its_arms(report: dict[str, Any]) -> None:
    def bands(shown: dict[str, Any]) -> int:
        return sum(
            s.yref == "y domain"
            for s in mix_chart.mix(shown, "light", "r").layout.shapes
            if s.type == "rect"
        )

    assert bands(report) == 2
    assert bands({**report, "best": None}) == 0


def test_mix_figure_has_no_scale_before_its_first_cell(report: dict[str, Any]) -> None:
    waiting = {
        **report,
        "arms": [{**a, "accuracies": [], "interval": None} for a in report["arms"]],
    }
    assert mix_chart.mix(waiting, "light", "r").layout.yaxis.showticklabels is False
    assert mix_chart.mix(report, "light", "r").layout.yaxis.showticklabels is not False


def test_figures_of_nothing_say_so() -> None:
    assert "as they are trained" in mix_chart.mix({}, "light", "r").layout.annotations[0].text
    assert "as they are trained" in mix_chart.surface({}, "light", "r").layout.annotations[0].text


def test_the_surface_joins_the_further_sizes_and_the_mix_itself(report: dict[str, Any]) -> None:
    more = [
        {**arm(name, g, 0.8), "size": 5, "real": 50}
        for name, g in (("real", ""), ("real+1x", "b"), ("real+1x", "own"))
    ]
    figure = mix_chart.surface({**report, "surface": more}, "light", "r")
    assert [(t.name, list(t.x)) for t in figure.data] == [
        ("Real only", [50, 100]),
        ("Real + 1x synthetic", [50, 100]),
    ]
    assert len({a.y for a in figure.layout.annotations}) == 2


def test_the_arm_that_is_looked_at_is_the_one_asked_for_or_that_of_the_verdict(
    report: dict[str, Any],
) -> None:
    assert mix_report.chosen_arm(report, "")["arm"] == "real+1x"  # type: ignore[index]
    assert mix_report.chosen_arm(report, "own 50/50")["arm"] == "50/50"  # type: ignore[index]
    assert mix_report.chosen_arm({**report, "verdict": None}, "nonsense")["arm"] == "real+1x"  # type: ignore[index]
    assert mix_report.chosen_arm({}, "") is None


def test_confusion_is_in_percent_of_the_truth_and_its_difference_in_points(
    report: dict[str, Any],
) -> None:
    better = arm("real+1x", "b", 0.93)
    better["confusion"][3] = [0, 0, 0, 33, 0, 0, 0, 0, 0, 0]
    made = class_tables.confusion_html(report, better)
    shares, change = parsed(made).all("table")
    hinted = hints(made)
    assert ("3 taken for 8", "\u22129.1") in hinted and ("3 taken for 3", "+9.1") in hinted
    right = [f"{name} taken for {name}" for name in NAMES]
    assert [said for hint, said in hinted if hint in right][:10] == ["100.0"] * 10
    assert shares.text.count("100.0") == 10 and "100.0" not in change.text
    assert class_tables.confusion_html(report, {**better, "confusion": None}) == ""


def test_with_many_classes_the_largest_mistakes_are_listed(report: dict[str, Any]) -> None:
    names = [f"flower {i}" for i in range(30)]
    wide = [[20 if i == j else 0 for j in range(30)] for i in range(30)]
    wide[7][12] = 5
    report |= {"classes": names, "arms": [{**report["arms"][0], "confusion": wide}]}
    made = class_tables.confusion_html(report, {**report["arms"][0], "arm": "real+1x"})
    assert rows(made) == [
        ["The largest of them", "%"],
        ["flower 7 taken for flower 12", "20.0"],
        ["The largest of them", "points"],
    ]


def test_a_histogram_stacks_its_parts_on_one_scale() -> None:
    made = class_tables.histogram(
        ["a", "b"], {"real": [10, 5], "synthetic": [10, 0], "other": [0, 0]}, 20
    )
    assert [height / class_tables.WELL for height in heights(made)] == [0.5, 0.5, 0.25]
    assert hints(made) == [("a: 10 real, 10 synthetic", "a"), ("b: 5 real", "b")]
    assert "before and after" in text(
        class_tables.histograms_html({"arms": [arm("real", "", 0.9)], "classes": NAMES})
    )


def test_what_extra_data_is_worth_is_a_table_with_its_interval(report: dict[str, Any]) -> None:
    made = arm_tables.worth_html(report)
    assert rows(made) == [
        [
            "Arm",
            "generator trained on more",
            "compared with one trained on the same",
            "effect, points",
            "p (Holm)",
        ],
        ["50 / 50", NASTY, "trained here", "+3.1 +1.0 to +5.2", "0.010"],
    ]
    assert "worth it" in text(made)
    assert arm_tables.worth_html({}) == ""


def test_an_old_result_shows_what_it_has(report: dict[str, Any]) -> None:
    shown = old(report)
    made = (
        arm_tables.arms_html(shown) + class_tables.arm_html(shown, "") + mix_answer.best_html(shown)
    )
    said = text(made)
    assert "Gain by class" in said and "Confusion" not in said and "before and after" not in said
    assert len(mix_chart.mix(shown, "dark", "r").data) == 12


def planned(**values: Any) -> str:
    return mix_plan.planned_html(make(MixSpec, {"images_per_class": 10, **values}), [10] * 9 + [20])


def test_planned_counts_are_exact_totals_of_unequal_classes() -> None:
    made = planned(arms=("real", "90/10", "real+3x"))
    assert rows(made) == [
        ["Images per classifier", "real", "synth.", "other"],
        ["Real only", "110", "0", ""],
        ["90 / 10", "99", "11", ""],
        ["Real + 3x synthetic", "110", "330", ""],
        ["Real + 3x duplicated", "110", "0", "330"],
        ["Real, augmented", "110", "0", ""],
        ["Real + 3x noise", "110", "0", "330"],
        ["Synthetic only", "0", "110", ""],
    ]
    said = text(made)
    assert "Real only 10 to 20 a class" in said and "2,000 real images" in said
    assert "7 arms x 5 seeds: 35 classifiers" in said


def test_planned_counts_without_controls_and_with_targets() -> None:
    made = planned(arms=("real", "real+500@8+9"), controls=())
    assert rows(made)[1:] == [
        ["Real only", "110", "0", ""],
        ["Real + 500 synthetic of 8, 9", "110", "1,000", ""],
    ]
    assert "2 arms x 5 seeds: 10 classifiers" in text(made)
