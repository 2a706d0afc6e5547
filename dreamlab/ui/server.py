"""Serves the dashboard until Ctrl-C, then prints which runs continue."""

from __future__ import annotations

import dataclasses
import errno
import shlex
import signal
import socket
import threading
import time
import urllib.parse
import webbrowser
from pathlib import Path
from typing import Any

import uvicorn

from dreamlab.paths import program
from dreamlab.service import Refused, Service
from dreamlab.ui.guard import Guard

SECOND_PRESS = 5.0
"""Seconds within which a second Ctrl-C stops the runs as well."""


@dataclasses.dataclass(frozen=True)
class Address:
    """Where the dashboard listens. `token` is the secret that visitors have to give; empty for
    none."""

    host: str
    port: int
    token: str
    browser: bool
    """Whether to open a browser."""

    @property
    def url(self) -> str:
        """The address for a browser on this machine, without the token."""
        shown = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}/"


def check_port(host: str, port: int) -> None:
    """Raises Refused if the port is in use or if this machine does not have the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "another program uses it" if taken else (error.strerror or str(error))
            raise Refused(
                f"Port (--port): {port} on {host} cannot be used ({reason}); give another one.",
                "port",
            ) from None


def serve(api: Any, address: Address, service: Service) -> None:
    """Runs the server until Ctrl-C. A second Ctrl-C soon after stops the runs, which keep what is
    done."""
    presses: list[float] = []
    server = uvicorn.Server(
        uvicorn.Config(
            Guard(api, address.token),
            host=address.host,
            port=address.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )

    def on_signal(number: int, frame: Any) -> None:
        presses.append(time.monotonic())
        server.should_exit = True
        if len(presses) == 1:
            print("\nThe dashboard is closed.", flush=True)
        if number == signal.SIGTERM:
            presses.append(-1.0)  # not from a terminal: do not wait for a second signal

    thread = threading.Thread(target=server.run, daemon=True)
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.05)
    if server.started:
        hint = "?token=... (your token, once)" if address.token else ""
        print(f"DreamLab is at {address.url}{hint}", flush=True)
        if address.browser:
            query = f"?token={urllib.parse.quote(address.token)}" if address.token else ""
            webbrowser.open(address.url + query)
    while thread.is_alive() and not server.should_exit:
        time.sleep(0.1)
    thread.join(timeout=4)
    farewell(service, presses)


def farewell(service: Service, presses: list[float]) -> None:
    """Prints which runs continue and how to stop them. `presses` are the times of Ctrl-C in
    seconds; -1 means not to wait for a second one."""
    active = service.active()
    folder = service.store.folder
    where = "" if folder == Path("runs").resolve() else f" --runs {shlex.quote(str(folder))}"
    if active and len(presses) < 2:
        many = len(active) > 1
        print(
            f"{len(active)} run{'s continue' if many else ' continues'} without it. To stop"
            f" {'them' if many else 'it'} and keep what is done:",
            flush=True,
        )
        for row in active:
            print(f"  {program()} runs stop {row.id}{where}", flush=True)
        print(f"Or press Ctrl-C again within {SECOND_PRESS:.0f} s.", flush=True)
        until = time.monotonic() + SECOND_PRESS
        while time.monotonic() < until and len(presses) < 2:
            time.sleep(0.05)
    if active and len(presses) >= 2 and presses[-1] > 0:
        for row in active:
            service.stop(row.id)
            print(f"{row.id} stops and keeps what is done.", flush=True)
