"""The verb `neighbours`: the nearest real images of one synthetic image."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dreamlab.cli import demo
from dreamlab.cli.options import DONE, Answer
from dreamlab.data import memory_report
from dreamlab.service import Refused, Service, memory


def add_verb(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Adds `neighbours RUN --image N`."""
    text = (
        "Show the nearest training and the nearest held-out image of a synthetic image, and whether"
        " it is flagged as a near-copy."
    )
    verb = verbs.add_parser(
        "neighbours", parents=[common], help=text, description=text, allow_abbrev=False
    )
    verb.add_argument(
        "run",
        metavar="RUN",
        help="id of a synthetic set or of a fidelity run that measured memory, or a part of it",
    )
    verb.add_argument("--image", required=True, metavar="N", help="number of the image, from 0 on")
    verb.add_argument(
        "--to", default="", metavar="FILE", help="also draw the three images into this PNG file"
    )
    verb.set_defaults(call=demo.allowed(_neighbours))


def _neighbours(service: Service, arguments: argparse.Namespace) -> Answer:
    if not arguments.image.isdecimal():
        raise Refused(
            f"Image (--image): {arguments.image!r} cannot be used; it must be a whole number, 0 for"
            " the first image of the set.",
            "image",
        )
    picture = Path(arguments.to).expanduser() if arguments.to else None
    found = memory.neighbours(service, arguments.run, int(arguments.image), picture)
    if not arguments.json:
        _print(found)
    return {"run": found["set"], "state": "done", "result": found, "error": None}, DONE


def _print(found: dict[str, Any]) -> None:
    of_class = f", class {found['class']}" if found["class"] is not None else ""
    print(f"Image {found['image']} of {found['set']}{of_class}\n")
    line = "{:<24} {:<26} {:<26} {:>7} {:>7}  {}"
    head = ("", "nearest training image", "nearest held-out image", "ratio", "limit", "")
    print(line.format(*head).rstrip())
    for space in found["spaces"]:
        real = [
            f"{near['image']} ({near['class']}), {near['distance']:.3g}"
            for near in (space["training"], space["held_out"])
        ]
        limit = "none" if space["limit"] is None else f"{space['limit']:.3f}"
        words = "flagged" if space["flagged"] else "not flagged"
        name = memory_report.in_words(space["space"])
        print(line.format(name, *real, f"{space['ratio']:.3f}", limit, words))
    print(f"\n{found['note']}")
    if found.get("picture"):
        print(f"Drawn into {found['picture']}.")
