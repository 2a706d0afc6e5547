"""Sweeps against every setting, heat maps of two, and their pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, get_args

import pytest

from dreamlab.checks import Known, check
from dreamlab.experiments import plan, report
from dreamlab.experiments.sweep.plan import place, point_of
from dreamlab.experiments.sweep.report import best_text
from dreamlab.service import Service
from dreamlab.settings import SpecError, SweepSpec, SynthesizeSpec, make
from dreamlab.settings.names import AxisName, SamplerName
from dreamlab.settings.sweep import DEFAULT_VALUES
from dreamlab.store import Run, RunStore, checkpoints
from dreamlab.ui.charts import sweep_chart
from dreamlab.ui.charts.sweep_chart import Line
from dreamlab.ui.parts import sweep_curve
from dreamlab.ui.view import Pages
from tests.evidence_helpers import finish, new_group, new_run, new_store


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return new_store(tmp_path)


@pytest.fixture
def source(store: RunStore) -> Run:
    """A finished generator that kept two checkpoints."""
    run = new_run(store, "train", {"num_train_timesteps": 200})
    folder = run.path / checkpoints.FOLDER
    folder.mkdir()
    for step in (100, 200):
        (folder / f"{checkpoints.name_at(step)}.safetensors").write_bytes(b"weights")
    finish(run, {"steps": 300, "seconds": 1.0})
    return run


def sets(store: RunStore, source: Run, **values: Any) -> list[SynthesizeSpec]:
    planned = plan(make(SweepSpec, {"source": source.id, **values}), store)
    ids = {c.role: c.role for c in planned} | {"generator:50": source.id}
    made = [c.made(ids) for c in planned if c.kind == "synthesize"]
    return [spec for spec in made if isinstance(spec, SynthesizeSpec)]


def measured(value: float, name: str = "fd_classifier") -> dict[str, Any]:
    metric = {"name": name, "value": value, "low": value - 0.1, "high": value + 0.1, "unit": ""}
    return {
        "metrics": [metric],
        "real_floor": [metric],
        "recognised": 0.9,
        "extractor": {"name": "classifier"},
        "images": 50,
        "reference": {"dataset": "mnist5k", "split": "test", "images": 2000},
    }


@pytest.mark.parametrize("axis", get_args(AxisName))
def test_every_axis_has_usual_values_that_pass_the_checks(
    store: RunStore, source: Run, axis: str
) -> None:
    spec = make(SweepSpec, {"source": source.id, "axis": axis})
    if axis != "checkpoint":  # these have no weights
        check(spec, Known(store))
    made = sets(store, source, axis=axis)
    assert len(made) == (3 if axis == "checkpoint" else len(DEFAULT_VALUES[axis])) or axis in (
        "num_train_timesteps",
    )
    assert len({s.content_hash() for s in made}) == len(made)
    assert axis in sweep_chart.AXIS_WORDS


def test_an_axis_changes_what_it_is_called(store: RunStore, source: Run) -> None:
    assert [s.checkpoint for s in sets(store, source, axis="checkpoint")] == [
        "step-000100",
        "step-000200",
        "",
    ]
    by_sampler = sets(store, source, axis="sampler", values="heun,ddim")
    assert [s.sampler for s in by_sampler] == ["ddim", "heun"]
    assert [s.per_class for s in sets(store, source, axis="per_class", values="5,20")] == [5, 20]
    (v,) = sets(store, source, axis="logvar_coefficient", values="0.3")
    assert (v.sampler, v.variance, v.logvar_coefficient) == ("ddpm", "interpolated", 0.3)
    (eta,) = sets(store, source, axis="eta", values="0.5")
    assert (eta.sampler, eta.eta) == ("ddim", 0.5)


def test_a_heat_map_measures_every_pair(store: RunStore, source: Run) -> None:
    values = {"axis": "guidance_weight", "values": "0,1", "second_axis": "num_steps"}
    made = sets(store, source, **values, second_values="10,20,50")
    assert [(s.guidance_weight, s.num_steps) for s in made] == [
        (w, n) for w in (0, 1) for n in (10, 20, 50)
    ]
    trained = plan(
        make(
            SweepSpec,
            {
                "source": source.id,
                "axis": "num_train_timesteps",
                "values": "50,100",
                "second_axis": "sampler",
                "second_values": "ddim,ddpm",
            },
        ),
        store,
    )
    assert [c.role for c in trained if c.kind == "train"] == ["generator:50", "generator:100"]
    assert [c.values["source"] for c in trained if c.kind == "synthesize"] == [
        "@generator:50",
        "@generator:50",
        "@generator:100",
        "@generator:100",
    ]


def test_places_in_roles_are_read_back() -> None:
    for point in [(0.1,), (1e-7, 20.0), ("ddim", 4.0)]:
        assert point_of(place(point)) == point


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"second_values": "1,2"}, "second_values", "there is no second setting"),
        ({"second_axis": "guidance_weight"}, "second_axis", "is varied already"),
        (
            {"axis": "eta", "second_axis": "logvar_coefficient"},
            "second_axis",
            "eta is a setting of ddim and cannot be varied with logvar_coefficient",
        ),
        ({"axis": "sampler", "second_axis": "eta"}, "second_axis", "cannot be varied with sampler"),
        ({"axis": "sampler", "values": "1,2"}, "values", "takes the names of samplers, not 1"),
        ({"axis": "eta", "values": "ddim"}, "values", "takes numbers, not ddim"),
        ({"axis": "eta", "values": "2"}, "values", "a point cannot be used"),
        (
            {"axis": "checkpoint", "values": "150"},
            "values",
            "no checkpoint of step 150; it has 100",
        ),
        (
            {"second_axis": "num_steps", "second_values": "10,5000"},
            "second_values",
            "a point cannot be used",
        ),
        ({"second_axis": "per_class", "second_values": "5,5"}, "second_values", "given twice"),
        (
            {
                "values": ",".join(str(i / 10) for i in range(20)),
                "second_axis": "num_steps",
                "second_values": ",".join(str(i) for i in range(4, 20)),
            },
            "values",
            "20 x 16 values are 320 points",
        ),
    ],
)
def test_what_cannot_be_varied_is_said(
    store: RunStore, source: Run, values: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SpecError, match=words) as refused:
        check(make(SweepSpec, {"source": source.id, **values}), Known(store))
    assert refused.value.field == field


def test_an_unknown_name_among_the_values_is_said() -> None:
    with pytest.raises(SpecError, match="a comma-separated list of numbers, or of dpmpp_2m, "):
        make(SweepSpec, {"source": "any", "axis": "sampler", "values": "ddim,euler"})


def test_a_generator_without_checkpoints_says_so(store: RunStore) -> None:
    run = new_run(store, "train", {"num_train_timesteps": 200})
    with pytest.raises(SpecError, match="kept no checkpoints .--snapshots"):
        check(make(SweepSpec, {"source": run.id, "axis": "checkpoint"}), Known(store))


def test_the_hash_of_a_sweep_of_before_is_the_same(store: RunStore, source: Run) -> None:
    plain = make(SweepSpec, {"source": source.id})
    assert (
        plain.content_hash()
        == make(
            SweepSpec, {"source": source.id, "second_axis": "none", "second_values": ()}
        ).content_hash()
    )
    assert (
        plain.content_hash()
        != make(SweepSpec, {"source": source.id, "second_axis": "num_steps"}).content_hash()
    )


def filled(store: RunStore, source: Run, **values: Any) -> Run:
    """A finished sweep with the values 1, 2, ... at its points."""
    group, children = new_group(store, "sweep", {"source": source.id, "per_class": 5, **values})
    at = 0
    for role, child in children.items():
        if role.startswith("fidelity:"):
            at += 1
            finish(child, measured(float(at)))
        else:
            finish(child, {"seconds": 2.0})
    finish(group, report(group, store))
    return group


def test_the_report_of_a_heat_map_names_the_best_pair(store: RunStore, source: Run) -> None:
    group = filled(
        store, source, values=(0, 1), second_axis="sampler", second_values=("ddim", "heun")
    )
    found = report(group, store)
    assert (found["axis"], found["second_axis"]) == ("guidance_weight", "sampler")
    assert [(p["x"], p["y"]) for p in found["points"]] == [
        (0.0, "ddim"),
        (0.0, "heun"),
        (1.0, "ddim"),
        (1.0, "heun"),
    ]
    assert found["best"] == {"x": 0.0, "y": "ddim", "metric": "fd_classifier"}
    assert [p["standing"] for p in found["points"]] == ["best", "", "", ""]
    assert best_text(found, {"guidance_weight": "w"}) == (
        "Lowest fd_classifier at w = 0, sampler = ddim."
    )


def test_more_images_are_no_better_setting(store: RunStore, source: Run) -> None:
    found = report(filled(store, source, axis="per_class", values=(5, 10)), store)
    assert found["best"] is None and found["images"] is None


def test_the_page_draws_heat_maps_and_several_curves(store: RunStore, source: Run) -> None:
    steps = filled(store, source, axis="num_steps", values=(4, 50))
    other = filled(store, source, axis="num_steps", values=(4, 8))
    pair = filled(
        store, source, values=(0, 1), second_axis="sampler", second_values=("ddim", "heun")
    )
    pages = Pages(Service(store.folder))
    row = pages.service.row(steps.id)
    assert [v for _, v in sweep_curve.beside_choices(pages, row)] == [other.id]
    figure = sweep_curve.figure(pages, row, "", [other.id, "gone"], "light")
    names = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert len(names) == 2 and figure.layout.xaxis.type == "log"
    assert names[0].endswith(f"· {steps.id[-4:]}, values 4,50") and names[0] != names[1]
    seconds = sweep_curve.figure(pages, row, "seconds", [], "dark")
    assert seconds.layout.yaxis.title.text == "time to sample, s"
    assert [v for _, v in sweep_curve.shown_choices(pages.report(row))] == [
        "fd_classifier",
        "recognised",
        "seconds",
    ]
    mapped = sweep_curve.figure(pages, pages.service.row(pair.id), "", [], "light")
    (heat,) = mapped.data
    assert list(heat.x) == ["0", "1"] and list(heat.y) == ["ddim", "heun"]
    assert "lowest" in heat.text[0][0]
    assert sweep_curve.beside_choices(pages, pages.service.row(pair.id)) == []
    head = str(sweep_curve.head(row, pages.report(row)))
    assert "Lowest fd_classifier at sampler steps = 4." in head
    table = str(sweep_curve.table(pages, pages.service.row(pair.id), report(pair, store)))
    assert "0, heun" in table


def test_published_curves_stand_on_their_own_axis(store: RunStore, source: Run) -> None:
    group = filled(store, source, axis="num_train_timesteps", values=(50, 200))
    pages = Pages(Service(store.folder))
    row = pages.service.row(group.id)
    choices = [v for _, v in sweep_curve.beside_choices(pages, row)]
    assert "published:flowers" in choices
    figure = sweep_curve.figure(pages, row, "", ["published:flowers"], "light")
    line = figure.data[-1]
    assert line.yaxis == "y2" and len(line.x) == 20 and "fid" in figure.layout.yaxis2.title.text
    same = sweep_chart.curve(
        [Line("ours", [{"x": 50, "value": 3.0}], "fid"), Line("p", [{"x": 50, "value": 4}], "fid")],
        "num_train_timesteps",
        "light",
        "r",
    )
    assert "yaxis2" not in same.layout and same.data[-1].yaxis is None


def test_weights_of_guidance_have_a_place_for_zero_on_a_log_axis() -> None:
    points = [{"x": x, "value": 1 + x, "low": x, "high": 2 + x} for x in (0.0, 0.25, 4.0)]
    figure = sweep_chart.curve([Line("", points, "kid")], "guidance_weight", "light", "r")
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.ticktext) == ["0", "0.25", "4"]
    band, line = figure.data
    assert band.fill == "toself" and all(math.isfinite(math.log(x)) for x in line.x)


def test_samplers_are_names_on_the_axis() -> None:
    names = get_args(SamplerName)
    points = [{"x": name, "value": 1.0, "low": 0.5, "high": 1.5} for name in names]
    figure = sweep_chart.curve([Line("", points, "kid")], "sampler", "light", "r")
    assert figure.layout.xaxis.type == "category" and list(figure.data[0].x) == list(names)
