"""The dashboard's server: what it refuses before it starts, which requests it answers, Ctrl-C."""

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

from dreamlab.paths import program
from dreamlab.ui.guard import Guard, loopback
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
    assert "another program uses it" in sentence and len(sentence.splitlines()) == 1


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
    assert loopback(name) is ours


def ask(
    token: str, path: str = "/", query: str = "", method: str = "GET", **headers: str
) -> tuple[int, dict[str, str]]:
    """(status, headers) of one request through the guard, before an app that answers 200."""
    sent: list[dict[str, Any]] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    named = {"host": "127.0.0.1:7860", **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in named.items()],
    }
    answer = Guard(inner, token)(scope, None, send)
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


@pytest.mark.parametrize("token", ["", "a-long-secret"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/gradio_api/upload", "/anything"])
def test_a_change_that_another_site_asks_for_is_refused(token: str, method: str, path: str) -> None:
    known = Guard(None, token).cookie  # a browser sends the cookie along
    headers = {"host": "127.0.0.1:7860", "cookie": f"dreamlab={known}"}
    for foreign in ("https://evil.example", "http://127.0.0.1:8080", "http://[", "null"):
        status, _ = ask(token, path, method=method, origin=foreign, **headers)
        assert status == 403, foreign
    for own in ({"origin": "http://127.0.0.1:7860"}, {}):
        assert ask(token, path, method=method, **own, **headers)[0] == 200


def test_reading_and_a_proxy_that_speaks_https_go_on_working() -> None:
    assert ask("", origin="https://evil.example")[0] == 200
    known = f"dreamlab={Guard(None, 'a-long-secret').cookie}"
    behind = {"host": "lab.example", "origin": "https://Lab.example", "cookie": known}
    assert ask("a-long-secret", method="POST", **behind)[0] == 200


@pytest.mark.parametrize("token", ["", "a-long-secret"])
def test_a_websocket_of_another_site_is_closed(token: str) -> None:
    sent: list[dict[str, Any]] = []
    cookie = f"dreamlab={Guard(None, token).cookie}".encode()
    scope = {"type": "websocket", "path": "/", "query_string": b""}

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    for origin in (b"https://evil.example", b"http://127.0.0.1:7860"):
        headers = [(b"host", b"127.0.0.1:7860"), (b"cookie", cookie), (b"origin", origin)]
        with pytest.raises(StopIteration):
            Guard(inner, token)({**scope, "headers": headers}, None, send).send(None)
    assert [m["type"] for m in sent] == ["websocket.close", "websocket.accept"]


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
        assert f"{program()} runs stop {run} --runs {runs}" in said
        dreamlab(runs, "runs", "stop", run)
    assert "Traceback" not in said
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = dreamlab(runs, "runs", "show", run)[1]["state"]
        if state not in ("queued", "running", "stopping"):
            break
        time.sleep(0.3)
    assert state == "stopped"
