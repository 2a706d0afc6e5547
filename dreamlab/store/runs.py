"""Runs as folders: create, find, list, move to the trash and restore."""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dreamlab.paths import program
from dreamlab.settings import EXPERIMENT_KINDS, Spec
from dreamlab.store.about import About, read_about
from dreamlab.store.files import disk_use, write_json
from dreamlab.store.run_files import RECORD, Record, RunError, read_job, read_record, read_result
from dreamlab.store.status import RunStatus, StatusReader, unreadable


@dataclasses.dataclass(frozen=True)
class Folders:
    """The folders of the engine, the cache, the trash and the uploads. They are beside the runs
    folder."""

    runs: Path

    def _beside(self, what: str) -> Path:
        return self.runs.parent / f".{self.runs.name}-{what}"

    @property
    def engine(self) -> Path:
        """Locks, logs and other files of the engine."""
        return self._beside("engine")

    @property
    def cache(self) -> Path:
        """The cache of computed arrays, see `ArtefactCache`."""
        return self._beside("cache")

    @property
    def trash(self) -> Path:
        """Deleted runs."""
        return self._beside("trash")

    @property
    def uploads(self) -> Path:
        """Files that a browser has sent, see `Uploads`."""
        return self._beside("uploads")


class Run:
    """One run folder. Its files are read when they are needed."""

    def __init__(self, path: Path):
        self.path, self.id = path, path.name
        self._read: tuple[Record, Spec] | None = None

    def _contents(self) -> tuple[Record, Spec]:
        if self._read is None:
            self._read = read_record(self.path)
        return self._read

    @property
    def record(self) -> Record:
        """The content of spec.json, with the name that the user gave to the run since. Raises
        RunError if it is missing, damaged or of another version."""
        written, given = self._contents()[0], self.about.name
        return written.model_copy(update={"name": given}) if given else written

    @property
    def about(self) -> About:
        """The name and description that the user gave to the run; empty without them."""
        return read_about(self.path)

    @property
    def kind(self) -> str:
        """The kind of run, such as "train". Raises RunError."""
        return self._contents()[0].kind  # `record` looks for a name each time

    @property
    def spec(self) -> Spec:
        """The settings. Raises RunError."""
        return self._contents()[1]

    @property
    def is_group(self) -> bool:
        """Whether this is an experiment. Raises RunError."""
        return self.kind in EXPERIMENT_KINDS

    def problem(self) -> str:
        """Why spec.json cannot be read and what can be done, in one sentence; "" if it can be
        read."""
        try:
            self._contents()
        except RunError as error:
            return str(error)
        return ""

    def status(self) -> RunStatus:
        """The status, computed from all events at every call. Use a StatusReader to read only new
        events."""
        if problem := self.problem():
            return unreadable(problem)
        return StatusReader(self.path, self.kind).refresh()

    def result(self) -> dict[str, Any] | None:
        """The content of result.json; None if it does not exist or cannot be read."""
        try:
            return read_result(self.path)
        except RunError:
            return None

    def job(self) -> dict[str, Any]:
        """The content of job.json; empty if it does not exist. Raises RunError if it is damaged."""
        return read_job(self.path)

    def disk_use(self) -> int:
        """Total size of its files in bytes."""
        return disk_use(self.path)


_ID = re.compile(r"\d{8}-\d{6}-[a-z0-9][a-z0-9-]*-[0-9a-f]{4}")


class RunStore:
    """All runs in one folder."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder).expanduser().resolve()
        self.folders = Folders(self.folder)

    def prepare(self) -> None:
        """Creates the folders. Raises RunError with one sentence if that is not possible."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folders.engine.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK):
                raise PermissionError("it is not writable")
        except OSError as error:
            reason = error.strerror or str(error)
            raise RunError(
                f"The runs folder {self.folder} cannot be used ({reason}); give another one with"
                " --runs."
            ) from None

    def new_id(self, kind: str, label: str) -> str:
        """A new id: date, time, kind, label and four random hex digits."""
        slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:24] or "run"
        now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        while (self.folder / (run_id := f"{now}-{kind}-{slug}-{secrets.token_hex(2)}")).exists():
            continue
        return run_id

    def create(self, record: Record) -> Run:
        """Creates a run folder. It is renamed into place, so that no reader sees it incomplete."""
        staging = self.folders.engine / f"new-{record.id}"
        staging.mkdir(parents=True)
        write_json(staging / RECORD, record.model_dump())
        os.rename(staging, self.folder / record.id)
        return Run(self.folder / record.id)

    def ids(self) -> list[str]:
        """Ids of all runs, newest first."""
        try:
            with os.scandir(self.folder) as entries:
                return sorted(
                    (e.name for e in entries if _ID.fullmatch(e.name) and e.is_dir()), reverse=True
                )
        except (FileNotFoundError, NotADirectoryError):
            return []

    def __iter__(self) -> Iterator[Run]:
        """All runs whose spec.json can be read, newest first. `get` also returns runs whose
        spec.json cannot be read."""
        for run_id in self.ids():
            run = Run(self.folder / run_id)
            if not run.problem():
                yield run

    def get(self, name: str) -> Run:
        """The run with this id, or the only run whose id contains `name`. Raises RunError."""
        wanted = name.strip()
        ids = self.ids()
        found = [i for i in ids if i == wanted] or [i for i in ids if wanted and wanted in i]
        if not found:
            raise RunError(
                f"There is no run {name!r} in {self.folder}; `{program()} runs list` names them."
            )
        if len(found) > 1:
            raise RunError(
                f"{name!r} matches {len(found)} runs ({', '.join(found[:3])}, ...); give more of"
                " the id."
            )
        return Run(self.folder / found[0])

    def users_of(self, run_id: str, indirect: bool = False) -> list[Run]:
        """Runs that use this run as a source or as a child; if `indirect`, also through others, as
        a classifier uses the generator of its synthetic set."""
        left, wanted, found = list(self), {run_id}, []
        while wanted:
            users = [r for r in left if wanted & {*r.record.parents, *r.record.children}]
            names = {r.id for r in users}
            left = [r for r in left if r.id not in names]
            found += users
            wanted = names if indirect else set()
        return found

    def trash(self, run: Run) -> Path:
        """Moves a run to the trash, from which `restore` brings it back."""
        self.folders.trash.mkdir(exist_ok=True)
        target = self.folders.trash / run.id
        os.rename(run.path, target)
        return target

    def restore(self, run_id: str) -> Run:
        """Moves a run back from the trash. Raises RunError if it is not there."""
        source = self.folders.trash / run_id
        if not _ID.fullmatch(run_id) or not source.is_dir():
            raise RunError(f"There is no deleted run {run_id!r}.")
        os.rename(source, self.folder / run_id)
        return Run(self.folder / run_id)

    def empty_trash(self, older_than_days: float) -> None:
        """Removes runs from the trash that were deleted more than this many days ago."""
        limit = datetime.datetime.now().timestamp() - older_than_days * 86400
        if self.folders.trash.is_dir():
            for entry in self.folders.trash.iterdir():
                if entry.stat().st_ctime < limit:
                    shutil.rmtree(entry, ignore_errors=True)
