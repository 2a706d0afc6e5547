"""One run directory that cannot be read is one row that says so, and everything else goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dreamlab import cli
from dreamlab.data import catalog
from dreamlab.service import Refused, Service
from dreamlab.settings import TrainSpec, make
from dreamlab.store import Run, RunStore, write_json
from dreamlab.ui.pages import runs as runs_page
from dreamlab.ui.view import Pages, View
from tests import html_helpers as html
from tests.arm_helpers import new_import
from tests.engine_helpers import fake_engine, submit, until
from tests.evidence_helpers import finish, new_group, new_run, new_store

NESTED = "[" * 100_000
TRAINED = {"loss": 0.1, "steps": 20, "images_per_second": 50.0, "peak_memory_bytes": 10**6}
SETTINGS = {"dataset": "digits", "steps": 20, "base_width": 8, "images_per_class": 10}
Damage = Callable[[Path], Any]


def text(file: str, content: str) -> Damage:
    return lambda run: (run / file).write_text(content)


def cut(file: str) -> Damage:
    return lambda run: (run / file).write_bytes((run / file).read_bytes()[:40])


def changed(file: str, **values: Any) -> Damage:
    return lambda run: write_json(run / file, {**json.loads((run / file).read_text()), **values})


def without(file: str, key: str) -> Damage:
    def damage(run: Path) -> None:
        value = json.loads((run / file).read_text())
        del value[key]
        write_json(run / file, value)

    return damage


def setting(**values: Any) -> Damage:
    def damage(run: Path) -> None:
        record = json.loads((run / "spec.json").read_text())
        write_json(run / "spec.json", {**record, "spec": {**record["spec"], **values}})

    return damage


def named(key: str, *, many: bool) -> Damage:
    """The run names itself."""
    return lambda run: changed("spec.json", **{key: [run.name] if many else run.name})(run)


EXPERIMENT = "20260101-000000-mix-digits-0000"
UNREADABLE: dict[str, Damage] = {
    "spec.json absent": lambda run: (run / "spec.json").unlink(),
    "spec.json empty": text("spec.json", ""),
    "spec.json cut": cut("spec.json"),
    "spec.json not JSON": text("spec.json", "train"),
    "spec.json of zero bytes": text("spec.json", "\0" * 4096),
    "spec.json a list": text("spec.json", "[1]"),
    "spec.json nested": text("spec.json", NESTED),
    "spec.json a folder": lambda run: ((run / "spec.json").unlink(), (run / "spec.json").mkdir()),
    "spec.json of a later schema": changed("spec.json", schema_version=99),
    "spec.json without schema": without("spec.json", "schema_version"),
    "spec.json without id": without("spec.json", "id"),
    "spec.json without hash": without("spec.json", "hash"),
    "spec.json without spec": without("spec.json", "spec"),
    "spec.json with a number as kind": changed("spec.json", kind=5),
    "spec.json with a text as parents": changed("spec.json", parents="x"),
    "spec.json with a path as child": changed("spec.json", children=["../../etc"]),
    "spec.json with a list as spec": changed("spec.json", spec=[1]),
    "spec.json of an unknown kind": changed("spec.json", kind="teleport"),
    "spec.json with a later setting": setting(from_the_future=1),
    "spec.json with a setting out of bounds": setting(num_train_timesteps=10**9),
    "spec.json with a setting of another type": setting(seed="x"),
    "spec.json with itself as child": named("children", many=True),
    "spec.json with itself as need": named("needs", many=True),
    "spec.json with itself as group": named("group", many=False),
    "spec.json with itself as start": lambda run: setting(init_from=run.name)(run),
    "spec.json with an experiment as child": changed("spec.json", children=[EXPERIMENT]),
    "job.json a list": text("job.json", "[1]"),
    "job.json a text": text("job.json", '"running"'),
    "job.json cut": cut("job.json"),
    "job.json empty": text("job.json", ""),
    "job.json nested": text("job.json", NESTED),
    "job.json with a list as state": text("job.json", '{"state": [], "attempt": 1}'),
    "job.json of an unknown state": text("job.json", '{"state": "flying", "attempt": 1}'),
    "job.json with nothing as attempt": text("job.json", '{"state": "queued", "attempt": null}'),
    "job.json with a text as pid": text("job.json", '{"state": "running", "pid": "x"}'),
    "result.json cut": cut("result.json"),
    "result.json a list": text("result.json", "[]"),
    "result.json nested": text("result.json", NESTED),
    "result.json without steps": without("result.json", "steps"),
    "result.json with a text as loss": changed("result.json", loss="low"),
}
LINES = (
    '{"type":"state"}',
    '{"type":"state","state":"flying","t":1}',
    '{"type":"state","state":"failed","attempt":"x","t":"y"}',
    '{"type":"state","state":"running","t":1e400,"attempt":99}',
    '{"type":"progress"}',
    '{"type":"progress","step":null,"total":null}',
    '{"type":"metric","step":"x","t":1,"values":5}',
    '{"type":"metric","step":1,"t":1,"values":{"loss":NaN}}',
    '{"type":"image","step":1}',
    '{"type":"message"}',
    '{"type":"result","values":5}',
    '{"type":[]}',
    "[1]",
    "5",
    NESTED,
    "\0" * 4096,
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    """A finished training, another one that will be damaged, and a set made from that."""
    store = new_store(tmp_path_factory.mktemp("lab"))
    (store.folders.engine / "demo-installed").touch()
    for seed in (1, 2):
        run = new_run(store, "train", {**SETTINGS, "seed": seed})
        (run.path / "checkpoints").mkdir()
        (run.path / "checkpoints" / "ema.safetensors").touch()
        write_json(run.path / "job.json", {"state": "running", "attempt": 1, "pid": None})
        finish(run, TRAINED)
    made = new_run(store, "synthesize", {"source": run.id})
    finish(made, {"images": 9, "guidance_weight": 1.0, "sampler": "ddim", "num_steps": 9})
    return store


class Broken:
    """The lab with one damaged training, in a folder of its own. `others` are all other runs."""

    def __init__(self, lab: RunStore, folder: Path, damage: Damage):
        shutil.copytree(lab.folder.parent, folder)
        self.service = Service(folder / "runs")
        self.run = next(r for r in self.service.store if r.record.spec.get("seed") == 2).path
        self.others = [r.id for r in self.service.store if r.id != self.run.name]
        damage(self.run)


@pytest.fixture(params=UNREADABLE)
def broken(lab: RunStore, tmp_path: Path, request: pytest.FixtureRequest) -> Broken:
    return Broken(lab, tmp_path / "lab", UNREADABLE[request.param])


def test_it_is_one_row_that_says_so_and_a_fresh_app_shows_it(
    broken: Broken, capsys: pytest.CaptureFixture[str]
) -> None:
    service, run_id = broken.service, broken.run.name
    rows = {r.id: r for r in service.rows(top_level=False, disk=True)}
    assert set(rows) == {run_id, *broken.others}
    assert rows[run_id].state == service.status(run_id).state == "unreadable"
    assert {rows[i].state for i in broken.others} == {"done"}
    sentence = rows[run_id].error
    assert sentence.startswith(f"{run_id} cannot be read: its ") and sentence.endswith(".")
    assert ".json" in sentence and "delete the run" in sentence and len(sentence) < 400
    page = Pages(service)
    lines = html.rows(runs_page.table_html(page, View(tab="runs")))
    assert [line[4] for line in lines if line[3] == "unreadable"] == [sentence]
    detail = runs_page.detail_html(page, run_id)
    buttons = html.texts(detail, "button")
    assert sentence in html.text(detail) and "Delete" in buttons and "Open" not in buttons
    service.active(), service.version(), service.card(), service.machine()
    assert all(run_id not in dict(map(reversed, service.choices(k))) for k in ("train", "import"))
    for verb in ("list", "show"):
        words = [] if verb == "list" else [run_id]
        folder = str(service.store.folder)
        assert cli.main(["runs", verb, *words, "--runs", folder, "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        shown = (
            answer
            if verb == "show"
            else next(r for r in answer["result"]["runs"] if r["run"] == run_id)
        )
        assert (shown["state"], shown["error"]) == ("unreadable", sentence)


def test_everything_else_goes_on_and_it_can_be_deleted_and_restored(broken: Broken) -> None:
    service, run_id = broken.service, broken.run.name
    spec = make(TrainSpec, {**SETTINGS, "seed": 2})
    assert service.estimate(spec).seconds
    fresh = service.submit(spec)
    assert not fresh.reused and service.row(fresh.run).state == "queued"
    with pytest.raises(Refused, match="cannot be read: its "):
        service.check("synthesize", {"source": run_id})
    with pytest.raises(Refused, match="is unreadable; only"):
        service.stop(run_id)
    with pytest.raises(Refused, match="is unreadable; only"):
        service.resume(run_id)
    engine = fake_engine(service.store)
    later = submit(service.store, plan={})
    until(lambda: later.id in engine.finished, engine)
    assert set(engine.finished) >= set(broken.others)
    assert run_id not in engine.active
    assert service.delete(run_id) == [run_id]
    assert run_id not in {r.id for r in service.rows(top_level=False)}
    service.restore(run_id)
    assert service.row(run_id).state == "unreadable"


def lives_on(service: Service, waiting: list[str]) -> None:
    """What a page and the command line ask for is answered, and a run can be submitted."""
    states = {row.id: row.state for row in service.rows(top_level=False)}
    assert {states[name] for name in waiting} == {"queued"}
    assert {row.id for row in service.active()} >= set(waiting)
    assert service.version() >= 0 and service.row(waiting[0]).state == "queued"
    other = make(TrainSpec, {"dataset": "digits", "steps": 3, "base_width": 8})
    assert service.estimate(other).seconds
    assert not service.submit(other, fresh=True).reused
    assert cli.main(["runs", "list", "--runs", str(service.store.folder)]) == 0


def test_an_experiment_that_waits_for_it_breaks_nothing(lab: RunStore, tmp_path: Path) -> None:
    for damage in (cut("spec.json"), setting(from_the_future=1), shutil.rmtree):
        broken = Broken(lab, tmp_path / str(damage), lambda run: None)
        service, generator = broken.service, broken.run.name
        sweep = {"source": generator, "axis": "guidance_weight", "values": [0, 1]}
        mix = {"dataset": "digits", "arms": ["real", "50/50"], "sources": [generator]}
        groups = [new_group(service.store, *g)[0] for g in (("sweep", sweep), ("mix", mix))]
        alone = new_run(service.store, "synthesize", {"source": generator})
        waiting = [run.id for run in (*groups, alone)]
        damage(broken.run)
        lives_on(service, waiting)
        lives_on(Service(service.store.folder), waiting)
        assert service.find(alone.id).id == alone.id, damage


def test_an_experiment_on_data_that_are_gone_breaks_nothing(
    lab: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Broken(lab, tmp_path / "lab", lambda run: None)
    store = broken.service.store
    digits = catalog.load("digits")
    data = new_import(store, digits.train_images[:600], digits.train_labels[:600], 500)
    trained = new_run(store, "train", {**SETTINGS, "dataset": data.id})
    finish(trained, TRAINED)
    service = Service(store.folder)
    mix = {"dataset": data.id, "arms": ["real", "50/50"], "sources": [trained.id]}
    waiting = [new_group(store, "mix", mix)[0].id]
    (data.path / catalog.CARD).unlink()
    lives_on(service, waiting)
    shutil.rmtree(data.path)
    lives_on(Service(store.folder), waiting)
    with pytest.raises(Refused):
        service.report(waiting[0])


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:40])
def test_a_line_of_events_that_is_none_is_passed_over(
    lab: RunStore, tmp_path: Path, line: str
) -> None:
    def damage(run: Path) -> None:
        events = (run / "events.jsonl").read_text()
        (run / "events.jsonl").write_text(f"{line}\n{events}{line}\n")

    broken = Broken(lab, tmp_path / "lab", damage)
    row = broken.service.row(broken.run.name)
    assert (row.state, row.headline) == ("done", "20 steps, 50 images/s, loss 0.100")
    engine = fake_engine(broken.service.store)
    engine.tick()
    assert engine.finished[broken.run.name] == "done"


def test_a_file_that_is_put_right_makes_the_run_readable(lab: RunStore, tmp_path: Path) -> None:
    broken = Broken(lab, tmp_path / "lab", lambda run: None)
    service, run_id = broken.service, broken.run.name
    for file in ("spec.json", "job.json", "result.json"):
        kept = (broken.run / file).read_bytes()
        service = Service(service.store.folder)
        (broken.run / file).write_text("{")
        assert service.row(run_id).state == "unreadable"
        (broken.run / file).write_bytes(kept)
        row = service.row(run_id)
        assert (row.state, row.error) == ("done", "")


def test_a_mix_with_a_part_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    part, other = submit(store, "classify"), submit(store, "classify", plan={})
    group = submit(
        store, "mix", children=[part.id, other.id], roles={"real": part.id, "50/50": other.id}
    )
    needing = submit(store, "classify", needs=[part.id])
    (part.path / "spec.json").write_text("{")
    engine = fake_engine(store)
    until(lambda: {group.id, needing.id} <= set(engine.finished), engine)
    assert Run(group.path).status().error == f"Its part real ({part.id}) cannot be read."
    assert Run(needing.path).status().error == f"It needs {part.id}, which cannot be read."
    rows = {r.id: r.state for r in Service(store.folder).rows(top_level=False)}
    assert rows[part.id] == "unreadable" and rows[group.id] == "failed"


def test_an_import_that_cannot_be_read_is_refused_as_a_data_set(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    run = submit(store, "train")
    (run.path / "spec.json").write_text("[1]")
    catalog.add_runs_folder(store.folder)
    with pytest.raises(catalog.DataError, match="cannot be read: its spec.json is not a JSON"):
        catalog.folder_of(run.id)


def test_a_generator_whose_set_is_still_needed_cannot_be_deleted(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    generator = submit(store, "train")
    finish(generator, TRAINED)
    made = submit(store, "synthesize", parents=[generator.id])
    finish(made, {"images": 9, "guidance_weight": 1.0, "sampler": "ddim", "num_steps": 9})
    waiting = submit(store, "classify", parents=[made.id])
    service = Service(store.folder)
    for needed in (generator, made):
        with pytest.raises(Refused, match=f"{waiting.id} is still using {needed.id}; stop it"):
            service.delete(needed.id)
    finish(waiting, {})
    assert service.delete(generator.id) == [generator.id]
