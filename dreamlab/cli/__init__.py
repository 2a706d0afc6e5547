"""The command line: one verb per kind of run with an option per setting, `runs` to manage runs,
`export`, `neighbours`, `usefulness`, `studies`, and `ui`, which opens the dashboard and is the
default.

Exit status 0: done; 1: failed or stopped; 2: refused before any model was trained. With
--json the last line on stdout is one JSON object with at least run, state, result and error.
Everything else goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from dreamlab import __version__
from dreamlab.cli import export, neighbours, runs, submit, ui, usefulness
from dreamlab.cli.options import FAILED, REFUSED, Parser
from dreamlab.paths import program
from dreamlab.service import NoEngine, Refused, Service
from dreamlab.service.looking import Asked
from dreamlab.settings import KINDS

ABOUT = ("-h", "--help", "--version")
"""Options of the command itself. If the first word is any other option, it belongs to `ui`."""


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0].startswith("-") and words[0] not in ABOUT):
        words = ["ui", *words]
    as_json = "--json" in words
    service: Service | None = None
    answer: dict[str, Any]
    status: int
    try:
        arguments = parser().parse_args(words)
        service = Service(arguments.runs)
        answer, status = arguments.call(service, arguments)
    except Refused as refusal:
        state, status = (
            ("failed", FAILED) if isinstance(refusal, NoEngine) else ("refused", REFUSED)
        )
        answer = {"run": None, "state": state, "result": None, "error": str(refusal)}
        if isinstance(refusal, Asked):
            answer["proposal"] = refusal.proposal
    except BrokenPipeError:
        return FAILED
    finally:
        if service is not None:
            service.close()
    if as_json:
        print(json.dumps(answer), flush=True)
    elif answer.get("error"):
        print(answer["error"], file=sys.stderr)
    return status


def parser() -> argparse.ArgumentParser:
    """The whole command line. What it parses has the `verb`, the settings that were given, and
    `call`, a function of (service, arguments) that returns (answer, exit status). Raises Refused on
    words that it does not know."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--runs", default="runs", metavar="DIR", help="folder of the runs (default: runs)"
    )
    common.add_argument(
        "--json",
        action="store_true",
        help="end with one JSON object on stdout; the rest goes to stderr",
    )
    made = Parser(
        prog=program(), description="Does synthetic data from a diffusion model help my classifier?"
    )
    made.add_argument("--version", action="version", version=f"DreamLab {__version__}")
    verbs = made.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)
    for kind, cls in KINDS.items():
        submit.add_verb(verbs, common, kind, cls)
    export.add_verbs(verbs, common)
    neighbours.add_verb(verbs, common)
    usefulness.add_verb(verbs, common)
    runs.add_verbs(verbs, common)
    ui.add_verb(verbs)
    return made
