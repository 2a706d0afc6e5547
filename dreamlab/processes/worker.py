"""`python -m dreamlab.processes.worker RUN_DIR`: executes one run and writes its events, result and
final state.

It is the only writer of the run's `events.jsonl` and `result.json`. The fork server calls
`run_attempt` in a new child process instead.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import math
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from dreamlab.processes.cuda_visibility import show_device
from dreamlab.processes.errors import explain
from dreamlab.settings import EXPERIMENT_KINDS
from dreamlab.store import ArtefactCache, EventWriter, Run, RunStore, write_json
from dreamlab.store.process_ids import EXIT_DISK, EXIT_HELD, detach_session, started
from dreamlab.tasks import Stopped, TaskContext, find_task


def run_attempt(
    path: Path, *, threads: int, device: str, attempt: int, visible: str | None = None
) -> int:
    """Executes one run in this process and returns the exit status.

    `device` is "cpu", "cuda:N" or a list such as "cuda:0,cuda:1". `visible` is the value for
    CUDA_VISIBLE_DEVICES; None selects device N of those that are visible now. Exit status: 0 done,
    1 failed, 2 stopped; EXIT_HELD or EXIT_DISK if the state could not be written.
    """
    detach_session()
    try:
        if not _take_log(path / "worker.log"):
            return EXIT_HELD
        events = EventWriter(path / "events.jsonl", attempt)
    except OSError as error:
        print(f"{path.name}: {explain(error, path)}", file=sys.stderr)
        return EXIT_DISK
    signal.signal(signal.SIGTERM, lambda *_: (path / "stop").touch())
    try:
        events.write(
            "state", state="running", error="", pid=os.getpid(), pid_started=started(os.getpid())
        )
        try:
            _do(path, events, threads, show_device(device, visible), attempt)
        except Stopped:
            events.write("state", state="stopped", error="")
            return 2
        except BaseException as error:
            events.write("state", state="failed", error=explain(error, path))
            _log(traceback.format_exc())
            return 1
        events.write("state", state="done", error="")
        _log("")
        return 0
    except OSError as error:
        _log(f"The last event could not be written: {error}\n")
        return EXIT_DISK
    finally:
        events.close()


def _log(text: str) -> None:
    """Writes to worker.log, unless the disk is full."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()
        sys.stdout.flush()


def _do(path: Path, events: EventWriter, threads: int, device: str, attempt: int) -> None:
    run = Run(path)
    store = RunStore(path.parent)
    task = find_task(run.kind)
    if run.kind not in EXPERIMENT_KINDS:
        import torch

        torch.set_num_threads(threads)
    context = TaskContext(
        run=run,
        store=store,
        cache=ArtefactCache(store.folders.cache),
        attempt=attempt,
        threads=threads,
        device=device,
    )
    context.check_unchanged()
    for event in task(context):
        lost: list[str] = []
        event = plain(event, lost) if event["type"] != "metric" else event
        if lost:
            events.write(
                "message",
                level="error",
                text=f"Not a finite number and therefore left out: {', '.join(lost)}.",
            )
        if event["type"] == "result":
            write_json(path / "result.json", event["values"])
        events.write(**event)


def plain(value: Any, lost: list[str], name: str = "result") -> Any:
    """The value with JSON's types only. Numbers that are not finite become None, and their names
    are added to `lost`."""
    if isinstance(value, dict):
        return {str(k): plain(v, lost, str(k)) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, lost, name) for v in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        return plain(value.tolist(), lost, name)
    if isinstance(value, float) and not math.isfinite(value):
        lost.append(name)
        return None
    return value


def _take_log(path: Path) -> bool:
    """Redirects stdout and stderr to the log. A lock on the log marks that the run has a worker.
    Returns False if another process holds the lock."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        import fcntl

        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(log)
        return False
    except (
        ImportError,
        OSError,
    ) as error:  # the file system has no locks; the lock of the engine has to be enough
        print(f"{path} cannot be locked: {error}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    faulthandler.enable()
    return True


def main(argv: list[str] | None = None) -> int:
    """The command line of a worker; see `run_attempt`."""
    parser = argparse.ArgumentParser(
        prog="python -m dreamlab.processes.worker", description="Runs one run directory."
    )
    parser.add_argument("run", type=Path, help="run directory, with a spec.json")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N, or several as cuda:0,cuda:1")
    parser.add_argument("--attempt", type=int, default=1)
    args = parser.parse_args(argv)
    if not (args.run / "spec.json").is_file():
        parser.error(f"{args.run} is not a run folder: it has no spec.json.")
    return run_attempt(
        args.run.resolve(), threads=args.threads, device=args.device, attempt=args.attempt
    )


if __name__ == "__main__":
    sys.exit(main())
