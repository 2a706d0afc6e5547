"""Measures the work of all studies on this machine, and adds it to the stored measurements, so that
`--dry-run --as-if` can say what a study takes on such a machine.

`python -m tests.make_stored_costs FOLDER...` takes a few seconds for each unit of work. Each FOLDER
(or .npz file) holds a data set; studies whose data set is in none of them are left out, and so is
the part on the CPU where there is a GPU.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from dreamlab.estimates.machine import STORED, here, stored
from dreamlab.estimates.work import Work
from dreamlab.service import Service
from dreamlab.settings import StudySpec, make


def works(service: Service, folders: list[str]) -> dict[str, Work[Any]]:
    """Key -> unit of work of all studies at all scales whose data set is there."""
    found: dict[str, Work[Any]] = {}
    for cost in service.study_costs(folders):
        if cost.estimate is None:
            print(f"{cost.study} {cost.scale}: {cost.reason}", flush=True)
            continue
        for folder in ("", *folders):
            values = {"study": cost.study, "scale": cost.scale, "data_dir": folder}
            try:
                lacking = service.assessed(make(StudySpec, values))[1]
            except ValueError:
                continue
            found |= {work.key: work for work in lacking}
            break
    return found


def main(*folders: str) -> None:
    machine, kept = here(), {name: dict(costs) for name, costs in stored().items()}
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder) / "runs")
        service.store.prepare()
        for work in works(service, list(folders)).values():
            if bool(machine.gpu) != machine.uses_cuda(work.device):
                continue
            service.prober.measure([work], keep=False)
            cost = service.prober.known(work)
            print(work.key, cost, flush=True)
            if cost is not None:
                name = machine.key(work.device).split(", ")[-1]
                kept.setdefault(name, {})[work.key] = dataclasses.asdict(cost)
    STORED.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
