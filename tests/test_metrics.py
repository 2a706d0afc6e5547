"""The registry of metrics: what is added to it is measured, kept, drawn and named by its own
direction."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dreamlab.experiments import report
from dreamlab.fidelity import metrics, wording
from dreamlab.fidelity.extractors import cache_key
from dreamlab.fidelity.frechet import frechet_interval
from dreamlab.fidelity.kid import kid
from dreamlab.fidelity.metrics import METRICS, Metric, UnknownMetric
from dreamlab.fidelity.strata import Labels
from dreamlab.service.library import headline
from dreamlab.stats.intervals import Interval
from dreamlab.store.cache import array_hash
from dreamlab.tasks.fidelity.measured import measured
from dreamlab.ui.charts import sweep_chart
from tests.evidence_helpers import context, finish, new_group, new_run, new_store

CALLS: list[int] = []
DISTANCES = ("fd", "kid")


def share_inside(x: np.ndarray, y: np.ndarray, kept: metrics.Kept, labels: Labels) -> Interval:
    """A metric of this test where higher is better: features between the reference's extremes."""
    CALLS.append(len(x))
    ends = kept("extremes", lambda: {"low": y.min(0), "high": y.max(0)})
    share = 100 * float(((x >= ends["low"]) & (x <= ends["high"])).mean())
    return Interval(share, share - 1, share + 1)


INSIDE = Metric(
    "inside", "fd", "classifier", f"{__name__}:share_inside", lower_is_better=False, unit="%"
)


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Metric:
    monkeypatch.setitem(METRICS, "inside", INSIDE)
    CALLS.clear()
    return INSIDE


@dataclasses.dataclass
class Extractor:
    """Stands for a network whose features are given."""

    name: str = "classifier"
    version: int = 1
    id: str = "0123456789ab"
    device: str = "cpu"
    resize: str = ""
    dimensions: int = 4

    def batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        yield images


def test_a_new_metric_is_measured_beside_what_was_kept_and_anew_with_a_new_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(tmp_path)
    ctx = context(store, new_run(store, "fidelity", {"images": "any"}))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)), rng.normal(size=(80, 4))
    before = measured(ctx, Extractor(), DISTANCES, x, y)
    assert [m["name"] for m in before] == ["fd_classifier", "kid_classifier"]
    assert [m["value"] for m in before] == [frechet_interval(x, y).mean, kid(x, y).mean]
    key = f"values/{cache_key(Extractor())}/{array_hash(x, y)}"
    entry = ctx.cache.get(key)
    assert entry is not None
    ctx.cache.put(key, **{**entry, "values": entry["values"] + 1.0})
    CALLS.clear()
    monkeypatch.setitem(METRICS, "inside", INSIDE)
    found = measured(ctx, Extractor(), DISTANCES, x, y)
    assert [m["value"] for m in found[:2]] == [m["value"] + 1.0 for m in before]
    assert found[2]["name"] == "inside" and found[2]["unit"] == "%" and found[2]["value"] > 50
    assert CALLS == [60] and any(k.startswith("extremes/") for k in ctx.cache.keys())
    assert measured(ctx, Extractor(), DISTANCES, x, y) == found and CALLS == [60]
    monkeypatch.setitem(METRICS, "inside", dataclasses.replace(INSIDE, version=2))
    assert measured(ctx, Extractor(), DISTANCES, x, y) == found and CALLS == [60, 60]


def test_where_higher_is_better_the_highest_point_is_the_best(
    tmp_path: Path, inside: Metric
) -> None:
    store = new_store(tmp_path)
    source = new_run(store, "train", {"num_train_timesteps": 20})
    values = {"source": source.id, "axis": "num_steps", "values": (4, 10), "per_class": 5}
    group, children = new_group(store, "sweep", values)
    for x, value in ((4, 90.0), (10, 60.0)):
        row = {"name": "inside", "value": value, "low": value, "high": value, "unit": "%"}
        finish(children[f"set:{x}"], {"seconds": 1.0})
        result = {"metrics": [row], "real_floor": [row], "recognised": None}
        finish(
            children[f"fidelity:{x}"], {**result, "extractor": {}, "images": 50, "reference": {}}
        )
    found = report(group, store)
    assert found["best"] == {"x": 4.0, "metric": "inside"}
    assert headline("sweep", found) == "Highest inside at num_steps = 4."
    METRICS.pop("inside")
    assert report(group, store)["best"] is None
    assert headline("sweep", found) == "Best inside at num_steps = 4."


def test_words_follow_the_direction_of_each_metric(inside: Metric) -> None:
    assert wording.axis_title("fid") == "fid, lower is better"
    assert wording.axis_title("inside") == "inside, %, higher is better"
    assert wording.axis_title("of another version") == "of another version"
    assert wording.column_titles(["fid", "kid"]) == ("Metric, lower is closer", ["fid", "kid"])
    assert wording.column_titles(["fid", "inside"]) == (
        "Metric",
        ["fid, lower is closer", "inside, higher is closer"],
    )
    assert "lower is closer" not in wording.summary()
    assert wording.number({"value": 12.345, "unit": "%"}) == "12.3 %"
    point = {"x": 1.0, "value": 2.0, "low": None, "high": None, "floor": None}
    line = sweep_chart.Line("", [point], "inside")
    figure = sweep_chart.curve([line], "num_steps", "light", "r")
    assert figure.layout.yaxis.title.text == "inside, %, higher is better"


def test_an_unknown_metric_and_one_without_its_function_are_refused() -> None:
    with pytest.raises(UnknownMetric, match="There is no metric 'psnr'; there are fd_classifier"):
        metrics.find("psnr")
    with pytest.raises(UnknownMetric, match="no metric on the features of 'lpips'"):
        metrics.measured_on("lpips", ["fd"])
    for place in ("dreamlab.fidelity.kid:gone", "dreamlab.fidelity.gone:measure"):
        with pytest.raises(UnknownMetric, match=f"has no function {place}"):
            Metric("x", "fd", "classifier", place).load()
