"""Data-parallel training: several processes compute their shares of every batch and sum one flat
gradient.

The worker is process 0. It starts the others (`python -m dreamlab.tasks.train.parallel_process
RUN_DIR ...`) and sends them a line through a pipe before every step. Only process 0 writes events
and files. Gradients are summed with torch.distributed: gloo on a CPU, nccl on CUDA.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist

from dreamlab.paths import python_path
from dreamlab.store import checkpoints
from dreamlab.tasks.context import TaskContext, TaskError

EXIT_ALONE = 70
"""Exit status of a process that ends because another one was lost."""
HOST = "127.0.0.1"
log = logging.getLogger("dreamlab.ranks")


class Ranks:
    """Process number `index` (from 0) of the `count` processes of a training. `Ranks.alone()` is
    for a training in one process."""

    def __init__(self, index: int, count: int, port: int = 0):
        self.index, self.count, self.port = index, count, port
        self._device: torch.device | None = None
        """The device of this process; set by `connect`."""

    @classmethod
    def alone(cls) -> Ranks:
        """The only process of a training that is not data-parallel."""
        return cls(0, 1)

    def share(self, images: int) -> slice:
        """The part of a batch of `images` images that this process computes. Shares differ by at
        most one image."""
        return slice(images * self.index // self.count, images * (self.index + 1) // self.count)

    def connect(self, device: torch.device) -> None:
        """Connects this process with the others; waits until all are there."""
        if self.count == 1:
            return
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=self._meeting_point(),
            rank=self.index,
            world_size=self.count,
        )
        self._device = device

    def _meeting_point(self) -> Any:
        """The store through which the processes find each other. Process 0 holds it, at `port`."""
        return dist.TCPStore(HOST, self.port, is_master=False)  # type: ignore[attr-defined]

    def announce(self, progress: float, precision: str) -> None:
        """Process 0 calls this before every step, so that the other processes take the step too."""

    def reduce(self, flat: torch.Tensor) -> None:
        """Sums a tensor over all processes, in place. If another process was lost it raises Alone;
        process 0 raises TaskError."""
        if self.count > 1:
            try:
                dist.all_reduce(flat)
            except RuntimeError as error:
                self.blame(error)

    def blame(self, error: Exception) -> None:
        """Raises the error for a failed communication."""
        raise Alone(str(error)) from None

    def close(self) -> None:
        """Ends the communication."""
        if self._device is not None:
            with contextlib.suppress(RuntimeError):
                dist.destroy_process_group()
            self._device = None


class Alone(Exception):
    """Another process was lost."""


class Leader(Ranks):
    """Process 0. It starts the other processes when it is created and ends them in `close`."""

    GRACE = 60.0
    """Seconds after the loss of a process until this one ends itself if it is still waiting,
    because nccl may wait forever."""

    def __init__(self, ctx: TaskContext, count: int):
        self._store = dist.TCPStore(  # type: ignore[attr-defined]
            HOST, 0, is_master=True, wait_for_workers=False
        )
        super().__init__(0, count, self._store.port)
        self._run, self._closing, self._noticed = ctx.run, threading.Event(), threading.Event()
        self._changed = threading.Condition()
        self._ready: set[int] = set()
        self._lost: dict[int, str] = {}
        self._children = [self._spawn(ctx, rank) for rank in range(1, count)]

    def _spawn(self, ctx: TaskContext, rank: int) -> subprocess.Popen[bytes]:
        values = {
            "rank": rank,
            "count": self.count,
            "port": self.port,
            "device": f"cuda:{rank}" if ctx.device.startswith("cuda") else "cpu",
            "threads": ctx.threads,
            "attempt": ctx.attempt,
        }
        module = "dreamlab.tasks.train.parallel_process"
        command = [sys.executable, "-P", "-m", module, str(ctx.run.path)]
        for name, value in values.items():
            command += [f"--{name}", str(value)]
        env = {**os.environ, "OMP_NUM_THREADS": str(ctx.threads), "PYTHONPATH": python_path()}
        # the same session as this process, so that ending the session ends all of them
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        threading.Thread(target=self._listen, args=(rank, child), daemon=True).start()
        return child

    def _listen(self, rank: int, child: subprocess.Popen[bytes]) -> None:
        """Runs in one thread per process: reads its answers, then waits for its end."""
        assert child.stdout is not None
        said = ""
        for line in child.stdout:
            try:
                answer = json.loads(line)
            except ValueError:
                continue  # output of a library before the process redirected its stdout
            said = answer.get("error", said)
            with self._changed:
                self._ready |= {rank} if "ready" in answer else set()
                self._changed.notify_all()
        status = child.wait()
        if self._closing.is_set():
            return
        if status == EXIT_ALONE:
            time.sleep(0.3)  # let the process that failed first be recorded first
        with self._changed:
            how = (
                f"was ended by signal {-status}"
                if status < 0
                else f"failed: {said}"
                if said
                else f"ended with status {status}"
            )
            self._lost[rank] = (
                f"Process {rank + 1} of {self.count} of this training {how.rstrip('.')}"
            )
            self._changed.notify_all()
        self._watch_the_end()

    def _watch_the_end(self) -> None:
        """After the loss of a process: makes this process stop waiting for it. If that does not
        work, this process ends itself, so that the engine resumes the run."""
        group = dist.group.WORLD
        if group is not None and self._device is not None and self._device.type == "cuda":
            with contextlib.suppress(RuntimeError):
                group.abort()
        if not self._noticed.wait(self.GRACE) and not self._closing.is_set():
            log.error(
                "%s; this process still waits for it and ends itself.",
                next(iter(self._lost.values())),
            )
            os._exit(EXIT_ALONE)

    def connect(self, device: torch.device) -> None:
        """Waits until the other processes are ready, then connects with them. Raises TaskError if
        one was lost."""
        with self._changed:
            while len(self._ready) < self.count - 1 and not self._lost:
                self._changed.wait(1.0)
        self._check()
        super().connect(device)

    def _meeting_point(self) -> Any:
        return self._store

    def announce(self, progress: float, precision: str) -> None:
        """Tells the other processes to take the next step. Raises TaskError if one was lost."""
        self._check()
        line = json.dumps({"progress": progress, "precision": precision}).encode() + b"\n"
        try:
            for child in self._children:
                assert child.stdin is not None
                child.stdin.write(line)
                child.stdin.flush()
        except OSError as error:
            self.blame(error)

    def blame(self, error: Exception) -> None:
        """Raises TaskError with the number of the lost process, if it is known."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._lost), timeout=5.0)
        self._check()
        self._noticed.set()
        raise TaskError(
            f"The processes of this training lost their connection ({error}); {self._outlook()}"
        ) from None

    def _check(self) -> None:
        if self._lost:
            self._noticed.set()
            raise TaskError(f"{next(iter(self._lost.values()))}; {self._outlook()}")

    def _outlook(self) -> str:
        try:
            state = checkpoints.read_header(self._run.path / checkpoints.STATE)
            return f"if it is resumed, it continues from step {int(state.metadata['step']):,}."
        except (checkpoints.CheckpointError, KeyError):
            return "nothing was saved yet, so it starts from the beginning if it is resumed."

    def close(self) -> None:
        """Ends the other processes and the communication."""
        self._closing.set()
        self._noticed.set()
        for child in self._children:
            with contextlib.suppress(OSError):
                if child.stdin is not None:
                    child.stdin.close()  # the process ends when its input ends
        if self._lost or self._device is None:
            for child in self._children:
                child.kill()  # a process that waits for another one does not read its input
        for child in self._children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        super().close()


@contextlib.contextmanager
def together(ctx: TaskContext, devices: int) -> Iterator[Ranks]:
    """Context of a training: starts its further processes and ends them afterwards. On a CPU they
    share the threads of the run. Raises TaskError if the machine has fewer CUDA devices."""
    if devices == 1:
        yield Ranks.alone()
        return
    if ctx.device.startswith("cuda") and torch.cuda.device_count() < devices:
        raise TaskError(
            f"Devices (--devices): {devices} cannot be used, because this run has only"
            f" {torch.cuda.device_count()} CUDA devices; use at most that many."
        )
    if ctx.device == "cpu":
        ctx.threads = max(1, ctx.threads // devices)
        torch.set_num_threads(ctx.threads)
    ranks = Leader(ctx, devices)
    try:
        yield ranks
    finally:
        ranks.close()
