"""Looks at the source of an import in a process of its own, before a run is created."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dreamlab.data.importing.opening import is_download
from dreamlab.engine.launcher import exchange
from dreamlab.service.refused import Refused
from dreamlab.settings import ImportSpec, Spec
from dreamlab.store import RunStore

PATIENCE = 300.0
"""Seconds after which a look is given up."""
KEPT = 16
"""Answers that a Looker remembers."""


def look(
    spec: ImportSpec,
    store: RunStore,
    pictures: bool = False,
    started: Callable[[subprocess.Popen[str]], None] = lambda process: None,
) -> dict[str, Any] | None:
    """The reading that an import proposes, see `dreamlab.data.importing.proposal.propose`; None for
    a download. `started` gets the process that looks. Raises Refused if the source cannot be
    imported."""
    if is_download(spec.source):
        return None
    request = {
        "spec": spec.model_dump(mode="json"),
        "runs": str(store.folder),
        "pictures": pictures,
    }
    answer = exchange("dreamlab.processes.look", request, PATIENCE, started)
    if answer is None:
        raise Refused(
            f"From (--from): {spec.source} could not be looked at: it takes too long, or needs too"
            " much memory; give a smaller part of it.",
            "source",
        )
    if "error" in answer:
        raise Refused(str(answer["error"]), "source")
    found: dict[str, Any] = answer["proposal"]
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    """A look at a source: under way, or done with a proposal or a refusal."""

    done: threading.Event
    found: list[dict[str, Any] | Refused | None]
    """Empty until it is done."""

    @property
    def proposal(self) -> dict[str, Any] | None:
        """What was found; None while the look is under way, and for a download."""
        found = self.found[0] if self.done.is_set() else None
        return found if isinstance(found, dict) else None

    @property
    def refusal(self) -> str:
        """Why the source cannot be imported; empty if it can, or while the look is under way."""
        found = self.found[0] if self.done.is_set() else None
        return str(found) if isinstance(found, Refused) else ""


class Looker:
    """Looks at sources in the background for the pages, one at a time, and remembers the answers.
    `version` increases with every answer."""

    def __init__(self, store: RunStore):
        self._store = store
        self._looks: dict[str, Look] = {}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self.version = 0

    def look(self, spec: ImportSpec) -> Look:
        """The look at a source; a new one is started in the background, and ends an older one that
        is still under way. It is a new one if the file or folder has changed."""
        key = _key(spec)
        with self._lock:
            known = self._looks.get(key)
            if known is None:
                for older in [k for k, each in self._looks.items() if not each.done.is_set()]:
                    del self._looks[older]  # a page that still needs it asks again
                if self._process is not None and self._process.poll() is None:
                    self._process.kill()
                known = Look(threading.Event(), [])
                self._looks = {**dict(list(self._looks.items())[1 - KEPT :]), key: known}
                threading.Thread(target=self._work, args=(spec, known), daemon=True).start()
        return known

    def remembered(self, spec: ImportSpec) -> dict[str, Any] | None:
        """The proposal of an earlier look at a source; None if there is none. It starts nothing."""
        with self._lock:
            known = self._looks.get(_key(spec))
        return known.proposal if known else None

    def _work(self, spec: ImportSpec, asked: Look) -> None:
        found: dict[str, Any] | Refused | None
        try:
            found = look(spec, self._store, True, self._started)
        except Refused as error:
            found = error
        asked.found.append(found)
        asked.done.set()
        self.version += 1

    def _started(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def settled(self, spec: ImportSpec) -> None:
        """Waits for the look at a source. Raises Asked and Refused as `settled` does."""
        asked = self.look(spec)
        while asked.done.wait(PATIENCE + 10) and asked is not (known := self.look(spec)):
            asked = known  # the first one was ended, because another page asked
        found = asked.found[0] if asked.found else None
        if isinstance(found, Refused):
            raise found
        _ask(found)


def _key(spec: ImportSpec) -> str:
    """A look is made again if a setting or the source has changed."""
    try:
        at = Path(spec.source).expanduser().stat()
        stamp = [at.st_size, at.st_mtime_ns, at.st_ino]
    except (OSError, ValueError):
        stamp = []
    return json.dumps([spec.model_dump(mode="json"), stamp])


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
    _ask(found)
    return found


def _ask(found: dict[str, Any] | None) -> None:
    if found and found["questions"]:
        raise Asked(found)


def as_text(found: dict[str, Any]) -> str:
    """A proposal in lines of text."""
    parts = ", ".join(f"{count:,} for {part}" for part, count in found["splits"].items())
    lines = [f"Read by {found['reading']}{': ' if parts else ''}{parts}."]
    lines += [
        f"  {name:<24} {n:,}" for name, n in zip(found["classes"], found["per_class"], strict=True)
    ]
    lines += [f"  {m['from']} becomes {m['to'] or 'left out'}" for m in found["mapping"]]
    lines += [f"  left out, {why}: {n:,}" for why, n in found["left_out_counts"].items()]
    sample = found["sample"]
    lines += [
        f"  of {sample['images']:,} images looked at, {n:,} cannot be used: {why}"
        for why, n in sample["unusable"].items()
    ]
    lines.append(
        f"  {found['image_size']} x {found['image_size']} pixels, {found['bytes'] / 1e6:,.0f} MB"
    )
    return "\n".join([*lines, *(f"  {note}" for note in found["notes"])])
