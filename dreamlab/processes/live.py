"""The live process: keeps generators loaded and sends pictures to the Sample page during sampling.

It serves one request at a time over a Unix socket. A client cancels its request by closing the
connection. The process ends when its parent ends.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from dreamlab.processes.cuda_visibility import show_device
from dreamlab.processes.errors import explain
from dreamlab.store import wire
from dreamlab.store.machine import cores
from dreamlab.store.process_ids import detach_session

IDLE_RELEASE = 300.0
"""Seconds without a request after which models are unloaded."""
LOOK_EVERY = 1.0
log = logging.getLogger("dreamlab.processes.live")


class FrameSource(Protocol):
    """The methods of `dreamlab.tasks.synthesize.live.LiveSampler` that are used here."""

    def frames(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yields the frames of one request."""

    def release(self) -> None:
        """Unloads all models."""


class LiveServer:
    """Serves requests until the parent process ends. `make_sampler` is called at the first
    request."""

    def __init__(self, path: Path, make_sampler: Any, parent: int):
        self._path, self._make, self._parent = path, make_sampler, parent
        self._sampler: FrameSource | None = None
        self._used = time.monotonic()

    def serve(self) -> None:
        """Answers one request after another until the parent ends or the socket is removed."""
        self._path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self._path))
            server.listen(16)
            server.settimeout(LOOK_EVERY)
            while os.getppid() == self._parent and self._path.exists():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    if self._sampler is not None and time.monotonic() - self._used > IDLE_RELEASE:
                        self._release()
                    continue
                with connection:
                    self._handle(connection)
                    self._used = time.monotonic()

    def _handle(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(10)
            request = wire.receive(connection)
            if request is None:
                return
            if request.pop("release", False):
                self._release()
                wire.send(connection, {"released": True})
                return
            for frame in self._frames(request):
                if wire.hung_up(connection):
                    return
                wire.send(connection, frame)
        except OSError as error:
            log.info("A client has disconnected: %s", error)

    def _frames(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The frames of the sampler. An error becomes a last frame with one sentence."""
        try:
            if self._sampler is None:
                self._sampler = self._make()
            yield from self._sampler.frames(request)
        except Exception as error:
            log.exception("Live sampling from %s failed", request.get("source"))
            yield {"error": explain(error, self._path), "done": True}

    def _release(self) -> None:
        if self._sampler is not None:
            self._sampler.release()
            self._sampler = None


def _sampler() -> FrameSource:
    from dreamlab.tasks.synthesize.live import LiveSampler

    sampler: FrameSource = LiveSampler()
    return sampler


def serve(path: Path, *, threads: int, device: str, visible: str | None = None) -> int:
    """Runs the live process on a socket. Returns the exit status."""
    parent = os.getppid()
    detach_session()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    show_device(device, visible)
    import torch

    torch.set_num_threads(threads)
    LiveServer(path, _sampler, parent).serve()
    return 0


def main() -> int:
    """The command line of the live process; see `serve`."""
    parser = argparse.ArgumentParser(
        prog="python -m dreamlab.processes.live", description="Serves live sampling on a socket."
    )
    parser.add_argument("socket", type=Path)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    return serve(args.socket, threads=args.threads, device=args.device)


if __name__ == "__main__":
    sys.exit(main())
