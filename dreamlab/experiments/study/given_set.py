"""A synthetic set of the user's own in a study, in place of the images of one of its generators."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from dreamlab import studies
from dreamlab.settings import ImportSpec, SpecError, StudySpec
from dreamlab.store import RunError, RunStore
from dreamlab.studies.model import Scale, StudyPart


def parts_of(spec: StudySpec, scale: Scale) -> tuple[StudyPart, ...]:
    """The parts of a scale that are run. With a set of the user's own (`spec.synthetic`), the part
    that it replaces is left out, and so is a generator that only this part needs; the others use
    the set. Raises SpecError if the scale names no part that a set may replace."""
    if not spec.synthetic:
        return scale.parts
    if not scale.synthetic:
        raise SpecError(_refusal(spec), "synthetic")
    replaced = next(part for part in scale.parts if part.role == scale.synthetic)
    kept = [part for part in scale.parts if part is not replaced]
    source = replaced.values["source"]
    if not any(source in part.values.values() for part in kept):
        kept = [part for part in kept if f"@{part.role}" != source]
    old = f"@{replaced.role}"
    return tuple(
        dataclasses.replace(
            part, values={k: spec.synthetic if v == old else v for k, v in part.values.items()}
        )
        for part in kept
    )


def _refusal(spec: StudySpec) -> str:
    """Why a scale takes no set, and where one can be used."""
    taking = [
        f"{name} ({', '.join(scales)})"
        for name in studies.names()
        if (scales := [s.name for s in studies.load(name).scales.values() if s.synthetic])
    ]
    return (
        f"Synthetic set (--synthetic): {spec.synthetic!r} cannot be used; {spec.study} at the"
        f" {spec.scale} scale says of no part that another set may replace it; these do:"
        f" {', '.join(taking)}."
    )


def assumptions_of(spec: StudySpec, scale: Scale) -> list[str]:
    """The assumptions of a scale; with a set of the user's own, without those on the generator that
    it replaces."""
    return [a for a in scale.assumptions if not (spec.synthetic and a in scale.of_generator)]


def said_of(spec: StudySpec, store: RunStore) -> list[str]:
    """Which images are used in place of those of the study's generator, and what is known of them,
    in a sentence; none without such a set."""
    if not spec.synthetic:
        return []
    name = _name(spec, store)
    known = "what its generator was trained on is not known"
    if _sampled_here(spec.synthetic, store):
        known = "they were sampled here"
    return [
        f"The synthetic images are those of {name} ({spec.synthetic}), in place of the images of"
        f" the study's generator; {known}."
    ]


def mark(
    rows: Sequence[dict[str, Any]], children: Mapping[str, str], spec: StudySpec, store: RunStore
) -> None:
    """Sets `stand_in` of the rows that the images of the set are behind, in place. `children`:
    role -> run."""
    if not spec.synthetic:
        return
    scale = studies.load(spec.study).scales[spec.scale]
    using = {
        children.get(part.role)
        for part in parts_of(spec, scale)
        if part.values.get("synthetic") == spec.synthetic
    }
    for row in rows:
        if row["child"] and row["child"] in using:
            row["stand_in"] = f"images of {_name(spec, store)}"


def _name(spec: StudySpec, store: RunStore) -> str:
    try:
        return store.get(spec.synthetic).record.name
    except (RunError, SpecError):
        return f"{spec.synthetic} (deleted)"


def _sampled_here(run_id: str, store: RunStore) -> bool:
    """Whether a set was sampled by a run; not if the run is gone."""
    try:
        return not isinstance(store.get(run_id).spec, ImportSpec)
    except (RunError, SpecError):
        return False
