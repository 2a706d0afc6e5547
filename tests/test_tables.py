"""Tables of results for other programs: what is written can be read back, and nothing in a name
becomes a command."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

import pytest

from dreamlab.service import Refused, Service, demo
from dreamlab.service.tables import (
    ARM_FIELDS,
    FIELDS,
    as_csv,
    as_latex,
    as_parquet,
    escaped,
    number,
    published,
)


def row(**changes: Any) -> dict[str, Any]:
    return {
        "id": "98/2",
        "arm": "2 % replaced",
        "metric": "accuracy",
        "unit": "%",
        "published": 77.37,
        "published_low": None,
        "published_high": None,
        "setting": "CIFAR-10, ResNet-18",
        "flag": "z = 1.2",
        "ours": 96.314,
        "low": 95.1,
        "high": 97.2,
        "our_metric": "",
        "seeds": 5,
        "images": 597,
        "stand_in": "8x8 digits",
        "difference": {"mean": -0.4, "low": -1.2, "high": 0.4, "p_holm": 0.7},
        "state": "done",
        "child": "run-1",
        **changes,
    }


def study(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"study": "s3-replacement", "scale": "laptop", "data": "8x8 digits.", "rows": list(rows)}


def arm(**changes: Any) -> dict[str, Any]:
    interval = {"mean": 0.912, "low": 0.9, "high": 0.924, "level": 0.95}
    return {
        "arm": "real+1x",
        "label": "Real + 1x synthetic",
        "generator": "own",
        "role": "treatment",
        "real": 100,
        "synthetic": 1200,
        "other": 0,
        "seeds": [0, 1, 2],
        "interval": interval,
        "macro_f1_interval": interval,
        "state": "done",
        "run": "run-2",
        "difference": {"mean": 1.25, "low": 0.5, "high": 2.0, "level": 0.975, "p_holm": 0.01},
        **changes,
    }


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_study_comes_back_from_csv_with_all_fields() -> None:
    lines = read(
        as_csv(
            study(
                row(), row(id="real", ours=None, low=None, high=None, seeds=None, difference=None)
            )
        )
    )
    assert tuple(lines[0]) == FIELDS and len(lines) == 2
    first, second = lines
    assert (float(first["published"]), float(first["ours"]), first["setting"]) == (
        77.37,
        96.314,
        "CIFAR-10, ResNet-18",
    )
    assert (float(first["difference_low_points"]), float(first["p_holm"])) == (-1.2, 0.7)
    assert second["ours"] == second["seeds"] == second["difference_points"] == ""


def test_a_mix_comes_back_from_csv() -> None:
    lines = read(
        as_csv(
            {"arms": [arm(), arm(interval=None, macro_f1_interval=None, difference=None, seeds=[])]}
        )
    )
    assert tuple(lines[0]) == ARM_FIELDS
    assert (
        float(lines[0]["accuracy_percent"]),
        lines[0]["seeds"],
        float(lines[0]["difference_points"]),
    ) == (91.2, "3", 1.25)
    assert lines[0]["difference_level_percent"] == "97.5"
    assert lines[1]["accuracy_percent"] == "" and lines[1]["seeds"] == "0"


def test_every_column_has_one_unit_and_the_values_of_a_study_name_theirs() -> None:
    """Accuracies and macro-F1, which a report has as shares, are in percent, differences in
    points."""
    for name in (*ARM_FIELDS, *FIELDS):
        unit = name.rsplit("_", 1)[-1]
        if name.startswith("difference") and "level" not in name:
            assert unit == "points"
        if name.startswith(("accuracy", "macro_f1", "difference_level")):
            assert unit == "percent"
    lines = read(
        as_csv(
            study(
                row(),
                row(metric="macro-F1", unit="", published=0.57, ours=0.6, low=0.5, high=0.7),
                row(metric="FID", unit="", published=3.17, ours=4.5),
                row(metric="time for 128 images", unit="s", published=5040),
            )
        )
    )
    assert [(r["unit"], float(r["published"])) for r in lines] == [
        ("%", 77.37),
        ("%", 57),
        ("none", 3.17),
        ("s", 5040),
    ]
    assert [float(lines[1][k]) for k in ("ours", "low", "high")] == [60, 50, 70]


def test_parquet_keeps_numbers_as_numbers_and_texts_as_they_are() -> None:
    pytest.importorskip("pyarrow")
    import pandas as pd

    empty = row(id="real", ours=None, low=None, high=None, seeds=None, difference=None)
    found = pd.read_parquet(io.BytesIO(as_parquet(study(row(arm="=1+1"), empty))))
    assert tuple(found.columns) == FIELDS and found["arm"][0] == "=1+1"
    assert (found["seeds"][0], found["ours"][0]) == (5, 96.314) and pd.isna(found["seeds"][1])


def test_without_pyarrow_a_parquet_file_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    service = Service(tmp_path / "runs")
    service.install_demo()
    with pytest.raises(Refused, match=r"needs the package pyarrow"):
        service.export(demo.run_id(("mix",)), tmp_path / "x.parquet")
    assert not (tmp_path / "x.parquet").exists()


def test_a_text_that_a_spreadsheet_would_compute_is_quoted_and_a_number_is_not() -> None:
    lines = read(as_csv(study(row(arm="=1+1", ours=-3.5))))
    assert lines[0]["arm"] == "'=1+1" and lines[0]["ours"] == "-3.5"


def test_latex_is_a_booktabs_table_with_published_beside_ours() -> None:
    text = as_latex(
        study(
            row(),
            row(
                arm="T_1 & 50 % {x}",
                our_metric="fd_classifier",
                ours=None,
                low=None,
                high=None,
                seeds=None,
            ),
        )
    )
    lines = text.splitlines()
    assert (
        lines[1] == r"\begin{tabular}{lllrrr}"
        and lines[2] == r"\toprule"
        and lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    )
    assert r"2 \% replaced & accuracy & \% & 77.37 & 96.3 (95.1 to 97.2) & 5 \\" in lines
    assert r"T\_1 \& 50 \% \{x\} & accuracy (ours: fd\_classifier) & \% & 77.37 &  &  \\" in lines
    assert all(line.count("&") - line.count(r"\&") == 5 for line in lines if line.endswith(r"\\"))


def test_latex_of_a_mix_has_accuracy_in_percent_and_the_difference_in_points() -> None:
    text = as_latex(
        {
            "arms": [arm(), arm(arm="real", label="Real only", generator="", difference=None)],
            "test_images": 2000,
        }
    )
    assert (
        r"Real + 1x synthetic (own) & 100 & 1,200 & 91.2 (90.0 to 92.4) &"
        r" 1.25 (0.50 to 2.00, 97.5 \%) & 3 \\" in text
    )
    assert r"Real only & 100 & 1,200 & 91.2 (90.0 to 92.4) &  & 3 \\" in text


def test_every_special_character_is_escaped() -> None:
    assert (
        escaped("\\ { } & % $ # _ ~ ^")
        == r"\textbackslash{} \{ \} \& \% \$ \# \_ \textasciitilde{} \textasciicircum{}"
    )
    assert escaped("±<>") == r"$\pm$\textless{}\textgreater{}"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((96.314, 95.1, 97.2), "96.3 (95.1 to 97.2)"),
        ((96.314, 70.0, 99.0), "96 (70 to 99)"),
        ((0.97123, 0.9701, 0.9723), "0.9712 (0.9701 to 0.9723)"),
        ((0.5, 0.5, 0.5), "0.5000 (0.5000 to 0.5000)"),
        ((123.456, None, None), "123.5"),
        ((None, None, None), ""),
    ],
)
def test_a_number_has_the_digits_that_its_interval_supports(
    values: tuple[float | None, ...], shown: str
) -> None:
    assert number(*values) == shown


def test_a_published_number_keeps_its_spread_and_its_unit() -> None:
    assert (
        published(row(published=76.39, published_low=76.18, published_high=76.6))
        == "76.39 ± 0.21 %"
    )
    assert published(row(published=0.74, unit="points")) == "+0.74 points"
    assert (
        published(row(published=0.36, unit="")) == "0.36" and published(row(published=None)) == ""
    )


def test_what_is_neither_is_refused() -> None:
    with pytest.raises(KeyError):
        as_csv({"points": []})
