"""`python -m dreamlab.processes.look`: looks at the source of an import without importing it.

Files of users are opened here, and not in the dashboard: the process has limits on time and memory,
and no torch. Reads one JSON object from stdin: `spec` of an import, the folder `runs`, and whether
`pictures` are wanted. Writes one to stdout: `proposal`
(`dreamlab.data.importing.proposal.propose`), or `error`.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from dreamlab.data import catalog
from dreamlab.data.imageset import DataError
from dreamlab.data.importing.proposal import propose
from dreamlab.processes.parent import end_with_parent
from dreamlab.settings import ImportSpec, make

SECONDS, MEMORY = 120, 4 * 2**30
"""Most seconds of CPU, and most bytes of memory without mapped files."""


def main() -> int:
    """Answers one request. The exit status is 0 even if the answer is an error."""
    end_with_parent()
    os.nice(10)  # the dashboard has priority
    for what, most in ((resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_DATA, MEMORY)):
        with contextlib.suppress(OSError, ValueError):  # a lower limit holds already
            resource.setrlimit(what, (most, most))
    request = json.load(sys.stdin)
    output = os.dup(1)
    os.dup2(2, 1)  # output of libraries goes to stderr
    answer: dict[str, Any]
    try:
        catalog.add_runs_folder(Path(request["runs"]))
        spec = make(ImportSpec, request["spec"])
        answer = {"proposal": propose(spec, pictures=bool(request.get("pictures")))}
    except (DataError, MemoryError) as error:
        answer = {"error": str(error) or "The source needs too much memory to be looked at."}
    os.write(output, json.dumps(answer).encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
