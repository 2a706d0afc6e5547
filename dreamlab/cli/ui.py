"""The verb `ui`, which opens the dashboard."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from dreamlab.cli.options import DONE, Answer
from dreamlab.service import Refused, Service
from dreamlab.service.places import MOST_BYTES, Places

SHORTEST_TOKEN, LARGEST_UPLOAD = 8, 100_000


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
    verb.add_argument(
        "--browse",
        action="append",
        metavar="DIR",
        help="folder that pages may list, to choose files of this machine; can be repeated"
        " (default: the home and the working folder, and none if other machines are allowed)",
    )
    verb.add_argument(
        "--max-upload",
        type=float,
        default=MOST_BYTES / 1e9,
        metavar="GB",
        help="most that browsers may send and that is kept, in GB (default: %(default)g)",
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
    service.places = places(service, arguments)
    service.places.clean()
    address = server.Address(
        arguments.host, arguments.port, arguments.token, not arguments.no_browser
    )
    server.serve(web(service), address, service)
    return {"run": None, "state": "done", "result": None, "error": None}, DONE


def places(service: Service, arguments: argparse.Namespace) -> Places:
    """Where the files of users may be, by the options."""
    from dreamlab.ui.guard import loopback

    usual = [Path.cwd(), Path.home()] if loopback(arguments.host) else []
    allowed = [Path(folder) for folder in arguments.browse or usual]
    return Places(service.library, allowed, int(arguments.max_upload * 1e9))


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
    for folder in arguments.browse or []:
        if not Path(folder).expanduser().is_dir():
            raise Refused(f"Folder (--browse): {folder!r} is not a folder here.", "browse")
    if not 0 <= arguments.max_upload <= LARGEST_UPLOAD:
        raise Refused(
            f"Upload (--max-upload): {arguments.max_upload:g} cannot be used; it must be 0 to"
            f" {LARGEST_UPLOAD:,} GB.",
            "max_upload",
        )
    if token and len(token) < SHORTEST_TOKEN:
        raise Refused(
            f"Token (--token): it is shorter than {SHORTEST_TOKEN} characters; give a longer one.",
            "token",
        )
