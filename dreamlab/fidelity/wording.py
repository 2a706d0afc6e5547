"""What pages, tables and the command line say of metrics and of their values. Without torch.

Stored results may have metrics of another version of DreamLab; these are shown without a direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dreamlab.fidelity.metrics import METRICS, fewest_for_infinite

TOO_FEW = "too few images"
"""In place of a value."""


def best_word(name: str) -> str:
    """ "lowest" or "highest", whichever is best; "best" for an unknown metric, and for one whose
    best value is neither."""
    known = METRICS.get(name)
    if known is None or known.ideal is not None:
        return "best"
    return "lowest" if known.lower_is_better else "highest"


def direction(names: Iterable[str], word: str = "") -> str:
    """Such as "lower is closer", if it holds for all these metrics, else "". `word` replaces
    "closer" or what else is better."""
    known = [METRICS.get(n) for n in names]
    found = {f"{m.direction} is {word or m.better}" if m else "" for m in known}
    return found.pop() if len(found) == 1 else ""


def summary() -> str:
    """One sentence about all metrics, for the top of the page."""
    shared = direction(METRICS)
    if not shared:
        return "Measures of feature distributions; each says which direction is closer."
    return f"Distances of feature distributions: {shared}."


def axis_title(name: str) -> str:
    """The title of an axis: name, unit and direction."""
    known = METRICS.get(name)
    words = (name, known.unit if known else "", direction([name], "better"))
    return ", ".join(w for w in words if w)


def column_titles(names: Sequence[str]) -> tuple[str, list[str]]:
    """Title and cells of a table column of metric names. The direction is in the title if all
    metrics have the same one, otherwise beside each name."""
    if shared := direction(names):
        return f"Metric, {shared}", list(names)
    said = [(n, direction([n])) for n in names]
    return "Metric", [f"{n}, {d}" if d else n for n, d in said]


def number(metric: Mapping[str, Any]) -> str:
    """A stored value with three digits and its unit. `metric` has the keys `value`, None where
    there were too few images for one, and, if any, `unit`."""
    if metric["value"] is None:
        return TOO_FEW
    unit = f" {metric['unit']}" if metric.get("unit") else ""
    return f"{metric['value']:.3g}{unit}"


CIRCULAR = (
    "How many images are recognised as their class is not given: a classifier gave these labels, so"
    " that it would agree with itself."
)
OTHER_IMAGES = "The generator was trained on other images than its data folder holds now."
NO_CLASSIFIER = (
    "The Inception Score needs weights that hold the classifier of Inception-v3; those of this file"
    " (--inception-weights) are zeros. The original file of torch-fidelity holds it."
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
        if known is None or row.get("value") is None:
            continue
        if low is None and known.against == "classifier":
            said.append(f"{name} has no interval: one classifier was trained.")
        elif low is None:
            said.append(
                f"Too few images for an interval of {name}: 20 are needed, and 4 of each class."
            )
        elif known.is_distance and low <= 0:
            said.append(f"{name} shows no difference that this number of images can show.")
        if known.biased:
            said.append(
                f"The interval of {name} does not hold its bias: with few images the value is too"
                " large, so compare only equal numbers of images."
            )
    named = [r["name"] for r in rows if r["name"] in METRICS and METRICS[r["name"]].by_number]
    if named:
        said.append(
            f"{_listed(named).capitalize()} depend{'s' if len(named) == 1 else ''} on the numbers"
            " of images: compare with the same for real images."
        )
    return said


def _listed(names: Sequence[str], word: str = "and") -> str:
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), names[-1])))


FEWEST_FOR_FID = 2048
"""Fewest images for a Frechet distance of Inception features: its covariance has so many
dimensions (Heusel et al. 2017 ask for 10,000)."""


def too_few(row: Mapping[str, Any], result: Mapping[str, Any]) -> int:
    """The number of images that a Frechet distance needs if a measured set has fewer; 0 if it has
    enough, and for other metrics. With fewer images than features the covariance of the set is
    singular, and the distance is mostly its bias."""
    known = METRICS.get(row["name"])
    dimensions = int((result.get("extractor") or {}).get("dimensions") or 0)
    if known is not None and known.measure == "fd_infinite":
        needed = fewest_for_infinite(dimensions)
        fewer = min(result.get("images") or 0, (result.get("reference") or {}).get("images") or 0)
        return needed if fewer < needed else 0
    if known is None or known.measure != "fd":
        return 0
    needed = max(dimensions, FEWEST_FOR_FID if known.extractor == "inception" else 0)
    return needed if int(result.get("images") or 0) < needed else 0


def reliable_first(
    rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """The rows of a result, those with too few images for their metric last."""
    return sorted(rows, key=lambda row: too_few(row, result) > 0)


def about_too_few(result: Mapping[str, Any]) -> list[str]:
    """A sentence for each metric that the set has too few images for."""
    images, said = result.get("images") or 0, []
    for row in result.get("metrics") or []:
        if not (needed := too_few(row, result)):
            continue
        if row["value"] is None:
            said.append(f"{row['name']} needs at least {needed:,} synthetic and real images.")
        else:
            said.append(
                f"{row['name']} is grey: it needs at least {needed:,} images, one for each feature,"
                f" and the set has {images:,}. The kernel distance does not have this bias."
            )
    return said


def comparable(result: Mapping[str, Any]) -> bool:
    """Whether the real images of `real_floor` are as many as the synthetic ones, and of the same
    classes. Otherwise their distances have another bias and are not shown beside each other."""
    return bool(result.get("real_floor")) and result.get("real_floor_images") == result.get(
        "images"
    )


def about_floor(result: Mapping[str, Any]) -> str:
    """What the column of real images is computed from, or why it is empty. Nothing is said where
    no metric compares with the reference."""
    known = [METRICS.get(m["name"]) for m in result.get("metrics") or []]
    if known and all(m is not None and m.against != "reference" for m in known):
        return ""
    split = (result.get("reference") or {}).get("split", "")
    other = "test" if split == "train" else "training"
    count = result.get("real_floor_images") or 0
    if not comparable(result):
        if lacks := result.get("real_floor_lacks"):
            return (
                f"There is nothing to compare with: the set has {lacks['synthetic']:,} images of"
                f" class {lacks['class']}, and the {other} split only {lacks['real']:,} that are"
                " not in the reference; as many of each class are needed."
            )
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


def about_gap(result: Mapping[str, Any]) -> str:
    """What the gap between held-out and training images says of a stored result; empty without
    one."""
    found = result.get("gap")
    if not found or found.get("low") is None:
        return ""
    value, low, high = (f"{found[key]:.2g}" for key in ("value", "low", "high"))
    said = f"Kernel distance to held-out images minus that to training images: {value} ({low} to"
    said += f" {high})"
    if found["low"] > 0:
        return f"{said}. The set lies closer to the training images: a sign of memory."
    said += "; above 0 would be a sign of memory."
    if (result.get("extractor") or {}).get("name") == "classifier":
        said += " The classifier knows the training images, which can hide one."
    return said


LOOKS = {
    "brightness": ("brightness", "the images are darker", "the images are brighter"),
    "border": ("background", "the backgrounds are darker", "the backgrounds are brighter"),
    "contrast": ("contrast", "contrast is lower", "contrast is higher"),
    "colour": ("colour", "colours are paler", "colours are stronger"),
    "detail": ("fine detail", "there is less fine detail", "there is more fine detail"),
}
"""Measure of appearance -> its name, and what a lower and a higher value than that of real images
mean."""


def about_looks(result: Mapping[str, Any]) -> str:
    """How the images of a stored result look beside real ones; empty for results of before."""
    found = (result.get("appearance") or {}).get("difference") or {}
    known = {name: d for name, d in found.items() if name in LOOKS}
    clear = {name: d for name, d in known.items() if d["low"] > 0 or d["high"] < 0}
    if not known:
        return ""
    said = [f"{LOOKS[name][1 + (d['value'] > 0)]} by {_extent(d)}" for name, d in clear.items()]
    alike = [LOOKS[name][0] for name in known if name not in clear]
    return " ".join(
        ([f"Beside real images, {'; '.join(said)} on a scale of 0 to 100."] if said else [])
        + ([f"No difference in {_listed(alike, 'or')} can be shown."] if alike else [])
    )


def _extent(difference: Mapping[str, float]) -> str:
    low, high = sorted(abs(difference[end]) for end in ("low", "high"))
    return f"{100 * abs(difference['value']):.2g} ({100 * low:.2g} to {100 * high:.2g})"
