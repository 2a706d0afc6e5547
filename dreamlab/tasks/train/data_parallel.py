"""Data-parallel training: several processes compute their shares of every batch and add up one flat
gradient.

The worker is process 0: it starts the others (`python -m dreamlab.tasks.train.parallel_process
RUN_DIR ...`), tells them through a pipe to take each step, and alone writes events and files. They
add up their gradients through torch.distributed: gloo on a CPU, nccl on CUDA.
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
"""Exit status of a process that ends because another one is gone."""
HOST = "127.0.0.1"
log = logging.getLogger("dreamlab.ranks")


class Ranks:
    """One of `count` processes of a training, the `index`-th from 0. `Ranks.alone()` is a training
    in one process."""

    def __init__(self, index: int, count: int, port: int = 0):
        self.index, self.count, self.port = index, count, port
        self._device: torch.device | None = None
        """Where this process computes, once it has joined the others."""

    @classmethod
    def alone(cls) -> Ranks:
        """The one process of a training that shares nothing."""
        return cls(0, 1)

    def share(self, images: int) -> slice:
        """The images of a batch that this process computes; shares differ by one image at most."""
        return slice(images * self.index // self.count, images * (self.index + 1) // self.count)

    def connect(self, device: torch.device) -> None:
        """Waits until every process is there. Raises TaskError where one is not."""
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
        """Where the processes find each other: process 0 holds it, `port` says where."""
        return dist.TCPStore(HOST, self.port, is_master=False)  # type: ignore[attr-defined]

    def announce(self, progress: float, precision: str) -> None:
        """Process 0 calls this once before every step: the others take it too."""

    def reduce(self, flat: torch.Tensor) -> None:
        """Sums a tensor over all processes, in place. Raises TaskError where one of them is
        gone."""
        if self.count > 1:
            try:
                dist.all_reduce(flat)
            except RuntimeError as error:
                self.blame(error)

    def blame(self, error: Exception) -> None:
        """Raises what a failed exchange means."""
        raise Alone(str(error)) from None

    def close(self) -> None:
        """Ends the communication."""
        if self._device is not None:
            with contextlib.suppress(RuntimeError):
                dist.destroy_process_group()
            self._device = None


class Alone(Exception):
    """Another process is gone."""


class Leader(Ranks):
    """Process 0: starts the others when it is made, ends them in `close`."""

    GRACE = 60.0
    """Seconds after a loss until this process is ended where it still waits: nccl may wait for
    ever."""

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
        # in the session of this process, so that whoever ends it ends them all
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        threading.Thread(target=self._listen, args=(rank, child), daemon=True).start()
        return child

    def _listen(self, rank: int, child: subprocess.Popen[bytes]) -> None:
        """A thread per process: reads its answers, then waits for its end."""
        assert child.stdout is not None
        said = ""
        for line in child.stdout:
            try:
                answer = json.loads(line)
            except ValueError:
                continue  # a library wrote to stdout before the process took it away
            said = answer.get("error", said)
            with self._changed:
                self._ready |= {rank} if "ready" in answer else set()
                self._changed.notify_all()
        status = child.wait()
        if self._closing.is_set():
            return
        if status == EXIT_ALONE:
            time.sleep(0.3)  # the process that failed first is named first
        with self._changed:
            how = (
                f"is gone (signal {-status})"
                if status < 0
                else f"failed: {said}"
                if said
                else f"is gone (status {status})"
            )
            self._lost[rank] = (
                f"Process {rank + 1} of {self.count} of this training {how.rstrip('.')}"
            )
            self._changed.notify_all()
        self._watch_the_end()

    def _watch_the_end(self) -> None:
        """After a loss: frees this process where it waits for the lost one. Where that fails it is
        ended, so that the engine resumes the run."""
        group = dist.group.WORLD
        if group is not None and self._device is not None and self._device.type == "cuda":
            with contextlib.suppress(RuntimeError):
                group.abort()
        if not self._noticed.wait(self.GRACE) and not self._closing.is_set():
            log.error(
                "%s; this process does not notice and is ended.", next(iter(self._lost.values()))
            )
            os._exit(EXIT_ALONE)

    def connect(self, device: torch.device) -> None:
        """Waits for the others to be ready, then joins them. Raises TaskError where one is gone."""
        with self._changed:
            while len(self._ready) < self.count - 1 and not self._lost:
                self._changed.wait(1.0)
        self._check()
        super().connect(device)

    def _meeting_point(self) -> Any:
        return self._store

    def announce(self, progress: float, precision: str) -> None:
        """Orders the next step from the others. Raises TaskError where one is gone."""
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
        """Raises TaskError that names the process which was lost, where that can be told."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._lost), timeout=5.0)
        self._check()
        self._noticed.set()
        raise TaskError(
            f"The processes of this training have lost each other ({error}); {self._outlook()}"
        ) from None

    def _check(self) -> None:
        if self._lost:
            self._noticed.set()
            raise TaskError(f"{next(iter(self._lost.values()))}; {self._outlook()}")

    def _outlook(self) -> str:
        try:
            state = checkpoints.read_header(self._run.path / checkpoints.STATE)
            return f"resume goes on from step {int(state.metadata['step']):,}."
        except (checkpoints.CheckpointError, KeyError):
            return "nothing was saved yet, resume starts anew."

    def close(self) -> None:
        """Ends the other processes and the communication."""
        self._closing.set()
        self._noticed.set()
        for child in self._children:
            with contextlib.suppress(OSError):
                if child.stdin is not None:
                    child.stdin.close()  # the end of the orders
        if self._lost or self._device is None:
            for child in self._children:
                child.kill()  # one that waits for another process reads no orders
        for child in self._children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        super().close()


@contextlib.contextmanager
def together(ctx: TaskContext, devices: int) -> Iterator[Ranks]:
    """The processes of a training for as long as it lasts; on a CPU they share its threads. Raises
    TaskError where the machine has fewer CUDA devices."""
    if devices == 1:
        yield Ranks.alone()
        return
    if ctx.device.startswith("cuda") and torch.cuda.device_count() < devices:
        raise TaskError(
            f"Devices (--devices): {devices} cannot be used, this worker sees"
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
