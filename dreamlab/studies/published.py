"""The published numbers of a study file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dreamlab.studies.model import AmountStep, PublishedCell


def cells_of(
    block: Mapping[str, Any], flags: Mapping[str, str], derived: Mapping[str, str]
) -> Iterator[PublishedCell]:
    """The published cells of a block of the file.

    Its rows are [id, arm, number]. If the block has `columns`, each [key, text after the arm,
    metric, unit], a row is [id, arm, one number per column]. A number is a number or a text such as
    "76.39±0.21"; it is left out if the paper has only a figure. If the rows are points of a curve,
    `amounts` has one amount per row and `axis` names it; each column is then one line.
    """
    columns = block.get("columns", [["", "", block.get("metric"), block.get("unit")]])
    amounts = block.get("amounts", [None] * len(block["cells"]))
    if len(amounts) != len(block["cells"]):
        raise ValueError(f"{len(block['cells'])} rows have {len(amounts)} amounts")
    for (row, arm, *numbers), amount in zip(block["cells"], amounts, strict=True):
        if len(numbers) not in (0, len(columns)):
            raise ValueError(f"row {row} has {len(numbers)} numbers for {len(columns)} columns")
        for (key, after, metric, unit), number in zip(
            columns, numbers or [""] * len(columns), strict=True
        ):
            cell = f"{row}-{key}" if key else row
            if number == "" and numbers:
                continue
            yield PublishedCell(
                cell,
                arm + after,
                metric,
                unit,
                *published_number(number),
                block["setting"],
                flags.get(cell, ""),
                step_of({**block, "amount": amount, "series": after.removeprefix(", ")}),
                derived=derived.get(cell, ""),
            )


def step_of(entry: Mapping[str, Any]) -> AmountStep | None:
    """The position on a curve that a block or a row of a study file defines; None if it has no
    amount."""
    if entry.get("amount") is None:
        return None
    return AmountStep(float(entry["amount"]), entry["axis"], entry.get("series", ""))


def published_number(value: float | str) -> tuple[float | None, float | None, float | None]:
    """(value, low, high) of a number as a file has it: a number, a text with its spread such as
    "76.39±0.21", or an empty text where there is none. low and high are None without a spread.
    Raises ValueError where it is another text."""
    if isinstance(value, int | float):
        return float(value), None, None
    if not value:
        return None, None, None
    mean, spread = map(float, value.split("±"))
    return mean, round(mean - spread, 6), round(mean + spread, 6)
