"""The verb `usefulness`: which metric predicts the CAS of sets and the gain of mixes."""

from __future__ import annotations

import argparse
from typing import Any

from dreamlab.cli.options import DONE, Answer
from dreamlab.service import Service, usefulness

LINE = "{:<34} {:>4}  {:>11}  {:<16} {:>7} {:>7}  {}"


def add_verb(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Adds `usefulness --dataset NAME`."""
    text = (
        "Compare every metric of the synthetic sets of a data set with their CAS and with the gain"
        " of mixes that used them: rank correlations, and how many more sets they need."
    )
    verb = verbs.add_parser(
        "usefulness", parents=[common], help=text, description=text, allow_abbrev=False
    )
    verb.add_argument(
        "--dataset",
        default="",
        metavar="NAME",
        help="data set, a name or an import run (default: the one that was measured last)",
    )
    verb.set_defaults(call=_usefulness)


def _usefulness(service: Service, arguments: argparse.Namespace) -> Answer:
    found = usefulness.report(service, arguments.dataset)
    if not arguments.json:
        _print(found)
    return {"run": None, "state": "done", "result": found, "error": None}, DONE


def _print(found: dict[str, Any]) -> None:
    if found["text"]:
        print(found["text"])
        return
    print(f"{found['dataset']}: which metric predicts usefulness? {found['method']}")
    for outcome in found["outcomes"]:
        print(f"\n{outcome['label']}, {outcome['sets']} sets\n")
        head = ("metric", "sets", "correlation", "95 % interval", "p", "Holm", "more sets needed")
        print(LINE.format(*head))
        for m in outcome["metrics"]:
            print(LINE.format(*_cells(m)).rstrip())
        for note in outcome["notes"]:
            print(f"  {note}")


def _cells(m: dict[str, Any]) -> tuple[str, ...]:
    if m["correlation"] is None:
        more = str(m["further"] or "")
        return m["label"], str(m["sets"]), "", "", "", "", more
    more = f"{m['further']:,}" if m["further"] is not None else "over 1,000"
    return (
        m["label"],
        str(m["sets"]),
        f"{m['correlation']:.2f}",
        f"{m['low']:.2f} to {m['high']:.2f}",
        f"{m['p']:.3f}",
        f"{m['p_holm']:.3f}",
        more,
    )
