"""The app's door: what it refuses before it starts, the token, the names it answers to, Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import app
from tests.conftest import ROOT, dreamlab


def refused(*words: str) -> str:
    """The sentence with which `app.py` refuses (exit 2)."""
    clean = {k: v for k, v in os.environ.items() if k != "DREAMLAB_TOKEN"}
    done = subprocess.run(
        [sys.executable, "app.py", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env=clean,
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    return done.stderr.strip()


def test_an_address_that_others_reach_needs_a_token() -> None:
    assert "set a token" in refused("--host", "0.0.0.0")
    assert "shorter than 8" in refused("--host", "0.0.0.0", "--token", "short")


def test_a_busy_port_gives_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        sentence = refused("--port", str(taken.getsockname()[1]))
    assert "something else listens there already" in sentence and len(sentence.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("lab", False),
        ("", False),
    ],
)
def test_loopback(name: str, ours: bool) -> None:
    assert app.loopback(name) is ours


def ask(token: str, path: str = "/", query: str = "", **headers: str) -> tuple[int, dict[str, str]]:
    """(status, headers) of one request through the guard, before an app that answers 200."""
    sent: list[dict[str, Any]] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    named = {"host": "127.0.0.1:7860", **headers}
    scope = {
        "type": "http",
        "path": path,
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in named.items()],
    }
    answer = app.Guard(inner, token)(scope, None, send)
    with pytest.raises(StopIteration):  # nothing here waits, so one step runs it to its end
        answer.send(None)
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}


def test_every_route_demands_the_token_once() -> None:
    for path in (
        "/",
        "/config",
        "/gradio_api/queue/join",
        "/media/run/samples/grid.png",
        "/look/app.js",
    ):
        assert ask("a-long-secret", path)[0] == 401
    assert ask("a-long-secret", "/", "token=another-secret")[0] == 401
    status, headers = ask("a-long-secret", "/", "token=a-long-secret&tab=mix")
    assert status == 303 and headers["location"] == "/?tab=mix"
    cookie = headers["set-cookie"].split(";")[0]
    assert "HttpOnly" in headers["set-cookie"] and "a-long-secret" not in cookie
    assert ask("a-long-secret", "/config", cookie=cookie)[0] == 200
    assert ask("a-long-secret", "/config", cookie=cookie + "0")[0] == 401


def test_without_a_token_only_this_machine_is_answered() -> None:
    assert ask("")[0] == 200
    assert ask("", host="localhost:7860")[0] == 200
    assert ask("", host="evil.example")[0] == 403


@pytest.mark.parametrize("twice", [False, True])
def test_ctrl_c_says_what_goes_on_and_a_second_one_stops_it(runs: Path, twice: bool) -> None:
    from tests.ui.conftest import free_port

    port = free_port()
    page = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), "--runs", str(runs), "--no-browser"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert page.stdout is not None
    while "is at" not in (line := page.stdout.readline()):
        assert line, "the app ended before it was there"
    seconds = 300 + twice
    code, answer, _ = dreamlab(
        runs, "train", "--dataset", "digits", "--seconds", str(seconds), "--detach"
    )
    assert code == 0
    page.send_signal(signal.SIGINT)
    if twice:
        while "Ctrl-C again" not in (line := page.stdout.readline()):
            assert line, "the app ended without a word"
        page.send_signal(signal.SIGINT)
    said, _ = page.communicate(timeout=30)
    run = str(answer["run"])
    assert page.returncode == 0
    if not twice:
        assert f"python -m dreamlab runs stop {run}" in said
        dreamlab(runs, "runs", "stop", run)
    assert "Traceback" not in said
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = dreamlab(runs, "runs", "show", run)[1]["state"]
        if state not in ("queued", "running", "stopping"):
            break
        time.sleep(0.3)
    assert state == "stopped"
