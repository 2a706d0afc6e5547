"""The part of the service that knows what a run will cost, and whether it exists already."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dreamlab import studies
from dreamlab.data import described
from dreamlab.data.imageset import DataError
from dreamlab.estimates import machine
from dreamlab.estimates.cost import Estimate
from dreamlab.estimates.estimate import estimate
from dreamlab.estimates.machine import Machine
from dreamlab.estimates.measured import Prober
from dreamlab.estimates.work import C, Work
from dreamlab.experiments.identity import Identities
from dreamlab.experiments.study.plan import described_for
from dreamlab.service.refused import refusing
from dreamlab.service.sets import Sets
from dreamlab.settings import ImportSpec, Spec, SpecError, StudySpec, make
from dreamlab.store import Run, RunError, RunStore
from dreamlab.store.states import ACTIVE

KEPT = 1.0
"""Seconds for which the list of finished runs is kept."""
MOST_FOLDERS = 8
"""Most data folders of earlier runs that are tried for a study."""


@dataclasses.dataclass(frozen=True)
class ScaleCost:
    """What a study costs at one scale. Where its data set is not here, `needs` says what to get,
    and the estimate is for when it is. `estimate` is None where none is possible."""

    study: str
    scale: str
    estimate: Estimate | None
    needs: str = ""


@contextlib.contextmanager
def described_sets(spec: Spec, on: Machine | None) -> Iterator[None]:
    """Inside, data sets that a run on a described machine uses and that are not here are known by
    their descriptions."""
    with described.using(described_for(spec) if on is not None and on.name else {}):
        yield


class Costs(Sets):
    """Estimates runs, and finds those that were computed before. All its errors are Refused, with
    one sentence."""

    def __init__(self, store: RunStore):
        super().__init__(store)
        self.prober = Prober(self.store)
        self._identities = Identities(self.library, self.library.status)
        self._registered = False
        """Whether this is a dashboard, which may measure in the background."""
        self._hashes: dict[str, str] = {}
        self._finished: tuple[float, list[Run], dict[str, str]] = (float("-inf"), [], {})
        self.library.estimated = self._estimate

    def estimate(self, spec: Spec) -> Estimate:
        """The estimated cost of a run. If the dashboard is open, no run is active and the cost has
        not been measured, a measurement is started in the background. `estimate_version` increases
        when it is done."""
        with refusing():
            found, lacking = self.assessed(spec)
        if self._registered and lacking:
            self.prober.wish(lacking, lambda: not self.active())
        return found

    def described(self, text: str = "") -> Machine:
        """The machine that a text describes, such as "cores=16,memory=128,gpu=h100"; this one for
        an empty text. Raises Refused."""
        with refusing("as_if"):
            return machine.described(text) if text else machine.here()

    def estimate_version(self) -> int:
        """A number that increases when a background measurement is done."""
        return self.prober.version

    def dry_run(
        self,
        spec: Spec,
        on: Machine | None = None,
        proposal: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> Estimate:
        """The estimated cost of a run. What has not been measured is measured now, which takes
        seconds for each unit of work; it creates no files in an unused runs folder. For a machine
        `on` that is described, nothing is measured. `proposal` is what a look at the source of an
        import has found. With `fresh`, no finished run is used again."""
        with refusing():
            found, lacking = self.assessed(spec, on, proposal, fresh)
            if lacking and not self.active():
                self.prober.measure(lacking, keep=self.store.folders.cache.exists())
                found, _ = self.assessed(spec, on, proposal, fresh)
        return found

    def study_costs(
        self, folders: Sequence[str] = (), on: Machine | None = None, name: str = ""
    ) -> Iterator[ScaleCost]:
        """The estimated cost of every study at every scale, as far as it is known; nothing is
        measured. Of `folders`, each scale takes the first that holds its data set; without one, it
        is estimated by the description of the data set. With `name`, only this study."""
        for study in self.studies():
            for scale in study.scales if name in ("", study.id) else ():
                yield self._scale_cost(study.id, scale, folders, on)

    def data_folders(self) -> list[str]:
        """The data folders that earlier runs named, the newest first, each once."""
        named = (getattr(run.spec, "data_dir", "") for run in self.library.runs())
        return [folder for folder in dict.fromkeys(named) if folder][:MOST_FOLDERS]

    def _scale_cost(
        self, study: str, scale: str, folders: Sequence[str], on: Machine | None
    ) -> ScaleCost:
        for folder in ("", *folders):
            spec = make(StudySpec, {"study": study, "scale": scale, "data_dir": folder})
            try:
                return ScaleCost(study, scale, self.assessed(spec, on)[0])
            except (SpecError, RunError, DataError):
                continue
        needs = studies.load(study).scales[scale].data
        spec = make(StudySpec, {"study": study, "scale": scale})
        try:
            with described.using(described_for(spec)):
                return ScaleCost(study, scale, self.assessed(spec, on)[0], needs)
        except (SpecError, RunError, DataError):
            return ScaleCost(study, scale, None, needs)

    def _estimate(self, spec: Spec) -> Estimate:
        return self.assessed(spec)[0]

    def assessed(
        self,
        spec: Spec,
        on: Machine | None = None,
        proposal: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> tuple[Estimate, list[Work[Any]]]:
        """The estimate, and the work whose cost it would need but that was not measured. Raises
        SpecError, RunError and DataError."""
        there, asked = on or machine.here(), list[Work[Any]]()

        def find(work: Work[C]) -> C | None:
            if there.name:
                kept = machine.stored().get(there.key(work.device), {}).get(work.key)
                return work.cost(**kept) if kept else None
            asked.append(work)
            return self.prober.known(work)

        if proposal is None and isinstance(spec, ImportSpec):
            proposal = self.looker.remembered(spec)
        runs, done = self._done_runs()
        if there.name:  # what was computed here is not there
            runs = []
        if there.name or fresh:
            done = {}
        with described_sets(spec, there):
            found = estimate(
                spec,
                self.store,
                runs,
                find,
                there,
                lambda part: done.get(self._identities.of(part).hash),
                proposal,
            )
        gpu = there.uses_cuda(getattr(spec, "device", "cpu"))
        found = dataclasses.replace(found, machine=there.name, on_gpu=gpu)
        return found, self.prober.lacking(asked)

    def _done_runs(self) -> tuple[list[Run], dict[str, str]]:
        """The finished runs that are no experiments, newest first, without those of the demo; and
        content hash -> id of the newest of them."""
        # asked for each part of an experiment and at every key press
        if time.monotonic() - self._finished[0] > KEPT:
            runs = self.library.finished()
            for run in runs:
                if run.id not in self._hashes:
                    self._hashes[run.id] = self._identities.hash_of(run)
            known = {self._hashes[run.id]: run.id for run in reversed(runs)}
            self._finished = (time.monotonic(), runs, known)
        return self._finished[1:]

    def hash_of(self, spec: Spec) -> str:
        """The content hash of a run of this spec. It decides whether the same run exists
        already."""
        with refusing("data_dir"):
            return self._identities.of(spec).hash

    def _same(self, spec: Spec) -> Run | None:
        """The newest run of the same content that is done or under way."""
        wanted = self.hash_of(spec)
        for run in self.library.runs():
            if (
                run.kind == spec.kind
                and not run.record.demo
                and self._identities.hash_of(run) == wanted
                and self.library.status(run.id).state in ACTIVE | {"done"}
            ):
                return run
        return None
