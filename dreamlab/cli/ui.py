"""The verb `ui`, which opens the dashboard."""

from __future__ import annotations

import argparse
import os
from typing import Any

from dreamlab.cli.options import DONE, Answer
from dreamlab.service import Refused, Service

SHORTEST_TOKEN = 8


def add_verb(verbs: Any) -> None:
    """Adds `ui` with its options. It is also the default verb."""
    text = "Open the dashboard in a browser (the default without a verb)."
    verb = verbs.add_parser("ui", help=text, description=text, allow_abbrev=False)
    verb.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1); other machines can only be allowed with a"
        " token",
    )
    verb.add_argument("--port", type=int, default=7860, help="port to listen on (default: 7860)")
    verb.add_argument(
        "--runs", default="runs", metavar="DIR", help="folder of the runs (default: runs)"
    )
    verb.add_argument("--no-browser", action="store_true", help="do not open a browser")
    verb.add_argument(
        "--token",
        default=os.environ.get("DREAMLAB_TOKEN", ""),
        help="secret that every visitor must give once; can also be set in DREAMLAB_TOKEN",
    )
    verb.set_defaults(call=_open, json=False)


def _open(service: Service, arguments: argparse.Namespace) -> Answer:
    # the dashboard must not contact any server; an import that downloads unsets the second variable
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from dreamlab.ui import server  # Gradio takes seconds to import; no other verb needs it

    _check(arguments)
    server.check_port(arguments.host, arguments.port)
    print("DreamLab starts ...", flush=True)
    from dreamlab.ui.routes import web

    service.start()
    service.install_demo()
    address = server.Address(
        arguments.host, arguments.port, arguments.token, not arguments.no_browser
    )
    server.serve(web(service), address, service)
    return {"run": None, "state": "done", "result": None, "error": None}, DONE


def _check(arguments: argparse.Namespace) -> None:
    """Raises Refused if an option cannot be used."""
    from dreamlab.ui.guard import loopback

    host, port, token = arguments.host, arguments.port, arguments.token
    if not loopback(host) and not token:
        raise Refused(
            f"Host (--host): {host} can be reached from other machines; set a token (--token"
            " or DREAMLAB_TOKEN), or use 127.0.0.1.",
            "host",
        )
    if not 0 < port < 65536:
        raise Refused(f"Port (--port): {port} cannot be used; it must be 1 to 65535.", "port")
    if token and len(token) < SHORTEST_TOKEN:
        raise Refused(
            f"Token (--token): it is shorter than {SHORTEST_TOKEN} characters; give a longer one.",
            "token",
        )
