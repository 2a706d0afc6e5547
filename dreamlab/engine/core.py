"""The engine: a loop that reads the runs folder and starts, watches, resumes and ends workers.

Every decision is written to the `job.json` of the run. If an engine is killed, nothing is lost: the
next one reads the folder and takes over the workers that are still running.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dreamlab.engine import dependencies, transitions
from dreamlab.engine.entry import Entry, final_state
from dreamlab.engine.launcher import ForkLauncher, Launcher, Notice, Request, SpawnLauncher
from dreamlab.engine.live_process import LiveKeeper
from dreamlab.engine.slots import Slots, slots_needed, threads_for
from dreamlab.store import Run, RunError, RunStore
from dreamlab.store.machine import Device, can_fork, find_devices
from dreamlab.store.process_ids import alive, host, kill_group, kill_leftovers, started
from dreamlab.store.states import UNREADABLE

LOOK_AT_PIDS = 0.3
"""Seconds between two checks whether workers are alive."""
RETRY_UNREADABLE = 2.0
"""Seconds until a run that could not be read is tried again."""
FINISHED_A_ROUND = 100
"""Number of finished runs that are checked for resume requests in one round."""
LONGEST_GOODBYE = 10.0
"""Seconds after its final event until a worker that has not ended is killed."""
log = logging.getLogger("dreamlab.engine")


class Engine:
    """The engine. `tick` does one round. `launcher` and `devices` can be replaced in tests.
    `keeper` is None without live sampling."""

    def __init__(
        self,
        runs: Path,
        *,
        launcher: Launcher | None = None,
        devices: list[Device] | None = None,
        live: bool = True,
    ):
        self.store = RunStore(runs)
        self.wake = threading.Event()
        self.devices = find_devices() if devices is None else devices
        self.launcher: Launcher = launcher or (
            ForkLauncher(self.wake.set) if can_fork() else SpawnLauncher()
        )
        self.keeper = LiveKeeper(self.devices[0]) if live else None
        self.slots = Slots(self.devices)
        self.active: dict[str, Entry] = {}
        self.finished: dict[str, str] = {}
        self._unreadable: dict[str, float] = {}
        self._folder_stamp, self._pids_looked, self._turn = 0, 0.0, 0
        self._said: dict[str, str] = {}

    def tick(self) -> None:
        """One round. An error about one run is logged and does not affect other runs."""
        self._scan()
        for notice in self.launcher.notices():
            self._hear(notice)
        now = time.monotonic()
        look_at_pids = now - self._pids_looked > LOOK_AT_PIDS
        if look_at_pids:
            self._pids_looked = now
        for entry in list(self.active.values()):
            self._guarded(entry, lambda e: self._look(e, look_at_pids))
        self._look_for_resumes()
        for entry in [e for e in self.active.values() if e.is_group]:
            self._guarded(entry, self._follow_group)
        self._schedule()
        if self.launcher.broken:
            log.error("Workers are started without the fork server, because it does not start.")
            self.launcher = SpawnLauncher()
        if self.keeper is not None:
            if look_at_pids:
                self.keeper.look()
            self.keeper.keep(self.launcher)

    def state_of(self, run_id: str) -> str:
        """The state of a run; "missing" if it does not exist."""
        if run_id in self.active:
            return self.active[run_id].outward
        if run_id in self._unreadable:
            return UNREADABLE
        return self.finished.get(run_id, "missing")

    def close(self) -> None:
        """Ends the fork server and the live process. Workers continue."""
        if self.keeper is not None:
            self.keeper.close()
        self.launcher.close()

    def _guarded(self, entry: Entry, action: Callable[[Entry], None]) -> None:
        try:
            if entry.id in self.active:
                action(entry)
        except Exception as error:
            if self._said.get(entry.id) != repr(error):  # log it once, not in every round
                self._said[entry.id] = repr(error)
                log.exception("%s", entry.id)

    # ---- finding runs

    def _scan(self) -> None:
        try:
            stamp = os.stat(self.store.folder).st_mtime_ns
        except FileNotFoundError:
            return
        now = time.monotonic()
        again = [i for i, when in self._unreadable.items() if now - when > RETRY_UNREADABLE]
        # the time stamp alone would miss a folder that was created right after the last scan
        if stamp == self._folder_stamp and time.time_ns() - stamp > 10**9 and not again:
            return
        self._folder_stamp = stamp
        ids = set(self.store.ids())
        for gone in (self.active.keys() | self.finished.keys() | self._unreadable.keys()) - ids:
            self._drop(gone)
        for run_id in sorted(ids - self.active.keys() - self.finished.keys()):
            if run_id not in self._unreadable or run_id in again:
                self._meet(Run(self.store.folder / run_id))

    def _drop(self, run_id: str) -> None:
        entry = self.active.pop(run_id, None)
        if entry is not None and (worker := entry.living_worker()) is not None:
            kill_group(*worker)
        self.slots.release(run_id)
        self.finished.pop(run_id, None)
        self._unreadable.pop(run_id, None)

    def _meet(self, run: Run) -> None:
        try:
            final = final_state(run.path)
            if final:
                self.finished[run.id] = final
            else:
                self._adopt(Entry(run))
            self._unreadable.pop(run.id, None)
        except (RunError, OSError) as error:
            self._give_up(run.id, error)

    def _give_up(self, run_id: str, error: Exception) -> None:
        """Marks a run that cannot be read. It is tried again from time to time, because its files
        may be repaired."""
        if run_id not in self._unreadable:
            log.warning("%s", error)
        self._unreadable[run_id] = time.monotonic()

    def _adopt(self, entry: Entry) -> None:
        """Takes over a run that is new, or that was active when the previous engine ended."""
        self.active[entry.id] = entry
        worker = entry.living_worker()
        if worker is not None:
            self._attach(entry, *worker)
            log.info("%s: adopted worker %d.", entry.id, worker[0])
        elif entry.job["state"] == "running" and entry.job.get("pid"):
            self._ended(entry)
        elif entry.job["state"] == "interrupted":
            entry.phase, entry.until = "interrupted", time.monotonic() + transitions.INTERRUPTED_FOR
        elif entry.job["state"] == "queued" and entry.events_attempt >= entry.attempt:
            self._ended(entry)  # a worker that has ended before it was recorded in job.json

    def _attach(self, entry: Entry, pid: int, pid_started: float) -> None:
        device = str(entry.job.get("device", "cpu"))
        if not entry.is_group:
            self.slots.take_named(entry.id, device, entry.kind)
        attempt = max(entry.attempt, entry.events_attempt)
        entry.write_job(
            "running", pid=pid, pid_started=pid_started, host=host(), device=device, attempt=attempt
        )
        entry.phase, entry.exit_status = "running", None

    # ---- following a run

    def _hear(self, notice: Notice) -> None:
        if self.keeper is not None:
            self.keeper.hear(notice)
        entry = self.active.get(notice.key)
        if notice.what == "exited":
            for running in self.active.values():
                if running.phase == "running" and running.job.get("pid") == notice.pid:
                    running.exit_status = notice.status
        elif entry is None or entry.phase != "launching":
            if notice.what == "started" and notice.key not in ("live", *self.active):
                kill_group(notice.pid, started(notice.pid))  # the run has been deleted
        elif notice.what == "started":
            entry.phase = "running"
            entry.write_job("running", pid=notice.pid, pid_started=started(notice.pid), host=host())
        else:
            log.warning("%s could not be started (%s) and stays queued.", entry.id, notice.text)
            self.slots.release(entry.id)
            entry.phase = "queued"

    def _look(self, entry: Entry, look_at_pids: bool) -> None:
        entry.flush()
        if entry.phase == "running":
            self._look_at_worker(entry, look_at_pids)
            return
        if (entry.run.path / "resume").exists():
            (entry.run.path / "stop").unlink(missing_ok=True)
            (entry.run.path / "resume").unlink(missing_ok=True)
        if entry.phase == "launching" or entry.is_group and entry.phase == "queued":
            return
        if entry.asked_to_stop() is not None:
            entry.write_job("stopped")
            self._finish(entry, "stopped")
        elif entry.phase == "interrupted" and time.monotonic() >= entry.until:
            transitions.requeue(entry, by_hand=False)

    def _look_at_worker(self, entry: Entry, look_at_pids: bool) -> None:
        pid, pid_started = (
            int(entry.job.get("pid") or 0),
            float(entry.job.get("pid_started") or 0.0),
        )
        entry.read_events()
        stop = entry.asked_to_stop()
        if stop == "now" and not entry.final():
            kill_group(pid, pid_started)
        elif (
            stop is None and not entry.final()
        ):  # after a stop or a final event, a resume request is kept until the worker has ended
            (entry.run.path / "resume").unlink(missing_ok=True)
        if entry.final() and entry.until == 0.0:
            entry.until = time.monotonic() + LONGEST_GOODBYE
        if entry.exit_status is not None or (look_at_pids and not alive(pid, pid_started)):
            self._ended(entry)
        elif entry.final() and time.monotonic() > entry.until:
            log.warning("%s has ended, but its worker %d has not; it is killed.", entry.id, pid)
            kill_group(pid, pid_started)

    def _ended(self, entry: Entry) -> None:
        """Handles the end of a worker. Its last event decides the state; without one, a stop
        request does, or the run is interrupted."""
        entry.read_events()
        pid = int(entry.job.get("pid") or 0)
        self.slots.release(entry.id)
        entry.until = 0.0
        other = entry.living_worker()
        if final := entry.final():
            self._finish(entry, final)
        elif other is not None and other[0] != pid:
            self._attach(entry, *other)
        elif entry.asked_to_stop() is not None:
            entry.write_job("stopped", pid=None)
            self._finish(entry, "stopped")
        elif transitions.disk_failed(entry) or transitions.interrupt(entry):
            self._finish(entry, "failed")
        else:
            log.warning(
                "%s: worker %d has ended (%s); it is resumed.", entry.id, pid, entry.exit_status
            )
        if pid:
            kill_leftovers(pid)

    def _finish(self, entry: Entry, state: str) -> None:
        self.active.pop(entry.id, None)
        self._said.pop(entry.id, None)
        self.slots.release(entry.id)
        self.finished[entry.id] = state
        entry.flush()
        log.info("%s: %s.", entry.id, state)

    def _look_for_resumes(self) -> None:
        """Looks for resume requests of finished runs. Each round checks only some of them, so that
        thousands cost little."""
        ids = list(self.finished)
        if not ids:
            return
        self._turn %= len(ids)
        part = (ids + ids)[self._turn : self._turn + min(len(ids), FINISHED_A_ROUND)]
        self._turn += len(part)
        for run_id in part:
            if run_id in self.finished and os.path.exists(self.store.folder / run_id / "resume"):
                try:
                    self._resume(run_id)
                except (RunError, OSError) as error:
                    self.finished.pop(run_id, None)
                    self._give_up(run_id, error)

    def _resume(self, run_id: str) -> None:
        """Resumes a run on request. With an experiment, its unfinished children are resumed too.
        With a child, so is the experiment that ended because of it."""
        if self.finished[run_id] == "done":
            (self.store.folder / run_id / "resume").unlink(missing_ok=True)
            return
        entry = self._reopen(run_id)
        for child in entry.record.children:
            if self.finished.get(child) in ("failed", "stopped"):
                self._reopen(child)
        if self.finished.get(entry.record.group) in ("failed", "stopped"):
            self._reopen(entry.record.group)

    def _reopen(self, run_id: str) -> Entry:
        entry = Entry(Run(self.store.folder / run_id))
        transitions.requeue(entry, by_hand=True)
        del self.finished[run_id]
        self.active[run_id] = entry
        log.info("%s: resumed, attempt %d.", run_id, entry.attempt)
        return entry

    def _follow_group(self, entry: Entry) -> None:
        if entry.phase != "queued":
            return
        going_on = dependencies.pass_on_stop(entry, self.active)
        if entry.asked_to_stop() is not None:
            if not going_on:
                entry.write_job("stopped")
                self._finish(entry, "stopped")
            return
        state, sentence = dependencies.derive(entry, self.state_of)
        if state == "ready" and self.launcher.ready:
            self._launch(entry, [Device("cpu", 1)])
        elif state in ("failed", "stopped"):
            entry.write_job(state, error=sentence)
            self._finish(entry, state)
        elif state == "running" and entry.job["state"] != "running":
            entry.write_job("running")

    # ---- starting runs

    def _schedule(self) -> None:
        """Starts queued runs in order. If a run does not fit on a device now, no later run gets
        that device, so that no run waits forever."""
        queued = [e for e in self.active.values() if e.phase == "queued" and not e.is_group]
        taken: set[str] = set()
        usable = {d.name for d in self.devices if d.name == "cpu" or self.launcher.cuda}
        for entry in transitions.order(queued, self.active.get):
            ready, end, sentence = transitions.readiness(entry, self.state_of)
            if end:
                entry.write_job(end, error=sentence)
                self._finish(entry, end)
            if not ready or not self.launcher.ready:
                continue
            devices = [d for d in self.slots.fitting(entry.device_wanted) if d.name in usable]
            if entry.device_wanted == "auto" and not devices:
                devices = self.slots.fitting("cpu")
            if not devices:
                entry.write_job(
                    "failed", error="It needs a CUDA device, but there is none; choose auto or cpu."
                )
                self._finish(entry, "failed")
                continue
            count = 1 if devices[0].name == "cpu" else entry.devices_wanted
            if len(devices) < count:
                sentence = (
                    f"It needs {count} devices, but there are {len(devices)}; give at most"
                    f" --devices {len(devices)}."
                )
                entry.write_job("failed", error=sentence)
                self._finish(entry, "failed")
                continue
            fits = [
                d
                for d in devices
                if d.name not in taken and self.slots.free(d) >= slots_needed(entry.kind, d)
            ]
            if len(fits) >= count:
                self._launch(entry, fits[:count])
            else:
                taken |= {d.name for d in devices}

    def _launch(self, entry: Entry, devices: list[Device]) -> None:
        threads = 1 if entry.is_group else threads_for(entry.kind, devices[0])
        self.slots.take(entry.id, devices, entry.kind)
        entry.phase, entry.exit_status, entry.until = "launching", None, 0.0
        names, visible = (
            ",".join(part) for part in zip(*((d.name, d.visible) for d in devices), strict=True)
        )
        entry.job |= {"device": names, "threads": threads}
        if self.keeper is not None:
            for device in devices:
                self.keeper.release(device)
        self.launcher.start(
            Request(entry.id, entry.run.path, threads, names, visible, entry.attempt)
        )
