"""The runs that a study consists of at one scale."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from dreamlab import studies
from dreamlab.data import catalog, described, mixing
from dreamlab.data.named import Info
from dreamlab.data.selection import arm_counts
from dreamlab.experiments.children import Child
from dreamlab.experiments.study.columns import assigned, repeated
from dreamlab.experiments.study.given_set import parts_of
from dreamlab.settings import ClassifySpec, Spec, SpecError, StudySpec, make
from dreamlab.studies.model import NEEDED, Scale, Study, StudyPart

DISTANCES = ("fd", "kid")
"""What a study measures of a set, unless its part names more."""


def chosen(spec: StudySpec) -> tuple[Study, Scale]:
    """The study and the scale that a spec names; if it names several data sets, with the parts and
    rows of each. Raises SpecError if the study does not have this scale, or not on these data
    sets."""
    study = studies.load(spec.study)
    if spec.scale not in study.scales:
        raise SpecError(
            f"Scale (--scale): {spec.study} has no {spec.scale} scale; it has"
            f" {', '.join(study.scales)}.",
            "scale",
        )
    scale = study.scales[spec.scale]
    named = _named(spec, scale)
    if len(named) > 1:
        scale = repeated(scale, study.cells, assigned(spec, scale, named))
    return study, scale


def _named(spec: StudySpec, scale: Scale) -> tuple[str, ...]:
    """The data sets that the user named; for none, those that the scale is meant for where they are
    described now."""
    if spec.dataset or scale.dataset:
        return spec.dataset
    return tuple(s.name for s in scale.described if described.find(s.name))


def described_for(spec: Spec) -> dict[str, Info]:
    """Name -> description of data sets that are not here, for an estimate: of those with a name,
    and of those that a study is meant for."""
    found = {}
    if isinstance(spec, StudySpec) and spec.scale in studies.load(spec.study).scales:
        for known in studies.load(spec.study).scales[spec.scale].described:
            found[known.name] = described.described(**dataclasses.asdict(known), channels=3)
    for name, info in catalog.INFO.items():
        try:
            catalog.check_available(name, getattr(spec, "data_dir", ""))
        except catalog.DataError:
            found[name] = info
    return found


def datasets_of(spec: StudySpec) -> tuple[str, ...]:
    """The data sets that a study uses, at least one. Raises SpecError if the scale has none and the
    user has to name one."""
    _, scale = chosen(spec)
    named = _named(spec, scale)
    if not (named or scale.dataset):
        raise SpecError(
            f"Data (--dataset): {spec.study} at the {spec.scale} scale has none. {scale.data}",
            "dataset",
        )
    return named or (scale.dataset,)


def plan(spec: StudySpec) -> list[Child]:
    """The parts of the scale as children, each after those that it needs. Raises SpecError."""
    _, scale = chosen(spec)
    compared = scale.comparisons or any(m.minus for m in scale.measures)
    if spec.seeds == 1 and compared:
        raise SpecError(
            "Seeds (--seeds): 1 cannot be used; this study compares classifiers, which needs at"
            " least 2, better 5.",
            "seeds",
        )
    parts, dataset = parts_of(spec, scale), datasets_of(spec)[0]
    if spec.extractor != "classifier" and not any(part.kind == "fidelity" for part in parts):
        raise SpecError(
            f"Extractor (--extractor): {spec.extractor} cannot be used; {spec.study} at the"
            f" {spec.scale} scale measures no distances.",
            "extractor",
        )
    values = {part.role: _values(part, spec, dataset) for part in parts}
    for part in parts:
        if part.values.get("per_class") == NEEDED:
            values[part.role] |= _needed(part.role, parts, values)
    return [Child(part.role, part.kind, values[part.role]) for part in parts]


def _values(part: StudyPart, spec: StudySpec, dataset: str) -> dict[str, Any]:
    """The settings of a part, with the data set, seeds and device that the user gave. `dataset` is
    for parts that are not of one of several."""
    values = {**part.values, "device": spec.device}
    if part.kind in ("train", "classify"):
        values = {"dataset": dataset, **values, "data_dir": spec.data_dir}
    if part.kind == "fidelity":
        values.setdefault("metrics", DISTANCES)
        if spec.extractor != "classifier":
            values |= {"extractor": spec.extractor, "inception_weights": spec.inception_weights}
    if part.kind == "classify" and spec.seeds:
        values["seeds"] = spec.seeds
    return values


def _needed(
    role: str, parts: Iterable[StudyPart], values: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The settings `per_class` and, unless all classes are needed, `classes` of a synthetic set
    that is large enough for all arms that use it."""
    most: list[int] = []
    for part in parts:
        if part.kind == "classify" and part.values.get("synthetic") == f"@{role}":
            classify = make(ClassifySpec, dict(values[part.role]))
            held = [c.synthetic for c in _counts(classify)]
            most = [max(pair) for pair in zip(most or held, held, strict=True)]
    if not any(most):
        raise SpecError(f"No classifier of this study uses the images of its part {role}.", "study")
    classes = tuple(c for c, n in enumerate(most) if n)
    return {"per_class": max(most), **({"classes": classes} if len(classes) < len(most) else {})}


def _counts(classify: ClassifySpec) -> list[mixing.Counts]:
    try:
        return arm_counts(classify.arm, classify)
    except SpecError:
        raise
    except ValueError as error:
        raise SpecError(
            f"Data (--dataset): {classify.dataset} does not suit this study: {error}.", "dataset"
        ) from None
