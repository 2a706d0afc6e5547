"""The command line: a verb per kind of run, made from the spec fields, and `runs` to look after
what is there.

Exit status 0: done; 1: failed or stopped; 2: refused, nothing started. With --json the last line on
stdout is one JSON object with at least run, state, result and error; everything else goes to
stderr.
"""

from __future__ import annotations

import argparse
import json
import sys

from dreamlab import __version__
from dreamlab.cli import export, runs, submit
from dreamlab.cli.options import FAILED, REFUSED, Parser
from dreamlab.service import Refused, Service
from dreamlab.settings import KINDS


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    words = sys.argv[1:] if argv is None else argv
    as_json = "--json" in words
    service: Service | None = None
    try:
        arguments = _parser().parse_args(words)
        service = Service(arguments.runs)
        answer, status = arguments.call(service, arguments)
    except Refused as refusal:
        answer, status = (
            {"run": None, "state": "refused", "result": None, "error": str(refusal)},
            REFUSED,
        )
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


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--runs", default="runs", metavar="DIR", help="folder of the runs (default: runs)"
    )
    common.add_argument(
        "--json",
        action="store_true",
        help="end with one JSON object on stdout; the rest goes to stderr",
    )
    parser = Parser(
        prog="python -m dreamlab",
        description="Does synthetic data from a diffusion model help my classifier?",
    )
    parser.add_argument("--version", action="version", version=f"DreamLab {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)
    for kind, cls in KINDS.items():
        submit.add_verb(verbs, common, kind, cls)
    export.add_verbs(verbs, common)
    runs.add_verbs(verbs, common)
    return parser
