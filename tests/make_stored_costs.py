"""Measures the work of all studies on this machine, and adds it to the stored measurements, so that
`--dry-run --as-if` can say what a study takes on such a machine.

`python -m tests.make_stored_costs MINUTES` takes a few seconds for each unit of work that is not
stored yet, and stops after so many minutes, by default 60. The data sets need not be there. Where
there is a GPU, the part on the CPU is left out.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dreamlab import studies
from dreamlab.data import described
from dreamlab.estimates.machine import STORED, Machine, here, stored
from dreamlab.estimates.work import Work
from dreamlab.experiments.study.plan import described_for
from dreamlab.service import Service
from dreamlab.settings import StudySpec, make

ORDER = ("train", "features", "classify", "search")
AT_ONCE = 8
"""Units of work that one process measures, which takes some seconds to start."""


def works(service: Service) -> dict[str, Work[Any]]:
    """Key -> unit of work of all studies at all scales."""
    found: dict[str, Work[Any]] = {}
    for name in studies.names():
        for scale in studies.load(name).scales:
            spec = make(StudySpec, {"study": name, "scale": scale})
            with described.using(described_for(spec)):
                found |= {work.key: work for work in service.assessed(spec)[1]}
    return found


def main(minutes: float = 60.0) -> None:
    ends, machine = time.monotonic() + 60 * minutes, here()
    kept = {name: dict(costs) for name, costs in stored().items()}
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder) / "runs")
        service.store.prepare()
        wanted = [
            work
            for work in sorted(works(service).values(), key=lambda w: ORDER.index(w.kind))
            if bool(machine.gpu) == machine.uses_cuda(work.device)
            and work.key not in kept.get(_name(machine, work), {})
        ]
        while wanted and time.monotonic() < ends:
            now, wanted = wanted[:AT_ONCE], wanted[AT_ONCE:]
            service.prober.measure(now, keep=False)
            for work in now:
                cost = service.prober.known(work)
                print(work.key, cost, flush=True)
                if cost is not None:
                    kept.setdefault(_name(machine, work), {})[work.key] = dataclasses.asdict(cost)
            STORED.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
        print(f"{len(wanted)} are left." if wanted else "All are measured.", flush=True)


def _name(machine: Machine, work: Work[Any]) -> str:
    """Under what the work is stored."""
    return machine.key(work.device).split(", ")[-1]


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
