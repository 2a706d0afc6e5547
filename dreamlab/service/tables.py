"""Tables of mixes and studies for other programs: CSV and Parquet with all fields, LaTeX with the
most important ones.

A column has one unit. It is the last word of its name (percent, points); counts of images and
seeds, p values, distances and texts have none. The values of a study are in the unit that its
column `unit` gives for each row: %, points, s, or "none" (FID and other numbers without a unit).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dreamlab.stats import generator_quality
from dreamlab.stats.wording import level_text

if TYPE_CHECKING:  # pandas takes a second to import, so it is imported only when it is needed
    import pandas as pd

Values = Mapping[str, Any]

FIELDS = (
    "id",
    "arm",
    "metric",
    "unit",
    "published",
    "published_low",
    "published_high",
    "setting",
    "flag",
    "derived",
    "ours",
    "low",
    "high",
    "our_metric",
    "seeds",
    "images",
    "stand_in",
    "difference_points",
    "difference_low_points",
    "difference_high_points",
    "difference_level_percent",
    "p_holm",
    "state",
    "child",
    "recognised_percent",
    "judge_accuracy_percent",
    "generator_state",
)
ARM_FIELDS = (
    "arm",
    "label",
    "generator",
    "role",
    "real",
    "synthetic",
    "other",
    "seeds",
    "accuracy_percent",
    "accuracy_low_percent",
    "accuracy_high_percent",
    "macro_f1_percent",
    "macro_f1_low_percent",
    "macro_f1_high_percent",
    "difference_points",
    "difference_low_points",
    "difference_high_points",
    "difference_level_percent",
    "p_holm",
    "state",
    "run",
    "recognised_percent",
    "judge_accuracy_percent",
    "generator_state",
)
SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}
DERIVED = "*"
"""Mark of a published number that the paper does not print."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a text that a spreadsheet may take for a formula."""


def frame(result: Values) -> pd.DataFrame:
    """A data frame with one row per row of a study (columns FIELDS) or per arm of a mix (columns
    ARM_FIELDS). Missing values are None. Raises KeyError if the result is neither."""
    import pandas as pd

    fields: Sequence[str]
    if "rows" in result:
        rows = [
            {**_one_unit(row), **_difference(row), **_quality(row, result)}
            for row in result["rows"]
        ]
        fields = FIELDS
    else:
        rows = [{**_arm(arm), **_quality(arm, result)} for arm in result["arms"]]
        fields = ARM_FIELDS
    values = [[row.get(name) for name in fields] for row in rows]
    return pd.DataFrame(values, columns=list(fields), dtype=object)  # keeps integers with None


def as_csv(result: Values) -> str:
    """The frame as CSV with a header. Texts that a spreadsheet could take for formulas are prefixed
    with '. Raises KeyError if the result is neither that of a study nor of a mix."""
    text: str = frame(result).map(_plain).to_csv(index=False, lineterminator="\n")
    return text


def as_parquet(result: Values) -> bytes:
    """The frame as Parquet with typed columns. Raises ImportError if pyarrow is not installed, and
    KeyError if the result is neither that of a study nor of a mix."""
    data: bytes = frame(result).convert_dtypes().to_parquet(index=False, engine="pyarrow")
    return data


def as_latex(result: Values) -> str:
    """A LaTeX tabular with booktabs. For a study: published and measured values with 95 % intervals
    and numbers of seeds. For a mix: accuracy and difference of each arm. Raises KeyError if the
    result is neither."""
    first = generator_quality.caution(result.get("generators") or [])
    if "rows" in result:
        header: Sequence[str] = (
            "Arm",
            "Metric",
            "Unit",
            "Published",
            "Ours (95 % interval)",
            "Seeds",
        )
        lines = [_study_line(_one_unit(row)) for row in result["rows"]]
        caption = f"{first}{result['study']}, {result['scale']} scale: {result['data']}"
    else:
        header = (
            "Arm",
            "Real",
            "Synthetic",
            "Accuracy in % (95 % interval)",
            "Difference in points (interval, level)",
            "Seeds",
        )
        lines = [_mix_line(arm) for arm in result["arms"]]
        caption = f"{first}Tested on {result['test_images']:,} real images"
    columns = "l" * sum(name in ("Arm", "Metric", "Unit") for name in header)
    columns += "r" * (len(header) - len(columns))
    body = [" & ".join(escaped(cell) for cell in line) + r" \\" for line in (header, *lines)]
    return "\n".join(
        [
            f"% {caption}",
            f"\\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            body[0],
            r"\midrule",
            *body[1:],
            r"\bottomrule",
            *_legend(result.get("rows", ()), len(header)),
            r"\end{tabular}",
            "",
        ]
    )


def _legend(rows: Sequence[Values], columns: int) -> list[str]:
    """Lines of a LaTeX tabular that say how the marked numbers follow from printed ones."""
    said = [f"{DERIVED} {r['arm']}: {r['derived']}" for r in rows if r.get("derived")]
    return [rf"\multicolumn{{{columns}}}{{l}}{{{escaped(text)}}} \\" for text in said]


def escaped(text: str) -> str:
    """The text with all special characters of LaTeX escaped."""
    return re.sub(r"[\\{}&%$#_~^±<>]", lambda m: SPECIAL[m[0]], text)


def number(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """For example `84.2 (83.1 to 85.3)`. The number of decimals shows two digits of the half width
    of the interval. Empty for None."""
    if value is None:
        return ""
    if low is None or high is None:
        return f"{value:.4g}"
    half = max((high - low) / 2, 1e-4)
    digits = min(max(1 - math.floor(math.log10(half)), 0), 4)
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def published(row: Values) -> str:
    """A published number with its spread and unit, and DERIVED if the paper does not print it.
    Empty if there is none."""
    if row["published"] is None:
        return ""
    spread = (
        ""
        if row["published_high"] is None
        else f" ± {row['published_high'] - row['published']:.2g}"
    )
    unit = {"%": " %", "points": " points", "s": " s"}.get(row["unit"], "")
    sign = "+" if row["unit"] == "points" else ""
    return f"{row['published']:{sign}g}{spread}{unit}{DERIVED if row.get('derived') else ''}"


def _study_line(row: Values) -> Sequence[str]:
    own = row["our_metric"]
    metric = f"{row['metric']} (ours: {own})" if own not in ("", row["metric"]) else row["metric"]
    seeds = "" if row["seeds"] is None else str(row["seeds"])
    ours = number(row["ours"], row["low"], row["high"])
    return row["arm"], metric, row["unit"], published({**row, "unit": ""}), ours, seeds


def _one_unit(row: Values) -> dict[str, Any]:
    """A row of a study with its unit said: macro-F1, which the studies give as a share, in % like
    every accuracy."""
    if row["unit"]:
        return dict(row)
    if row["metric"] != "macro-F1":
        return {**row, "unit": "none"}
    names = ("published", "published_low", "published_high", "ours", "low", "high")
    return {**row, **{n: _percent(row[n]) for n in names}, "unit": "%"}


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 10)  # 0.57 in % is 57, not 56.99999999


def _mix_line(arm: Values) -> Sequence[str]:
    found, d = _arm(arm), arm.get("difference")
    accuracy = [
        found[k] for k in ("accuracy_percent", "accuracy_low_percent", "accuracy_high_percent")
    ]
    label = f"{arm['label']} ({arm['generator']})" if arm.get("generator") else arm["label"]
    return (
        label,
        f"{arm['real']:,}",
        f"{arm['synthetic']:,}",
        number(*accuracy),
        _points(d) if d else "",
        str(found["seeds"]),
    )


def _points(d: Values) -> str:
    """For example `3.6 (2.1 to 5.1, 98.33 %)`: the level is that of the test."""
    if d["mean"] is None:
        return str(d["why"])
    text = number(d["mean"], d["low"], d["high"])
    level = level_text(d.get("level") or 0.95)
    return text.replace(")", f", {level})")


def _arm(arm: Values) -> dict[str, Any]:
    found = {**arm, **_difference(arm), "seeds": len(arm.get("seeds") or [])}
    for name, key in (("accuracy", "interval"), ("macro_f1", "macro_f1_interval")):
        interval = arm.get(key) or {}
        found |= {
            f"{name}_percent": _percent(interval.get("mean")),
            f"{name}_low_percent": _percent(interval.get("low")),
            f"{name}_high_percent": _percent(interval.get("high")),
        }
    return found


def _quality(arm: Values, result: Values) -> dict[str, Any]:
    """Recognised share of the generator of an arm, the judge's accuracy on held-out real images,
    and what follows from them."""
    listed = result.get("generators") or []
    key = arm.get("generator")
    own: Values = next((g for g in listed if key and g["key"] == key), {})
    found = own.get("recognition") or {}
    state = (own.get("quality") or {}).get("state")
    judged = state not in (None, "not judged")
    return {
        "recognised_percent": _percent(found.get("recognised")) if judged else None,
        "judge_accuracy_percent": _percent(found.get("accuracy")) if judged else None,
        "generator_state": state,
    }


def _difference(row: Values) -> dict[str, Any]:
    d = row.get("difference") or {}
    return {
        "difference_points": d.get("mean"),
        "difference_low_points": d.get("low"),
        "difference_high_points": d.get("high"),
        "difference_level_percent": _percent(d.get("level")),
        "p_holm": d.get("p_holm"),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return "" if value is None else value
