"""What the finished runs say of the usefulness of synthetic sets: the CAS of a set, and which
metric of fidelity predicts CAS and gains."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from dreamlab.checks import Known
from dreamlab.checks.cas import cas_lacking, with_cas_run
from dreamlab.data import catalog
from dreamlab.experiments import cas, usefulness
from dreamlab.experiments.usefulness import Evidence
from dreamlab.experiments.usefulness_words import METHOD, nothing_text
from dreamlab.paths import program
from dreamlab.service.reader import Reader
from dreamlab.service.refused import Refused, refusing
from dreamlab.settings import DATASETS, ClassifySpec, FidelitySpec
from dreamlab.store import Run, RunError
from dreamlab.store.run_files import kind_in

EVIDENCE = ("fidelity", "classify", "mix")
"""The kinds of run that are evidence."""


def cas_of(reader: Reader, run_id: str) -> tuple[list[dict[str, Any]], str]:
    """(rows of the metrics cas and cas_top5, empty text) for the set of a fidelity run, from what
    is finished now. Without a classify run on the set alone: no rows, and a sentence with the
    command that makes one. Raises Refused."""
    with refusing("run"):
        spec = reader.get(run_id).spec
        if not isinstance(spec, FidelitySpec):
            raise Refused(f"{run_id} measured no synthetic set; name a fidelity run.", "run")
        known = Known(reader.store, reader.library.status)
        asked = spec.model_copy(update={"metrics": ("cas",)})
        found = with_cas_run(asked, known)
        assert isinstance(found, FidelitySpec)
        if not found.cas_run:
            return [], cas_lacking(spec, known)
        run = known.get(found.cas_run)
        trained = run.spec
        assert isinstance(trained, ClassifySpec)
        data = catalog.load(trained.dataset, trained.data_dir)
        return cas.rows(run, data.test_labels, data.info.classes), ""


def version(reader: Reader) -> Hashable:
    """A value that changes when a run that is evidence is finished or deleted."""
    return tuple(
        run.id for run in reader.library.all() if kind_in(run.id) in EVIDENCE and _done(reader, run)
    )


def _done(reader: Reader, run: Run) -> bool:
    return reader.library.status(run.id, lazy=True).state == "done"


def report(reader: Reader, dataset: str = "") -> dict[str, Any]:
    """`usefulness.report` of a data set, by default of the one that was measured last, with the
    `method` in a sentence, and `text`: why there is nothing to correlate, or empty. Raises
    Refused."""
    runs = reader.library.runs()

    def done(run: Run) -> bool:
        return _done(reader, run)

    known = usefulness.data_sets(runs, done)
    name = _data_set(reader, dataset, known)
    found = usefulness.report(Evidence(name, runs, done))
    measure = f"{program()} fidelity --images RUN"
    score = f"{program()} classify --dataset {name} --arm synthetic --synthetic RUN"
    text = nothing_text(found, (measure, score))
    return {**found, "method": METHOD, "text": text}


def _data_set(reader: Reader, asked: str, known: list[str]) -> str:
    """The full name of the data set that is asked for. Raises Refused."""
    if not asked:
        if not known:
            raise Refused(
                "Data (--dataset): no synthetic set was measured yet, so no metric can be compared"
                f" with usefulness; `{program()} fidelity --images RUN` measures one.",
                "dataset",
            )
        return known[0]
    if asked in (*DATASETS, *known):
        return asked
    try:
        run = reader.store.get(asked)
    except RunError:
        run = None
    if run is None or run.kind != "import":
        raise Refused(
            f"Data (--dataset): {asked!r} is no data set; it must be one of"
            f" {', '.join(dict.fromkeys([*known, *DATASETS]))}, or an import run.",
            "dataset",
        )
    return run.id
