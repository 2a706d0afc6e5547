"""Looks at the source of an import in a process of its own, before a run is created."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from dreamlab.data.importing.opening import is_download
from dreamlab.engine.launcher import environment
from dreamlab.service.refused import Refused
from dreamlab.settings import ImportSpec, Spec
from dreamlab.store import RunStore

PATIENCE = 300.0
"""Seconds after which a look is given up."""


def look(spec: ImportSpec, store: RunStore) -> dict[str, Any] | None:
    """The reading that an import proposes, see `dreamlab.data.importing.proposal.propose`; None for
    a download. Raises Refused if the source cannot be imported."""
    if is_download(spec.source):
        return None
    request = {"spec": spec.model_dump(mode="json"), "runs": str(store.folder)}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "dreamlab.processes.look"],
            input=json.dumps(request),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(),
            timeout=PATIENCE,
            check=False,
        )
        answer = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, IndexError, ValueError):
        raise Refused(
            f"From (--from): {spec.source} could not be looked at: it takes too long, or needs too"
            " much memory; give a smaller part of it.",
            "source",
        ) from None
    if "error" in answer:
        raise Refused(str(answer["error"]), "source")
    found: dict[str, Any] = answer["proposal"]
    return found


class Asked(Refused):
    """An import that stops with a question. `proposal` has the reading, the question and the
    command of each answer."""

    def __init__(self, proposal: dict[str, Any]):
        super().__init__(proposal["questions"][0]["sentence"], "layout")
        self.proposal = proposal


def settled(spec: Spec, store: RunStore) -> dict[str, Any] | None:
    """The proposal of an import, see `look`; None for other runs. Raises Asked if the source leaves
    a question open, and Refused if it cannot be imported."""
    found = look(spec, store) if isinstance(spec, ImportSpec) else None
    if found and found["questions"]:
        raise Asked(found)
    return found


def as_text(found: dict[str, Any]) -> str:
    """A proposal in lines of text."""
    parts = ", ".join(f"{count:,} for {part}" for part, count in found["splits"].items())
    lines = [f"Read by {found['reading']}{': ' if parts else ''}{parts}."]
    lines += [
        f"  {name:<24} {n:,}" for name, n in zip(found["classes"], found["per_class"], strict=True)
    ]
    lines += [f"  left out, {why}: {n:,}" for why, n in found["left_out_counts"].items()]
    sample = found["sample"]
    lines += [
        f"  of {sample['images']:,} images looked at, {n:,} cannot be used: {why}"
        for why, n in sample["unusable"].items()
    ]
    return "\n".join([*lines, *(f"  {note}" for note in found["notes"])])
