"""Sentences about measured distances: what an interval does not hold, and what the same measurement
of real images compares with. Pure functions of a stored result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dreamlab.fidelity.metrics import METRICS

CIRCULAR = (
    "How many images are recognised as their class is not given: a classifier gave these labels, so"
    " that it would agree with itself."
)
NOT_ASIDE = (
    "The generator set no images aside for validation (--validation), so the curve is measured"
    " against the training split, of which it has seen images; no test image chooses a point."
)


def about_intervals(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences about the intervals of stored metrics, each with the keys `name`, `value`, `low`
    and `high`."""
    said = []
    for row in rows:
        known, name, low = METRICS.get(row["name"]), row["name"], row.get("low")
        if known is None:
            continue
        if low is None:
            said.append(f"Too few images for an interval of {name}.")
        elif known.is_distance and low <= 0:
            said.append(f"{name} shows no difference that this number of images can show.")
        if known.biased:
            said.append(
                f"The interval of {name} does not hold its bias: with few images the value is too"
                " large, so compare only equal numbers of images."
            )
    return said


def comparable(result: Mapping[str, Any]) -> bool:
    """Whether the real images of `real_floor` are as many as the synthetic ones. Otherwise their
    distances have another bias and are not shown beside each other."""
    return bool(result.get("real_floor")) and result.get("real_floor_images") == result.get(
        "images"
    )


def about_floor(result: Mapping[str, Any]) -> str:
    """What the column of real images is computed from, or why it is empty."""
    split = (result.get("reference") or {}).get("split", "")
    other = "test" if split == "train" else "training"
    count = result.get("real_floor_images") or 0
    if not comparable(result):
        return (
            f"There is nothing to compare with: the {other} split has only {count:,} images that"
            f" are not in the reference, and a distance of {result.get('images', 0):,} images"
            " compares only with one of as many."
        )
    said = (
        f"The last column is the same measurement for {count:,} real images of the {other} split"
        " against the same reference."
    )
    if (result.get("extractor") or {}).get("name") == "classifier":
        which = {"train": "the reference", "test": "them"}.get(split, "these and on the reference")
        said += f" The classifier was trained on {which}, not on the synthetic images."
    return said
