"""Reads all runs of a folder: rows of tables, cached status readers, relations between runs. It
writes nothing."""

from __future__ import annotations

import dataclasses
import datetime
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dreamlab.estimates.cost import Estimate
from dreamlab.estimates.estimate import estimate
from dreamlab.estimates.remaining import Remaining
from dreamlab.experiments.sweep.report import best_text
from dreamlab.fidelity import wording
from dreamlab.settings import KINDS, ClassifySpec, Spec
from dreamlab.stats.generator_quality import far_fewer
from dreamlab.store import Run, RunStatus, RunStore, StatusReader, about
from dreamlab.store.run_files import kind_in
from dreamlab.store.states import ACTIVE, UNREADABLE
from dreamlab.store.status import group_state, unreadable

MOST_METRICS = 2
"""Metrics in the headline of a fidelity run; its page shows all."""
GROUP_UNITS = {"mix": "cells", "sweep": "points", "study": "cells"}
FINAL_RECHECK = 2.0
"""Seconds between two checks of a run that has ended, whose state only changes if it is resumed."""


@dataclasses.dataclass(frozen=True)
class RunRow:
    """One run as tables show it. `created` is local time. `seconds` is the time from its start
    until its end, or until now."""

    id: str
    name: str
    kind: str
    state: str
    step: int
    total: int
    unit: str
    eta_seconds: float | None
    text: str
    error: str
    created: str
    seconds: float | None
    headline: str
    demo: bool
    group: str
    parents: list[str]
    disk_bytes: int | None
    resumable: bool


@dataclasses.dataclass(frozen=True)
class LiveFrame:
    """One frame of live sampling. `png` (x_t) and `x0_png` (predicted x0) are image grids with one
    class per row and `cols` images per class. `stage` 0 is the base model; higher stages
    upsample."""

    step: int
    total: int
    png: bytes
    x0_png: bytes
    seconds: float
    done: bool
    rows: int
    cols: int
    stage: int = 0


class Library:
    """All runs of a folder, with a cached reader for the status of each. It can be used from
    several threads."""

    def __init__(self, store: RunStore):
        self.store = store
        self._runs: dict[str, Run] = {}
        self._readers: dict[str, StatusReader] = {}
        self._looked: dict[str, float] = {}
        self._disk: dict[str, tuple[float, int]] = {}
        self._lock = threading.RLock()
        self._version, self._fingerprint = 0, 0
        self.estimated: Callable[[Spec], Estimate] = lambda spec: estimate(spec, self.store)
        """The estimate of a run; a service replaces it by one that knows measured costs."""
        self._left = Remaining(lambda spec: self.estimated(spec))

    def runs(self) -> list[Run]:
        """All runs whose spec.json can be read, newest first."""
        return [run for run in self.all() if not run.problem()]

    def all(self) -> list[Run]:
        """All runs, newest first, including those that cannot be read."""
        with self._lock:
            ids = self.store.ids()
            for gone in self._runs.keys() - set(ids):
                for table in (self._runs, self._readers, self._looked, self._disk):
                    table.pop(gone, None)
            for run_id in ids:
                if run_id not in self._runs:
                    self._runs[run_id] = Run(self.store.folder / run_id)
            return [self._runs[i] for i in ids]

    def get(self, run_id: str) -> Run:
        """A run by its id or by a part of it that matches only one run. Raises RunError."""
        with self._lock:
            if run_id in self._runs and self._runs[run_id].path.exists():
                return self._runs[run_id]
        return self.store.get(run_id)

    def status(self, run_id: str, lazy: bool = False) -> RunStatus:
        """The status of a run. That of an experiment is computed from its children.

        With `lazy`, runs that have ended are checked only every FINAL_RECHECK seconds.
        """
        with self._lock:
            run = self.get(run_id)
            if problem := run.problem():
                return unreadable(problem)
            if run.id not in self._readers:
                self._readers[run.id] = StatusReader(run.path, run.kind)
            reader = self._readers[run.id]
            now = time.monotonic()
            if (
                not lazy
                or reader.status.state in ACTIVE
                or now - self._looked.get(run.id, 0.0) > FINAL_RECHECK
            ):
                reader.refresh()
                self._looked[run.id] = now
            if not run.is_group or reader.status.state == UNREADABLE:
                return reader.status
            return self._group(run, reader.status, lazy)

    def parts(self, run: Run) -> list[Run]:
        """The children of an experiment that exist and can be read."""
        names = [] if run.problem() else run.record.children
        children = [self.get(c) for c in names if self._exists(c)]
        return [child for child in children if not child.problem()]

    def _group(self, run: Run, own: RunStatus, lazy: bool) -> RunStatus:
        runs = self.parts(run)
        children = [self.status(c.id, lazy) for c in runs]
        status = dataclasses.replace(own, state=group_state([c.state for c in children], own))
        done, total = 0.0, 0
        for child_run, child in zip(runs, children, strict=True):
            spec = child_run.spec
            cells = spec.seeds if isinstance(spec, ClassifySpec) else 1
            share = (
                1.0 if child.state == "done" else child.step / child.total if child.total else 0.0
            )
            done, total = done + cells * share, total + cells
        status.step, status.total, status.unit = int(done), total, GROUP_UNITS[run.kind]
        running = [c for c in children if c.state in ("running", "stopping")]
        status.text = running[0].text if running and not own.text else own.text
        errors = [c.error for c in children if c.state == "failed" and c.error]
        status.error = own.error or (errors[0] if errors else "")
        starts = [c.started for c in children if c.started]
        status.started = min(starts) if starts else own.started
        status.version = own.version + sum(c.version for c in children)
        status.eta_seconds = None
        if status.state in ACTIVE:
            status.eta_seconds = self._left.seconds([(r, self.status(r.id)) for r in runs])
        return status

    def finished(self) -> list[Run]:
        """The finished runs that are no experiments and do not come with the demo, newest first."""
        return [
            r
            for r in self.runs()
            if not r.is_group and not r.record.demo and self.status(r.id, lazy=True).state == "done"
        ]

    def _exists(self, run_id: str) -> bool:
        return run_id in self._runs or (self.store.folder / run_id / "spec.json").exists()

    def version(self) -> int:
        """A number that increases when any run was created, changed, renamed or deleted."""
        with self._lock:
            seen = [(r, self.status(r.id, lazy=True)) for r in self.all()]
            fingerprint = hash(
                tuple((run.id, s.version, s.state, about.stamp(run.path)) for run, s in seen)
            )
            if fingerprint != self._fingerprint:
                self._fingerprint = fingerprint
                self._version += 1
            return self._version

    def row(self, run_id: str, disk: bool = False) -> RunRow:
        """The row of a run; with `disk`, including its size on disk."""
        run = self.get(run_id)
        s = self.status(run.id)
        if problem := run.problem():
            return _unreadable_row(run, problem, self._disk_use(run, s) if disk else None)
        r = run.record
        end = s.ended or (time.time() if s.state in ACTIVE else None)
        return RunRow(
            id=run.id,
            name=r.name,
            kind=r.kind,
            state=s.state,
            step=s.step,
            total=s.total,
            unit=s.unit,
            eta_seconds=s.eta_seconds,
            text=s.text,
            error=s.error,
            created=r.created,
            seconds=max(0.0, end - s.started) if s.started and end else None,
            headline=headline(r.kind, run.result() if s.state in ("done", "stopped") else None),
            demo=r.demo,
            group=r.group,
            parents=r.parents,
            disk_bytes=self._disk_use(run, s) if disk else None,
            resumable=s.state in ("stopped", "failed"),
        )

    def _disk_use(self, run: Run, status: RunStatus) -> int:
        with self._lock:
            known = self._disk.get(run.id)
            if known and (known[0] == status.version):
                return known[1]
            size = run.disk_use()
            self._disk[run.id] = (status.version, size)
            return size

    def lineage(self, run_id: str) -> list[tuple[str, RunRow]]:
        """(relation, row) of all runs that this run was made from, contains, is a part of, or that
        were made from it."""
        run = self.get(run_id)
        if run.problem():
            return []
        found = [("made from", p) for p in run.record.parents] + [
            ("contains", c) for c in run.record.children
        ]
        if run.record.group:
            found.append(("part of", run.record.group))
        found += [
            ("made into", other.id)
            for other in self.runs()
            if run.id in other.record.parents and other.id != run.record.group
        ]
        return [(how, self.row(i)) for how, i in found if self._exists(i)]


def _unreadable_row(run: Run, problem: str, disk_bytes: int | None) -> RunRow:
    """The row of a run whose spec.json cannot be read. Time and kind are taken from its id."""
    try:
        created = datetime.datetime.strptime(run.id[:15], "%Y%m%d-%H%M%S").isoformat()
    except ValueError:  # the digits are not a date
        created = ""
    kind = kind_in(run.id)
    return RunRow(
        id=run.id,
        name=run.id,
        kind=kind if kind in KINDS else "",
        state=UNREADABLE,
        step=0,
        total=0,
        unit="",
        eta_seconds=None,
        text="",
        error=problem,
        created=created,
        seconds=None,
        headline="",
        demo=False,
        group="",
        parents=[],
        disk_bytes=disk_bytes,
        resumable=False,
    )


def headline(kind: str, result: dict[str, Any] | None) -> str:
    """One line with the most important results of a finished run."""
    if not result:
        return ""
    if kind == "train":
        loss = "" if result["loss"] is None else f", loss {result['loss']:.3f}"
        steps = far_fewer(result["steps"], result.get("promised_steps"))
        steps = steps or f"{result['steps']:,} steps"
        return f"{steps}, {result['images_per_second']:,.0f} images/s{loss}"
    if kind == "synthesize":
        return (
            f"{result['images']:,} images, w = {result['guidance_weight']:g}, {result['sampler']}"
            f" {result['num_steps']} steps"
        )
    if kind == "fidelity":
        rows = wording.reliable_first(result["metrics"], result)[:MOST_METRICS]
        return (
            ", ".join(f"{m['name']} {wording.number(m)}" for m in rows)
            + f" on {result['images']:,} images"
            + (": too few" if rows and wording.too_few(rows[0], result) else "")
        )
    if kind == "classify":
        i, seeds = result["interval"], len(result["seeds"])
        if not i or i["low"] is None:
            return f"{100 * i['mean']:.1f} %, one seed" if i else ""
        return (
            f"{100 * i['mean']:.1f} % ({100 * i['low']:.1f} to {100 * i['high']:.1f}), {seeds}"
            " seeds"
        )
    if kind == "import":
        parts = (
            f"{result['train']:,} to train and {result['test']:,} to test"
            if result["test"]
            else f"{result['images']:,}"
        )
        left = sum(result["left_out_counts"].values())
        return f"{parts} images of {result['image_size']}x{result['image_size']}" + (
            f", {left:,} left out" if left else ""
        )
    if kind in ("mix", "study") and result.get("verdict"):
        return str(result["verdict"]["text"])
    if kind == "study":
        there = [r for r in result["rows"] if r["ours"] is not None]
        return f"{len(there)} of {len(result['rows'])} published values measured here"
    if kind == "mix":
        return ""
    return best_text(result)


def media(run: Run, path: str) -> Path | None:
    """The PNG file at this path in the run folder; None for any other path."""
    target = (run.path / path).resolve()
    inside = target.is_relative_to(run.path.resolve())
    return target if inside and target.suffix == ".png" and target.is_file() else None
