"""What all verbs share: one option per spec field, exit statuses, and a parser that says what is wrong in one sentence."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from dreamlab.service import Refused
from dreamlab.spec import Knob

DONE, FAILED, REFUSED = 0, 1, 2
Answer = tuple[dict[str, Any], int]
"""What a verb gives back: the JSON object and the exit status."""


class Parser(argparse.ArgumentParser):
    """argparse that refuses instead of exiting."""

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message[0].upper()}{message[1:]}. `{self.prog} --help` lists what there is.")


def add_option(verb: argparse._ArgumentGroup, knob: Knob) -> None:
    """One option per spec field. Values stay text here: the spec validates them, in one place, with one sentence."""
    notes = [knob.range, "required" if knob.required else f"default: {shown(knob.default)}"]
    text = f"{knob.help} ({'; '.join(n for n in notes if n)})".replace("%", "%%")
    if knob.is_positional:
        verb.add_argument(knob.name, metavar=knob.name.upper(), help=text)
    elif knob.type == "bool":
        verb.add_argument(
            knob.flag, dest=knob.name, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
        )
    else:
        metavar = (
            "NAME"
            if knob.choices
            else "RUN"
            if knob.run_kind
            else knob.unit.upper() or {"int": "N", "float": "X", "list": "LIST"}.get(knob.type, "TEXT")
        )
        action = "append" if knob.run_kind and knob.type == "list" else "store"
        verb.add_argument(
            knob.flag, dest=knob.name, action=action, default=argparse.SUPPRESS, metavar=metavar, help=text
        )


def shown(default: Any) -> str:
    """A value as a person reads it on a terminal."""
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or "none"
    return str(default) if default != "" else "none"
