"""The CAS of a synthetic set: which classify runs were trained on the set alone, what their
predictions say, and the command that makes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from dreamlab.data import mixing
from dreamlab.data.selection import available
from dreamlab.experiments.identity import images_read
from dreamlab.experiments.predictions import predictions
from dreamlab.fidelity import metrics
from dreamlab.settings import ClassifySpec, RealData, Spec, SpecError, command, make
from dreamlab.stats.intervals import Interval
from dreamlab.stats.left_out import NOTHING
from dreamlab.store import Run

Row = dict[str, Any]
Measured = Callable[[np.ndarray, np.ndarray | None, np.ndarray], Mapping[str, Interval]]
"""The function of these metrics, `dreamlab.fidelity.cas.measure`."""


def is_on(spec: Spec, made: str) -> bool:
    """Whether a run of this spec trains classifiers on the synthetic set `made` alone, with all its
    images."""
    return (
        isinstance(spec, ClassifySpec)
        and mixing.parse(spec.arm).form == "synthetic"
        and spec.synthetic == made
        and not spec.without_near_copies
    )


def best_on(
    made: str, content: str, runs: Iterable[Run], done: Callable[[Run], bool]
) -> Run | None:
    """The finished classify run on a set alone that used the most images of it, among these the one
    with the most seeds, then the newest; None if there is none. `content` identifies the images of
    the data set (`identity.images_read`): a run counts if it was tested on the same."""
    found = [
        (_size(run), run.id, run)
        for run in runs
        if not run.problem()
        and run.kind == "classify"
        and is_on(run.spec, made)
        and images_read(run, cast(ClassifySpec, run.spec).dataset) == content
        and done(run)
    ]
    return max(found)[-1] if found else None


def _size(run: Run) -> tuple[int, int]:
    """(synthetic images, seeds) of a classify run that is done."""
    result = run.result() or {}
    return (result.get("counts") or {}).get("synthetic", 0), len(result.get("seeds") or [])


def rows(run: Run, labels: np.ndarray, classes: Sequence[str]) -> list[Row]:
    """The metrics cas and, of more than five classes, cas_top5, as rows of a fidelity result.

    run: a finished classify run on the set; labels (n,): classes of its test images. A row has the
    keys of `metrics.row`, `n` (synthetic images that were trained on), `reference`, `role`, `run`,
    `seeds`, and for each class (`per_class`) its name, numbers of synthetic (`n`) and of test
    images (`reference_n`), and value, low and high, in percent; low and high are None for one seed.
    Raises SpecError if the predictions cannot be read.
    """
    spec, result = cast(ClassifySpec, run.spec), run.result() or {}
    seeds = len(result.get("seeds") or [])
    predicted = predictions(run.path, seeds) if seeds else None
    if predicted is None or predicted.shape[1:] != labels.shape:
        raise SpecError(
            f"The predictions of {run.id} cannot be read; `{command(spec)} --fresh` makes them"
            " again."
        )
    top5 = predictions(run.path, seeds, "top5")
    counts = result.get("counts_per_class") or {}
    about = {
        "n": (result.get("counts") or {}).get("synthetic", 0),
        "reference": spec.dataset,
        "role": "test",
        "run": run.id,
        "seeds": seeds,
    }
    wanted = metrics.measured_on("", ("cas",), "classifier")
    measure = cast(Measured, wanted[0].load())
    values = measure(predicted, top5, labels)
    each = _each_class(measure, predicted, top5, labels, classes, counts.get("synthetic") or [])
    return [
        metrics.row(m, (found.mean, found.low, found.high), NOTHING, "", "")
        | about
        | {"per_class": each[m.name]}
        for m in wanted
        if (found := values.get(m.name)) is not None
    ]


def _each_class(
    measure: Measured,
    predicted: np.ndarray,
    top5: np.ndarray | None,
    labels: np.ndarray,
    classes: Sequence[str],
    counts: Sequence[int],
) -> dict[str, list[Row]]:
    """Metric -> its values for each class."""
    found: dict[str, list[Row]] = {"cas": [], "cas_top5": []}
    for c, name in enumerate(classes):
        own = labels == c
        values: Mapping[str, Interval] = {}
        if own.any():
            some = None if top5 is None else top5[:, own]
            values = measure(predicted[:, own], some, labels[own])
        for metric, listed in found.items():
            value = values.get(metric)
            ends = (value.mean, value.low, value.high) if value else (np.nan,) * 3
            told = (float(v) if np.isfinite(v) else None for v in ends)
            listed.append(
                {
                    "class": name,
                    "n": counts[c] if c < len(counts) else 0,
                    "reference_n": int(own.sum()),
                    **dict(zip(("value", "low", "high"), told, strict=True)),
                    "level": metrics.LEVEL,
                    "unit": "%",
                }
            )
    return found


def lacking(
    made: str, dataset: str, data_dir: str, labels: np.ndarray | None, labelled: bool = True
) -> str:
    """A sentence that says that the CAS of a set is not known, with the command that makes it known
    from as many images of every class as the set has. labels (n,): the classes of its images; None
    if they are still to be made; `labelled`: whether they are classes. Raises SpecError if the real
    images cannot be read."""
    said = f"The CAS of {made} is not known: no finished classify run was trained on it alone"
    if not labelled:
        return f"{said}, and none can be, because its images have no classes."
    real = available(make(RealData, {"dataset": dataset, "data_dir": data_dir}))
    values: dict[str, Any] = {"dataset": dataset, "data_dir": data_dir}
    if labels is not None:
        held = np.bincount(labels, minlength=len(real))[: len(real)]
        if not held.min():
            return f"{said}, and none can be, because it has no images of some classes."
        if (held < np.array(real)).any():
            values["images_per_class"] = int(min(held.min(), min(real)))
    spec = make(ClassifySpec, {**values, "arm": "synthetic", "synthetic": made})
    return f"{said}; `{command(spec)}` does it."
