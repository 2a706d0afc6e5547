"""Specs as command lines, and the settings in which specs differ."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from dreamlab.paths import program
from dreamlab.settings.base import Spec
from dreamlab.settings.setting import exact, settings_of


def command(spec: Spec) -> str:
    """The command line that makes the same run. It names only settings that differ from the
    defaults, or from the preset or recipe."""
    parts, baseline = [f"{program()} {spec.kind}"], spec.baseline()
    for k in settings_of(type(spec)):
        value = getattr(spec, k.name)
        if not k.required and value == (k.default if k.name == "preset" else baseline[k.name]):
            continue
        if k.is_positional:
            parts.append(shlex.quote(value))
        elif k.type == "bool":
            parts.append(k.flag if value else k.flag.replace("--", "--no-", 1))
        else:
            parts.append(f"{k.flag} {shlex.quote(exact(value))}")
    return " ".join(parts)


def differences(specs: Iterable[Spec]) -> list[tuple[str, list[Any]]]:
    """The settings in which the specs differ: (label, one value per spec). A value is None for a
    spec that has no such setting."""
    rows: dict[str, list[Any]] = {}
    listed = list(specs)
    for i, spec in enumerate(listed):
        for k in settings_of(type(spec)):
            rows.setdefault(k.label, [None] * len(listed))[i] = getattr(spec, k.name)
    return [
        (label, values) for label, values in rows.items() if any(v != values[0] for v in values)
    ]
