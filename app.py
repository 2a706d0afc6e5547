"""The dashboard of DreamLab: `python app.py`. It reads and submits; the engine, a process of its
own, computes."""

from __future__ import annotations

import argparse
import hashlib
import hmac
import ipaddress
import os
import shutil
import signal
import socket
import sys
import threading
import time
import urllib.parse
import webbrowser
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault(
    "HF_HUB_OFFLINE", "1"
)  # no page ever asks a server; an import that is asked to takes it back

COOKIE = "dreamlab"
SECOND_PRESS = 5.0
"""Seconds in which a second Ctrl-C stops the runs too."""


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line. Exits with 2 and one sentence where it cannot be used."""
    parser = argparse.ArgumentParser(prog="app.py", description="The dashboard of DreamLab.")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; one that others can reach needs a token",
    )
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default 7860)")
    parser.add_argument("--runs", default="runs", help="folder of the runs (default runs)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument(
        "--token",
        default=os.environ.get("DREAMLAB_TOKEN", ""),
        help="secret that every visitor must give once; also DREAMLAB_TOKEN",
    )
    args = parser.parse_args(argv)
    if not loopback(args.host) and not args.token:
        refuse(
            f"Host (--host): {args.host} can be reached from other machines; set a token (--token"
            " or DREAMLAB_TOKEN), or use 127.0.0.1."
        )
    if not 0 < args.port < 65536:
        refuse(f"Port (--port): {args.port} cannot be used; it must be 1 to 65535.")
    if args.token and len(args.token) < 8:
        refuse("Token (--token): it is shorter than 8 characters; give a longer one.")
    return args


def refuse(sentence: str) -> None:
    print(sentence, file=sys.stderr)
    raise SystemExit(2)


def loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_port(host: str, port: int) -> None:
    """Exits with one sentence where the port is taken or the address is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = (
                "something else listens there already"
                if error.errno == 98
                else (error.strerror or str(error))
            )
            refuse(f"Port (--port): {port} on {host} cannot be used ({reason}); give another one.")


class Guard:
    """ASGI middleware around every route. With a token: given once in the address, then kept as a
    cookie. Without one: only requests that name this machine, so that no foreign page can reach it
    by a name of its own (DNS rebinding)."""

    def __init__(self, app: Any, token: str):
        self.app, self.token = app, token
        self.cookie = (
            hmac.new(token.encode(), b"dreamlab page", hashlib.sha256).hexdigest() if token else ""
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = {
            k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope.get("headers", [])
        }
        if not self.token:
            name = urllib.parse.urlsplit(f"//{headers.get('host', '')}").hostname or ""
            return await (
                self.app(scope, receive, send)
                if loopback(name)
                else _answer(send, scope, 403, "This page answers only to this machine.")
            )
        query = urllib.parse.parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = query.pop("token", [""])[0]
        if (
            given
            and hmac.compare_digest(given.encode(), self.token.encode())
            and scope["type"] == "http"
        ):
            rest = urllib.parse.urlencode(query, doseq=True)
            return await _answer(
                send,
                scope,
                303,
                "",
                [
                    ("location", scope["path"] + (f"?{rest}" if rest else "")),
                    (
                        "set-cookie",
                        (
                            f"{COOKIE}={self.cookie}; HttpOnly; SameSite=Strict; Path=/;"
                            " Max-Age=2592000"
                        ),
                    ),
                ],
            )
        kept = {
            n.strip(): v
            for n, _, v in (p.partition("=") for p in headers.get("cookie", "").split(";"))
        }.get(COOKIE, "")
        if kept and hmac.compare_digest(kept.encode(), self.cookie.encode()):
            return await self.app(scope, receive, send)
        return await _answer(
            send, scope, 401, "This page needs its token: open the address with ?token=... once."
        )


async def _answer(
    send: Any, scope: Any, status: int, text: str, headers: list[tuple[str, str]] | None = None
) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4401})
        return
    pairs = [
        ("content-type", "text/plain; charset=utf-8"),
        ("cache-control", "no-store"),
        *(headers or []),
    ]
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in pairs],
        }
    )
    await send({"type": "http.response.body", "body": text.encode()})


def web(service: Any) -> Any:
    """Our FastAPI application with the dashboard mounted: assets, pictures of runs, the page."""
    import gradio as gr
    from fastapi import FastAPI, HTTPException
    from fastapi.responses import FileResponse
    from fastapi.staticfiles import StaticFiles
    from starlette.background import BackgroundTask

    from dreamlab.service import Refused
    from dreamlab.ui import shell
    from dreamlab.ui.theme import ASSETS, gradio_theme

    api = FastAPI(title="DreamLab", docs_url=None, redoc_url=None, openapi_url=None)

    @api.get("/media/{run}/{path:path}")
    def media(run: str, path: str) -> FileResponse:
        try:
            file = service.media(run, path)
        except Refused as error:
            raise HTTPException(404, str(error)) from None
        return FileResponse(
            file,
            media_type="image/png",
            headers={
                "cache-control": "private, max-age=31536000, immutable",
                "x-content-type-options": "nosniff",
            },
        )

    @api.get("/export/{run}")
    def export(run: str, format: str = "zip", arm: str = "", seed: int = 0) -> FileResponse:
        try:
            file = service.download(run, format, arm=arm, seed=seed)
        except Refused as error:
            raise HTTPException(404, str(error)) from None
        gone = BackgroundTask(shutil.rmtree, file.parent, ignore_errors=True)
        return FileResponse(
            file, filename=file.name, background=gone, headers={"cache-control": "no-store"}
        )

    api.mount("/look/fonts", StaticFiles(directory=ASSETS / "fonts"))

    @api.get("/look/{name}")
    def asset(name: str) -> FileResponse:
        if name not in ("app.js", "app.css", "tokens.css"):
            raise HTTPException(404, "There is no such file.")
        return FileResponse(ASSETS / name, headers={"cache-control": "no-cache"})

    return gr.mount_gradio_app(
        api,
        shell.build(service),
        path="/",
        theme=gradio_theme(),
        css=shell.css(),
        head=shell.head(),
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        allowed_paths=[],
    )


def serve(api: Any, args: argparse.Namespace, service: Any) -> None:
    """Runs the server until Ctrl-C; says what goes on; a second Ctrl-C soon after stops and keeps
    the runs."""
    import uvicorn

    presses: list[float] = []
    server = uvicorn.Server(
        uvicorn.Config(
            Guard(api, args.token),
            host=args.host,
            port=args.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )

    def on_signal(number: int, frame: Any) -> None:
        presses.append(time.monotonic())
        server.should_exit = True
        if len(presses) == 1:
            print("\nDreamLab closes its page.", flush=True)
        if number == signal.SIGTERM:
            presses.append(-1.0)  # whoever terminates us wants no questions

    thread = threading.Thread(target=server.run, daemon=True)
    server.install_signal_handlers = lambda: None  # type: ignore[method-assign]  # ours are set below, in the main thread
    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.05)
    shown = "127.0.0.1" if args.host in ("0.0.0.0", "::") else args.host
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{args.port}/"
    if server.started:
        print(
            f"DreamLab is at {address}" + ("?token=... (your token, once)" if args.token else ""),
            flush=True,
        )
        if not args.no_browser:
            webbrowser.open(
                address + (f"?token={urllib.parse.quote(args.token)}" if args.token else "")
            )
    while thread.is_alive() and not server.should_exit:
        time.sleep(0.1)
    thread.join(timeout=4)
    farewell(service, args.runs, presses)


def farewell(service: Any, runs: str, presses: list[float]) -> None:
    """Which runs go on and how to stop them. `presses`: times of Ctrl-C so far; -1 where no second
    one is waited for."""
    active = service.active()
    where = "" if runs == "runs" else f" --runs {runs}"
    if active and len(presses) < 2:
        print(
            f"{len(active)} run{'s go' if len(active) > 1 else ' goes'} on without it. To stop and"
            " keep:",
            flush=True,
        )
        for row in active:
            print(f"  python -m dreamlab runs stop {row.id}{where}", flush=True)
        print(
            f"Ctrl-C again within {SECOND_PRESS:.0f} s stops and keeps"
            f" {'them' if len(active) > 1 else 'it'}.",
            flush=True,
        )
        until = time.monotonic() + SECOND_PRESS
        while time.monotonic() < until and len(presses) < 2:
            time.sleep(0.05)
    if active and len(presses) >= 2 and presses[-1] > 0:
        for row in active:
            service.stop(row.id)
            print(f"{row.id} stops and keeps what it has.", flush=True)
    service.close()


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    check_port(args.host, args.port)
    print("DreamLab starts ...", flush=True)
    from dreamlab.service import Refused, Service

    service = Service(Path(args.runs))
    try:
        service.start()
    except Refused as error:
        refuse(str(error))
    serve(web(service), args, service)


if __name__ == "__main__":
    main()
