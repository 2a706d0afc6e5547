"""What the service says of runs, data sets and studies; nothing here starts or changes anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dreamlab import experiments, studies
from dreamlab.checks import references
from dreamlab.data import catalog, imageset
from dreamlab.data.selection import available
from dreamlab.engine import client
from dreamlab.service.library import Library, RunRow, media
from dreamlab.service.refused import Refused, refusing
from dreamlab.settings import RealData, SynthesizeSpec, TrainSpec, differences
from dreamlab.store import Run, RunStatus, RunStore, machine
from dreamlab.store.states import ACTIVE
from dreamlab.studies import Study


class Reader:
    """One folder of runs, read. Raises Refused, with one sentence, and nothing else."""

    def __init__(self, store: RunStore):
        catalog.add_runs_folder(store.folder)
        self.store, self.library = store, Library(store)

    def find(self, run_id: str) -> Run:
        """A run directory by its id or a part of it, readable or not."""
        with refusing("run"):
            return self.library.get(run_id)

    def get(self, run_id: str) -> Run:
        """A run whose record can be read."""
        run = self.find(run_id)
        if problem := run.problem():
            raise Refused(problem, "run")
        return run

    def status(self, run_id: str) -> RunStatus:
        return self.library.status(self.find(run_id).id)

    def rows(self, kind: str = "", top_level: bool = True, disk: bool = False) -> list[RunRow]:
        """Newest first; without the runs that were made for a group where `top_level`. A run that
        cannot be read has the state `unreadable`; where its record cannot be read, it is left out
        of the rows of one kind, since pages ask for its settings."""
        runs = self.library.runs() if kind else self.library.all()
        return [
            self.library.row(r.id, disk)
            for r in runs
            if r.problem() or (not kind or r.kind == kind) and not (top_level and r.record.group)
        ]

    def row(self, run_id: str, disk: bool = True) -> RunRow:
        return self.library.row(self.find(run_id).id, disk)

    def active(self) -> list[RunRow]:
        """What runs, then what waits, oldest first; runs inside a group count as the group."""
        rows = [r for r in self.rows() if r.state in ACTIVE]
        return sorted(rows, key=lambda r: (r.state == "queued", r.id))

    def choices(self, kind: str, usable: bool = True) -> list[tuple[str, str]]:
        """(label, id) for drop-downs, newest first; after them what was made for a group, the
        demo's last. `kind` may be several, as "synthesize|import"."""
        kinds = tuple(kind.split("|"))
        runs = [
            r
            for r in self.library.runs()
            if references.is_of(r, kinds) and (not usable or references.usable(r))
        ]
        runs.sort(key=lambda r: (r.record.demo, bool(r.record.group)))
        return [
            (f"{r.record.name}{' (demo)' if r.record.demo else ''} · {r.id[-4:]}", r.id)
            for r in runs
        ]

    def report(self, run_id: str) -> dict[str, Any]:
        """What a group's children say so far, in the form of its result."""
        run = self.get(run_id)
        if self.library.status(run.id).state == "done" and (result := run.result()):
            return result
        with refusing("run"):
            return experiments.report(run, self.store, status=self.library.status)

    def available(self, data: RealData) -> list[int]:
        """Real images of every class that a spec may use."""
        with refusing():
            return available(data)

    def real_images(
        self, dataset: str, data_dir: str = "", split: str = "train"
    ) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """uint8 NHWC images, labels and class names."""
        with refusing("data_dir"):
            data = catalog.load(dataset, data_dir)
        if split == "train":
            return data.train_images, data.train_labels, data.info.classes
        return data.test_images, data.test_labels, data.info.classes

    def images(self, run_id: str) -> tuple[np.ndarray, np.ndarray]:
        try:
            return imageset.load(self.get(run_id).path)
        except (OSError, ValueError):
            raise Refused(f"{run_id} holds no images (yet).", "run") from None

    def generator_of(self, run_id: str) -> tuple[Run, TrainSpec]:
        """The generator of a synthetic set, or the run itself where it is one."""
        run = self.get(run_id)
        spec = run.spec
        if isinstance(spec, SynthesizeSpec):
            run = self.get(spec.source)
            spec = run.spec
        if not isinstance(spec, TrainSpec):
            raise Refused(f"{run_id} is neither a generator nor a synthetic set.", "run")
        return run, spec

    def lineage(self, run_id: str) -> list[tuple[str, RunRow]]:
        return self.library.lineage(self.find(run_id).id)

    def differences(self, ids: list[str]) -> list[tuple[str, list[Any]]]:
        """Settings in which these runs are not all alike."""
        return differences([self.get(i).spec for i in ids])

    def media(self, run_id: str, path: str) -> Path:
        found = media(self.get(run_id), path)
        if found is None:
            raise Refused(f"{path} is not a picture of {run_id}.", "path")
        return found

    def machine(self) -> dict[str, Any]:
        """Cores, devices, what the last training found about bf16, memory."""
        info = client.engine_info(self.store.folder)
        devices = list(info.devices) if info else []
        precision = next(
            (
                r.result() or {}
                for r in self.library.runs()
                if r.kind == "train" and not r.record.demo and r.result()
            ),
            {},
        ).get("precision")
        return {
            "cores": machine.cores(),
            "device": devices[0] if devices else "cpu",
            "bf16": precision,
            **machine.memory(),
        }

    def studies(self) -> list[Study]:
        """The published studies, S0 first."""
        return [studies.load(name) for name in studies.names()]
