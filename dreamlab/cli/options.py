"""What all verbs share: one option per setting, exit statuses, and a parser whose errors are one
sentence."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from dreamlab.estimates.machine import EXAMPLE
from dreamlab.service import Refused
from dreamlab.settings import NONE, Setting, exact

DONE, FAILED, REFUSED = 0, 1, 2
AS_IF = f"the estimate for another machine, such as {EXAMPLE}"
Answer = tuple[dict[str, Any], int]
"""The result of a verb: the JSON object and the exit status."""


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises Refused instead of exiting."""

    def error(self, message: str) -> NoReturn:
        """Raises Refused with one sentence."""
        raise Refused(
            f"{message[0].upper()}{message[1:]}. `{self.prog} --help` lists the possible words."
        )


def add_option(verb: argparse._ArgumentGroup, setting: Setting) -> None:
    """Adds the option for a setting. Values stay text; the spec validates them."""
    notes = [
        setting.range,
        "required" if setting.required else f"default: {shown(setting.default)}",
    ]
    text = f"{setting.full_help} ({'; '.join(n for n in notes if n)})".replace("%", "%%")
    if setting.is_positional:
        verb.add_argument(setting.name, metavar=setting.name.upper(), help=text)
    elif setting.type == "bool":
        verb.add_argument(
            setting.flag,
            dest=setting.name,
            action=argparse.BooleanOptionalAction,
            default=argparse.SUPPRESS,
            help=text,
        )
    else:
        metavar = (
            "NAME"
            if setting.choices
            else (
                "RUN"
                if setting.run_kind
                else setting.unit.upper()
                or {"int": "N", "float": "X", "list": "LIST"}.get(setting.type, "TEXT")
            )
        )
        action = "append" if setting.run_kind and setting.type == "list" else "store"
        verb.add_argument(
            setting.flag,
            dest=setting.name,
            action=action,
            default=argparse.SUPPRESS,
            metavar=metavar,
            help=text,
        )


def shown(default: Any) -> str:
    """A default value as help texts show it."""
    return exact(default) if default != "" else NONE
