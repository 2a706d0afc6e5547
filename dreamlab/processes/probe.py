"""`python -m dreamlab.processes.probe`: measures units of work on this machine, to estimate the
cost of a run.

Reads one JSON object from stdin: `works`, each with its `kind` and what it depends on (see
`dreamlab.estimates.work`), and the folder `runs`. Writes a list to stdout: for each work the fields
of its cost, or `error`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from dreamlab.data import catalog
from dreamlab.processes.errors import explain
from dreamlab.processes.parent import end_with_parent
from dreamlab.store.machine import can_fork

GIVE_WAY = 10
"""Niceness of the process."""


def answered(request: dict[str, Any], runs: Path) -> dict[str, Any]:
    """The cost of one unit of work, or {"error"}."""
    from dreamlab.tasks import measuring

    try:
        return measuring.cost(request)
    except Exception as error:
        return {"error": explain(error, runs)}


def apart(request: dict[str, Any], runs: Path) -> dict[str, Any]:
    """Like `answered`, in a process of its own, so that its memory is that of this work alone.
    Where forking is not safe, in this process."""
    if not can_fork():
        return answered(request, runs)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with os.fdopen(write, "w") as pipe:
            json.dump(answered(request, runs), pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    answer: dict[str, Any] = json.loads(said) if said else {"error": "the process has ended"}
    return answer


def give_way() -> None:
    """Lets other processes have the cores first, as the dashboard. Linux may share them among
    sessions before it looks at the niceness of a process; the session then gets it as well."""
    os.nice(GIVE_WAY)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(GIVE_WAY))


def main() -> int:
    """Answers one request. The exit status is 0 even if the answer holds errors."""
    end_with_parent()
    give_way()
    request = json.load(sys.stdin)
    output = os.dup(1)
    os.dup2(2, 1)  # output of libraries goes to stderr
    runs = Path(request["runs"])
    catalog.add_runs_folder(runs)
    import dreamlab.tasks.measuring  # noqa: F401  torch is imported once, before the forks

    answers = [apart(work, runs) for work in request["works"]]
    os.write(output, json.dumps(answers).encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
