"""The service: submits runs, sends them requests, and reads them."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dreamlab import experiments
from dreamlab.checks import Known, check
from dreamlab.checks.cas import with_cas_run
from dreamlab.checks.machine import check_disk
from dreamlab.checks.references import inherited, resolved
from dreamlab.checks.warnings import warning
from dreamlab.data.importing.opening import is_download
from dreamlab.engine import client
from dreamlab.estimates.machine import Machine
from dreamlab.estimates.slow import slow
from dreamlab.service import demo, export
from dreamlab.service.costs import Costs, described_sets
from dreamlab.service.home import home_mix
from dreamlab.service.library import LiveFrame
from dreamlab.service.refused import NoEngine, Refused, refusing
from dreamlab.service.run_names import label
from dreamlab.settings import (
    EXPERIMENT_KINDS,
    KINDS,
    ImportSpec,
    MixSpec,
    Spec,
    SpecError,
    TrainSpec,
    command,
    make,
)
from dreamlab.settings.base import HASH_VERSION
from dreamlab.store import Record, Run, RunError, RunStore, checkpoints
from dreamlab.store.states import ACTIVE

ASKED = ("preview", "snapshot")
ENGINE_CHECK = 3.0
"""Seconds between two checks whether the engine is alive."""


@dataclasses.dataclass(frozen=True)
class Submitted:
    """The id of the run for a submitted spec. `reused` says that the run existed already."""

    run: str
    reused: bool


class Service(Costs):
    """The functions that the dashboard and the command line call. All its errors are Refused, with
    one sentence."""

    def __init__(self, runs: str | Path = "runs"):
        super().__init__(RunStore(runs))
        self._submitting = threading.Lock()
        self._checked: Spec | None = None
        """The last spec that `check` returned. If it is submitted next, it is not checked again."""
        self._engine_looked = 0.0

    # ---- start and end

    def start(self, engine: bool = True) -> None:
        """Creates the folders. With `engine`, also starts the engine in the background and replaces
        one of another version. Raises Refused."""
        self._prepare()
        if engine:
            client.register_client(self.store.folder)
            self._registered = True
            with refusing("runs"):
                client.replace_other_version(self.store.folder)
                client.ensure_engine(self.store.folder)

    def _prepare(self) -> None:
        with refusing("runs"):
            self.store.prepare()

    def close(self) -> None:
        """Ends the use of the service. Runs continue in the engine."""
        self.prober.cancel()
        if self._registered:
            client.unregister_client(self.store.folder)
            self._registered = False

    def keep_engine(self) -> None:
        """Starts the engine again if it has ended. It can be called often. Raises NoEngine."""
        now = time.monotonic()
        if self._registered and now - self._engine_looked > ENGINE_CHECK:
            self._engine_looked = now
            with refusing("runs"):
                client.ensure_engine(self.store.folder)

    def install_demo(self) -> None:
        """Unpacks the demo, once per runs folder. Raises Refused."""
        self._prepare()
        demo.install(self.store)

    # ---- submitting

    def check(self, kind: str, values: dict[str, Any], on: Machine | None = None) -> Spec:
        """Validates settings and checks that such a run is possible on a machine, by default this
        one. Returns the spec. Raises Refused."""
        if kind not in KINDS:
            raise Refused(
                f"There is no kind of run {kind!r}; there are {', '.join(KINDS)}.", "kind"
            )
        known = Known(self.store, self.library.status, list(on.devices) if on else None)
        with refusing():
            spec = make(KINDS[kind], inherited(values, known))
            with described_sets(spec, on):
                return self._check(spec, known)

    def warning(self, spec: Spec) -> str:
        """Known problems of settings that are allowed, a sentence each; empty if there is none."""
        with refusing():
            return f"{warning(spec, self._known())} {slow(spec, self._estimate)}".strip()

    def _known(self) -> Known:
        return Known(self.store, self.library.status)

    def _check(self, spec: Spec, known: Known) -> Spec:
        """The spec with full run ids and the run of the CAS, checked against what is known. Raises
        SpecError, RunError or DataError."""
        spec = with_cas_run(resolved(spec, known), known)
        check(spec, known)
        self._checked = spec
        return spec

    def submit(self, spec: Spec, *, name: str = "", fresh: bool = False) -> Submitted:
        """Creates a run and queues it, or finds the run with the same content hash. With `fresh`,
        an existing run is not used. Raises Refused; then nothing was started."""
        if spec is not self._checked:
            with refusing():
                spec = self._check(spec, self._known())
        self._checked = None
        self.prober.cancel()
        with self._submitting:
            # the files at a path may have changed
            fresh = fresh or (isinstance(spec, ImportSpec) and not is_download(spec.source))
            if not fresh and (found := self._same(spec)):
                return Submitted(found.id, True)
            with refusing():
                check_disk(self.store, self._estimate(spec).sure_bytes)
            self._prepare()
            run = (
                self._create_group(spec, name, fresh)
                if spec.kind in EXPERIMENT_KINDS
                else self._create(spec, name)
            )
        self.keep_engine()
        return Submitted(run.id, False)

    def _create(
        self,
        spec: Spec,
        name: str = "",
        group: str = "",
        children: dict[str, str] | None = None,
        run_id: str = "",
        sets: Sequence[str] = (),
    ) -> Run:
        references = spec.references()
        with refusing("data_dir"):
            identity = self._identities.of(spec)
        record = Record(
            id=run_id or self.store.new_id(spec.kind, label(spec)),
            kind=spec.kind,
            name=name or self.named(spec),
            created=datetime.datetime.now().isoformat(timespec="seconds"),
            hash=identity.hash,
            hash_version=HASH_VERSION,
            contents=identity.contents,
            parents=references,
            needs=(
                [r for r in references if self.library.status(r).state in ACTIVE]
                if spec.kind not in EXPERIMENT_KINDS
                else []
            ),
            group=group,
            children=list(dict.fromkeys((children or {}).values())),
            roles=children or {},
            sets=list(sets),
            promised_steps=self._estimate(spec).steps if isinstance(spec, TrainSpec) else None,
            command=command(spec),
            spec=spec.model_dump(mode="json"),
        )
        return self.store.create(record)

    def _create_group(self, spec: Spec, name: str, fresh: bool) -> Run:
        group_id = self.store.new_id(spec.kind, label(spec))
        ids: dict[str, str] = {}
        planned = experiments.plan(spec, self.store)
        sets = experiments.finished_sets(planned)
        for child in planned:
            child_spec = child.made(ids)
            found = None if fresh else self._same(child_spec)
            ids[child.role] = (found or self._create(child_spec, group=group_id, sets=sets)).id
        return self._create(spec, name, children=ids, run_id=group_id)

    def without_near_copies(self, mix: str) -> Submitted:
        """Starts the same mix without the flagged images of its sets. Classifiers without synthetic
        images, generators and sets are found again. Raises Refused."""
        run = self.get(mix)
        if not isinstance(run.spec, MixSpec):
            raise Refused(
                f"{run.id} is a {run.kind} run; only a mix leaves near-copies out.", "run"
            )
        values = run.spec.model_dump() | {"without_near_copies": True}
        name = f"{run.record.name} without near-copies"
        return self.submit(self.check("mix", values), name=name)

    def card(self) -> MixSpec:
        """The mix that the button on the Home page starts."""
        return home_mix(self.library.runs())

    # ---- requests to runs

    def stop(self, run_id: str, now: bool = False) -> None:
        """Requests that a run finishes its step, saves and stops. With `now`, its processes are
        killed. Stopping an experiment stops the runs that were made for it. Raises Refused."""
        run = self.find(run_id)
        if self.library.status(run.id).state not in ACTIVE:
            raise Refused(
                f"{run.id} is {self.library.status(run.id).state}; only a queued or running run can"
                " be stopped."
            )
        (run.path / "stop").write_text("now" if now else "")
        self.keep_engine()

    def ask(self, run_id: str, what: str) -> None:
        """Requests a preview (`preview`) or a kept checkpoint (`snapshot`) of a running training.
        Raises Refused."""
        run = self.get(run_id)
        if what not in ASKED:
            raise Refused(
                f"{what!r} is not a request to a run; it must be {' or '.join(ASKED)}.", "what"
            )
        if run.kind != "train" or self.library.status(run.id).state != "running":
            state = self.library.status(run.id).state
            raise Refused(
                f"{run.id} is a {state} {run.kind} run; only a running training can make a {what}."
            )
        (run.path / what).touch()

    def checkpoints(self, run_id: str) -> list[str]:
        """Names of the kept checkpoints of a training, newest first."""
        return checkpoints.kept(self.find(run_id).path)

    def has_raw_weights(self, run_id: str) -> bool:
        """Whether a training has kept its weights that are not averaged. Raises Refused."""
        return (self.find(run_id).path / checkpoints.STATE).exists()

    def resume(self, run_id: str) -> None:
        """Queues a stopped, failed or interrupted run again. It continues from its checkpoint.
        Raises Refused."""
        run = self.find(run_id)
        state = self.library.status(run.id).state
        if state not in ("stopped", "failed", "interrupted"):
            raise Refused(
                f"{run.id} is {state}; only a stopped, failed or interrupted run can be resumed."
            )
        (run.path / "resume").touch()
        self.keep_engine()

    def delete(self, run_id: str) -> list[str]:
        """Moves a run to the trash. Deleting an experiment also deletes the runs that were made for
        it and that no other run uses. `restore` undoes it. Returns the ids of all deleted runs.
        Raises Refused."""
        run = self.find(run_id)
        family = [run] + [c for c in self.library.parts(run) if self._only_in(c, run.id)]
        busy = [r.id for r in family if self.library.status(r.id).state in ACTIVE]
        if busy:
            raise Refused(
                f"{busy[0]} is {self.library.status(busy[0]).state}; stop it before it is deleted."
            )
        needed = [
            u.id
            for r in family
            for u in self.store.users_of(r.id, indirect=True)
            if u.id not in {f.id for f in family} and self.library.status(u.id).state in ACTIVE
        ]
        if needed:
            raise Refused(
                f"{needed[0]} is still using {run.id}; stop it before this run is deleted."
            )
        for member in family:
            self.store.trash(member)
        return [r.id for r in family]

    def _only_in(self, child: Run, group_id: str) -> bool:
        others = [
            u
            for u in self.store.users_of(child.id)
            if u.id != group_id and u.record.group != group_id
        ]
        return child.record.group == group_id and not others

    def is_here(self, run_id: str) -> bool:
        """Whether there is a run of this id that is not deleted."""
        return any(run.id == run_id for run in self.library.all())

    def restore(self, run_id: str) -> None:
        """Restores a deleted run, and the children of an experiment. Raises Refused."""
        try:
            run = self.store.restore(run_id)
            for child in [] if run.problem() else run.record.children:
                if (self.store.folders.trash / child).exists():
                    self.store.restore(child)
        except RunError as error:
            raise Refused(str(error)) from None

    def version(self) -> int:
        """A number that increases when any run changes. Pages compare it at every tick."""
        with contextlib.suppress(NoEngine):  # pages can be read without an engine
            self.keep_engine()
        return self.library.version()

    # ---- export

    def export(self, run_id: str, target: Path, **choice: Any) -> dict[str, Any]:
        """Exports the images or the table of a run; `choice` is `arm`, `seed` and `form` of
        `export.export`. Returns {path, images, text}. Raises Refused."""
        return export.export(self, run_id, target, **choice)

    def download(self, run_id: str, form: str, *, arm: str = "", seed: int = 0) -> Path:
        """Like `export`, into a temporary file. The caller deletes its folder. Raises Refused."""
        return export.temporary(self, run_id, form, arm, seed)

    def table(self, run_id: str, form: str) -> str:
        """The table of a mix or a study as "csv" or "latex". Raises Refused."""
        return export.table(self, self.get(run_id), form)

    # ---- live sampling

    def live(self, values: dict[str, Any], frames: int = 8) -> Iterator[LiveFrame]:
        """Samples images in the live process and yields about `frames` frames as they are computed.
        `values` are settings of a synthesize spec. Raises Refused."""
        spec = self.check("synthesize", values)
        for name in spec.references():
            if not checkpoints.path_of(self.get(name).path).exists():
                raise Refused(f"{name} has no checkpoint yet.", "source")
        self.keep_engine()
        started = time.monotonic()
        paths = {name: str(self.get(name).path) for name in spec.references()}
        request = {**spec.model_dump(mode="json"), "paths": paths, "frames": frames}
        for frame in client.live_frames(self.store.folder, request):
            if "error" in frame:
                raise Refused(str(frame["error"]))
            yield LiveFrame(**frame, seconds=time.monotonic() - started)


__all__ = ["NoEngine", "Refused", "Service", "SpecError", "Submitted"]
