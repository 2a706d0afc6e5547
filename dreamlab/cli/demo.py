"""The word `demo` instead of a run id: the run of the demo that has the needed kind.

A command that names it unpacks the demo into the runs folder. A dry run or a refused command uses a
temporary folder and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from dreamlab.cli.options import Answer
from dreamlab.service import Refused, Service, demo
from dreamlab.settings import Spec, command, settings_of

NAME = "demo"
STORY = ("mix",)
"""The kind of run that `demo` means in commands that accept any kind."""


def named(cls: type[Spec], values: dict[str, Any]) -> dict[str, str]:
    """Setting -> value, for all settings among `values` that contain `demo`. In the returned value
    it is replaced by the id of a demo run. Raises Refused if the demo has no run of that kind."""
    found = {}
    for k in settings_of(cls):
        runs = [part.strip() for part in str(values.get(k.name, "")).split(",")]
        if k.run_kind and NAME in runs:
            try:
                own = demo.run_id(k.run_kinds)
            except Refused as refusal:
                raise Refused(f"{k.label} ({k.flag}): {refusal}", k.name) from None
            found[k.name] = ",".join(own if run == NAME else run for run in runs)
    return found


def as_given(spec: Spec, named: dict[str, str]) -> str:
    """The command line for this spec, with `demo` instead of the ids in the settings that `named`
    contains."""
    line = command(spec)
    for k in settings_of(type(spec)):
        if k.name in named:
            line = line.replace(demo.run_id(k.run_kinds), NAME)
    return line


def allowed(
    call: Callable[[Service, argparse.Namespace], Answer], unpack: bool = False
) -> Callable[[Service, argparse.Namespace], Answer]:
    """Lets a verb about one run (`arguments.run`) also accept `demo`, which means the mix of the
    demo. `unpack` is for verbs that change the runs folder or print a path in it."""

    def with_demo(service: Service, arguments: argparse.Namespace) -> Answer:
        if arguments.run != NAME:
            return call(service, arguments)
        arguments.run = demo.run_id(STORY)
        if unpack:
            service.install_demo()
        with looking(service) as there:
            return call(there, arguments)

    return with_demo


@contextlib.contextmanager
def looking(service: Service) -> Iterator[Service]:
    """A service for the runs folder with the demo in it. If the demo is not unpacked there, it uses
    a temporary folder."""
    if demo.is_installed(service.store):
        yield service
        return
    with demo.borrowed(service.store) as folder:
        other = Service(folder)
        try:
            yield other
        except Refused as refusal:  # the message must not name the temporary folder
            said = str(refusal).replace(str(folder), str(service.store.folder))
            raise Refused(said, refusal.field) from None
        finally:
            other.close()
