"""The part of the service that reads runs, data sets and studies. It starts and changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab import experiments, studies
from dreamlab.checks import references
from dreamlab.data import catalog, imageset, near_copies
from dreamlab.data.near_copies import Copies
from dreamlab.data.selection import available
from dreamlab.engine import client
from dreamlab.service.library import Library, RunRow, media
from dreamlab.service.looking import Looker
from dreamlab.service.places import Places
from dreamlab.service.refused import Refused, refusing
from dreamlab.settings import RealData, SynthesizeSpec, TrainSpec, differences
from dreamlab.store import Run, RunError, RunStatus, RunStore, machine
from dreamlab.store.states import ACTIVE
from dreamlab.studies import Study


class Reader:
    """Reads one runs folder. All its errors are Refused, with one sentence."""

    def __init__(self, store: RunStore):
        catalog.add_runs_folder(store.folder)
        self.store, self.library = store, Library(store)
        self.looker, self.places = Looker(store), Places(self.library)

    def find(self, run_id: str) -> Run:
        """A run by its id or a part of it. The run may be unreadable."""
        with refusing("run"):
            return self.library.get(run_id)

    def get(self, run_id: str) -> Run:
        """A run whose spec.json can be read."""
        run = self.find(run_id)
        if problem := run.problem():
            raise Refused(problem, "run")
        return run

    def status(self, run_id: str) -> RunStatus:
        """The status of a run."""
        return self.library.status(self.find(run_id).id)

    def rows(self, kind: str = "", top_level: bool = True, disk: bool = False) -> list[RunRow]:
        """Rows of runs, newest first. With `top_level`, runs that were made for an experiment are
        left out. A run that cannot be read has the state `unreadable`. If `kind` is given, runs
        whose spec.json cannot be read are left out."""
        runs = self.library.runs() if kind else self.library.all()
        return [
            self.library.row(r.id, disk)
            for r in runs
            if r.problem() or (not kind or r.kind == kind) and not (top_level and r.record.group)
        ]

    def row(self, run_id: str, disk: bool = True) -> RunRow:
        """The row of a run; with `disk`, including its size on disk."""
        return self.library.row(self.find(run_id).id, disk)

    def active(self) -> list[RunRow]:
        """Rows of all runs that are running or waiting: running ones first, then oldest first.
        Parts of an experiment are left out."""
        rows = [r for r in self.rows() if r.state in ACTIVE]
        return sorted(rows, key=lambda r: (r.state == "queued", r.id))

    def choices(self, kind: str, usable: bool = True) -> list[tuple[str, str]]:
        """(label, id) of runs for a drop-down list, newest first. Runs made for an experiment come
        after the others, and those of the demo last. `kind` may be several kinds such as
        "synthesize|import"."""
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
        """The results of an experiment so far, in the form of its final result."""
        run = self.get(run_id)
        if self.library.status(run.id).state == "done" and (result := run.result()):
            return self._renamed(result)
        with refusing("run"):
            return experiments.report(run, self.store, status=self.library.status)

    def by_class(self, run_id: str) -> list[dict[str, Any]]:
        """The finished classifiers of a study class by class, with the control that they are
        compared with; see `dreamlab.experiments.study.by_class`."""
        with refusing("run"):
            return experiments.by_class(self.get(run_id), self.store, self.library.status)

    def _renamed(self, result: dict[str, Any]) -> dict[str, Any]:
        """A stored result with the names that its generators have now."""
        for generator in result.get("generators") or []:
            with contextlib.suppress(RunError):
                if generator.get("run"):
                    given = self.library.get(generator["run"]).about.name
                    generator["name"] = given or generator["name"]
        return result

    def available(self, data: RealData) -> list[int]:
        """Number of real images of each class that a run may use."""
        with refusing():
            return available(data)

    def real_images(
        self, dataset: str, data_dir: str = "", split: str = "train"
    ) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """Images uint8 (N, H, W, C), labels (N,) and class names of a split of a data set."""
        with refusing("data_dir"):
            data = catalog.load(dataset, data_dir)
        if split == "train":
            return data.train_images, data.train_labels, data.info.classes
        return data.test_images, data.test_labels, data.info.classes

    def near_copies(self, dataset: str, data_dir: str = "") -> Copies | None:
        """The near-copies within a data set; None if it was not searched, or cannot be read."""
        try:
            return near_copies.within(catalog.load(dataset, data_dir))
        except catalog.DataError:
            return None

    def data_version(self, dataset: str, data_dir: str = "") -> Hashable:
        """A value that changes when the files of a data set change. It can be called at every
        tick."""
        try:
            return catalog.stamp(dataset, data_dir)
        except catalog.DataError as error:
            return str(error)

    def images(self, run_id: str) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels of an image set, memory-mapped."""
        try:
            return imageset.load(self.get(run_id).path)
        except (OSError, ValueError):
            raise Refused(f"{run_id} has no images (yet).", "run") from None

    def generator_of(self, run_id: str) -> tuple[Run, TrainSpec]:
        """The generator of a synthetic set and its spec; for a generator, the run itself."""
        run = self.get(run_id)
        spec = run.spec
        if isinstance(spec, SynthesizeSpec):
            run = self.get(spec.source)
            spec = run.spec
        if not isinstance(spec, TrainSpec):
            raise Refused(f"{run_id} is neither a generator nor a synthetic set.", "run")
        return run, spec

    def lineage(self, run_id: str) -> list[tuple[str, RunRow]]:
        """(relation, row) of the runs that are related to this one."""
        return self.library.lineage(self.find(run_id).id)

    def differences(self, ids: list[str]) -> list[tuple[str, list[Any]]]:
        """(label, values) of the settings in which these runs differ."""
        return differences([self.get(i).spec for i in ids])

    def media(self, run_id: str, path: str) -> Path:
        """The file of a picture of a run."""
        found = media(self.get(run_id), path)
        if found is None:
            raise Refused(f"{path} is not a picture of {run_id}.", "path")
        return found

    def machine(self) -> dict[str, Any]:
        """Cores, device and memory of this machine, and the number format that the last training
        chose."""
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
