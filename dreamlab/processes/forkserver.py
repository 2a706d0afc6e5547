"""`python -m dreamlab.processes.forkserver`: imports torch once, then forks a worker for every
request on stdin.

No code here may run a torch operation or use CUDA. The threads of OpenMP do not survive a fork: a
child of a process that has used them hangs in its first parallel operation. The server ends when
stdin ends; its workers continue.

Messages are JSON objects, one per line.

In:  {"key", "path", "threads", "device", "visible", "attempt"}
     (for the key "live", `path` is the socket to serve)
Out: {"ready": seconds, "cuda": bool}, {"key", "pid"}, {"key", "error"},
     {"exited": pid, "status": exit status or -signal}
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FIRST = (
    "numpy",
    "torch",
    "torch.nn",
    "torch.nn.functional",
    "torch.optim",
    "safetensors.torch",
    "PIL.Image",
    "diskcache",
    "psutil",
    "dreamlab.processes.worker",
    "dreamlab.processes.live",
    "dreamlab.tasks.train.task",
    "dreamlab.tasks.synthesize.task",
    "dreamlab.tasks.synthesize.live",
    "dreamlab.tasks.experiment",
)
"""Modules that are imported before the first request: what training and live sampling need."""
LATER = (
    "scipy.linalg",
    "sympy",
    "torch._dynamo",
    "torchvision",
    "torchmetrics",
    "dreamlab.tasks.classify.task",
    "dreamlab.tasks.fidelity.task",
)
"""Modules that are imported one by one between requests. torchmetrics takes longer to import than
torch, and a training does not need it."""
log = logging.getLogger("dreamlab.processes.forkserver")


def preload(names: Iterable[str]) -> None:
    """Imports modules. If a module is broken, this is logged, and the worker that needs it will
    report it. Raises ImportError if torch cannot be imported."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:
            if name == "torch":
                raise
            log.exception("%s cannot be imported", name)
    gc.collect()
    gc.freeze()  # so that garbage collection does not make children copy this memory


class ForkServer:
    """Reads requests from the file descriptor `requests`, writes answers to `answers`, and imports
    the modules `later` between requests."""

    def __init__(self, requests: int, answers: int, later: Iterable[str] = ()):
        self._requests, self._answers, self._later = requests, answers, list(later)
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        os.set_blocking(self._woken, False)

    def serve(self) -> None:
        """Forks a child for every request and reports when a child ends. Returns at the end of the
        requests."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        pending = b""
        while True:
            readable, _, _ = select.select(
                [self._requests, self._woken], [], [], 0 if self._later else None
            )
            if not readable:
                preload([self._later.pop(0)])
                continue
            if self._woken in readable:
                os.read(self._woken, 4096)
            self._reap()
            if self._requests in readable:
                data = os.read(self._requests, 65536)
                if not data:
                    return
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    self._start(json.loads(line))

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._say({"exited": pid, "status": os.waitstatus_to_exitcode(status)})

    def _start(self, request: dict[str, Any]) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._say(
                {
                    "key": request["key"],
                    "error": f"no new process can be started ({error.strerror})",
                }
            )
            return
        if pid == 0:
            self._become(request)
        self._say({"key": request["key"], "pid": pid})

    def _become(self, request: dict[str, Any]) -> None:
        """Runs one request in the child process. Never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            for descriptor in (self._requests, self._answers, self._woken, self._waker):
                os.close(descriptor)
            status = run_child(request)
            sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)  # always: this process must not continue as a second server

    def _say(self, what: dict[str, Any]) -> None:
        os.write(self._answers, json.dumps(what).encode() + b"\n")


def run_child(request: dict[str, Any]) -> int:
    """Executes one run, or the live process. Returns the exit status."""
    path, visible = Path(request["path"]), request["visible"]
    if request["key"] == "live":
        from dreamlab.processes.live import serve

        return serve(path, threads=request["threads"], device=request["device"], visible=visible)
    from dreamlab.processes.worker import run_attempt

    return run_attempt(
        path,
        threads=request["threads"],
        device=request["device"],
        attempt=request["attempt"],
        visible=visible,
    )


def main() -> int:
    """Imports modules, reports that it is ready, and serves until stdin ends."""
    began = time.monotonic()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # stdin and stdout are moved to other descriptors, so that no library or child writes into the
    # answers
    requests, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    preload(FIRST)
    import torch

    server = ForkServer(requests, answers, LATER)
    ready = {"ready": round(time.monotonic() - began, 2), "cuda": torch.version.cuda is not None}
    try:
        os.write(answers, json.dumps(ready).encode() + b"\n")
        server.serve()
    except BrokenPipeError:
        log.info("The engine has ended.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
