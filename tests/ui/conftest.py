"""The dashboard as a process of its own on a free port, and a headless Chromium to look at it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NOWHERE = "http://127.0.0.1:9"
"""A proxy that answers nobody: no test downloads anything."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    """The page's address; the app that serves it reads `runs`."""
    port = free_port()
    log = open(runs.parent / "app.log", "w+")
    app = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), "--runs", str(runs), "--no-browser"],
        cwd=ROOT,
        stdout=log,
        stderr=log,
        env=os.environ | dict.fromkeys(("http_proxy", "https_proxy"), NOWHERE),
    )
    url = f"http://127.0.0.1:{port}/"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and app.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).read()
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    else:
        app.kill()
        app.wait()
    log.flush()
    assert app.poll() is None, (runs.parent / "app.log").read_text()
    yield url
    app.send_signal(signal.SIGTERM)
    app.wait(timeout=20)
    said = (runs.parent / "app.log").read_text()
    log.close()
    assert "Traceback" not in said, said


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium: the machine's own or Playwright's. Without one these tests fail on CI and are
    skipped, with a word, elsewhere."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        missing("Playwright is not installed: `make setup-dev`.")
    own = os.environ.get("DREAMLAB_CHROMIUM") or next(
        (p for p in map(shutil.which, BROWSERS) if p), None
    )
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=own, args=FLAGS)
        except Error as error:
            missing(
                f"No Chromium was found ({str(error).splitlines()[0]}): `python -m playwright"
                " install chromium`, or name one in DREAMLAB_CHROMIUM."
            )
        yield chromium
        chromium.close()


def missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A fresh page that reaches nothing but our app; anything it complains about fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=address)
    context.set_default_timeout(90_000)  # a shared machine may be slow
    found = context.new_page()
    complaints: list[str] = []
    found.on("pageerror", lambda error: complaints.append(str(error)))
    found.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    found.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, "data:", "blob:"))
            else complaints.append(request.url)
        ),
    )
    yield found
    context.close()
    assert not complaints, complaints
