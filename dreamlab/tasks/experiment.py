"""The final task of an experiment: combines the results of its children. Torch is imported only for
sets that still have to be judged."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from dreamlab.data import imageset
from dreamlab.experiments import quality, report
from dreamlab.experiments.children import Children
from dreamlab.experiments.mix.plan import keys
from dreamlab.experiments.mix.quality import set_ids
from dreamlab.experiments.study import quality as study_quality
from dreamlab.experiments.study.plan import chosen
from dreamlab.experiments.study.results import StudyResults
from dreamlab.settings import MixSpec, SpecError, StudySpec
from dreamlab.store import RunError, read_json, write_json
from dreamlab.tasks.context import TaskContext, TaskError


def mix(ctx: TaskContext) -> Iterator[dict[str, Any]]:
    """Yields the result of a mix, after judging the sets that were not judged when they were made.
    Raises TaskError if a child is missing or has no result."""
    spec, roles = cast(MixSpec, ctx.spec), ctx.run.record.roles
    sets = [run_id for key in keys(spec) for run_id in set_ids(spec, key, roles)]
    yield from _judge_sets(ctx, sets, spec.dataset, spec.data_dir)
    yield _result(ctx, lambda values: values["verdict"] is not None)


def sweep(ctx: TaskContext) -> Iterator[dict[str, Any]]:
    """Yields the result of a sweep. Raises TaskError if a child is missing or has no result."""
    yield _result(ctx, lambda values: values["best"] is not None)


def study(ctx: TaskContext) -> Iterator[dict[str, Any]]:
    """Yields the result of a study, after judging the sets of its verdict. Raises TaskError if a
    child is missing or has no result."""
    spec = cast(StudySpec, ctx.spec)
    try:
        work = StudyResults(Children(ctx.run, ctx.store, None), spec)
        made = study_quality.sets(chosen(spec)[1], work)
    except (RunError, SpecError) as error:
        raise TaskError(str(error)) from None
    sets = [run.id for runs in made.values() for run in runs]
    yield from _judge_sets(ctx, sets, work.dataset, spec.data_dir)
    yield _result(ctx, lambda values: values["complete"])


def _judge_sets(
    ctx: TaskContext, sets: Iterable[str], dataset: str, data_dir: str
) -> Iterator[dict[str, Any]]:
    """Measures how many images a classifier recognises of the sets, by their ids, whose results do
    not say it for these images: imported sets, and sets that were not made for a mix on the same
    images. A set that cannot be read is left out. Yields progress; raises Stopped."""
    found = {}
    for run_id in sets:
        if quality.recognition(run_id, ctx.run, ctx.store) is not None:
            continue
        try:
            made = ctx.store.get(run_id)
            images, labels = imageset.load(ctx.store.folder / run_id)
        except (RunError, OSError, ValueError):
            continue
        judge = importlib.import_module("dreamlab.tasks.fidelity.recognition")
        found[run_id] = yield from judge.recognised(ctx, made, dataset, data_dir, images, labels)
    if found:
        file = ctx.run.path / quality.FILE
        before = read_json(file)
        write_json(file, {**(before if isinstance(before, dict) else {}), **found})


def _result(ctx: TaskContext, complete: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    try:
        values = report(ctx.run, ctx.store)
    except (RunError, SpecError) as error:
        raise TaskError(str(error)) from None
    if not complete(values):
        said = next((note for note in values.get("notes", []) if note.startswith("No verdict")), "")
        raise TaskError(
            said
            or "Not all parts of this run have a result: resume those that failed or were stopped,"
            " then this one."
        )
    return {"type": "result", "values": values}
