"""Short names of runs, made from their settings."""

from __future__ import annotations

import re

from dreamlab.settings import ImportSpec, MixSpec, Spec, StudySpec, SynthesizeSpec, TrainSpec


def label(spec: Spec) -> str:
    """A name for a run of this spec, such as `mnist5k 60 s` or `w 1 dpmpp_2m 20`."""
    if isinstance(spec, TrainSpec):
        return _training(spec)
    if isinstance(spec, SynthesizeSpec):
        return f"w {spec.guidance_weight:g} {spec.sampler} {spec.num_steps}"
    if isinstance(spec, MixSpec):
        some = f" {spec.images_per_class} per class" if spec.images_per_class else ""
        return f"{spec.dataset} {len(spec.arms)} arms{some}"
    if isinstance(spec, ImportSpec):
        return f"{spec.role} {re.split(r'[/:]', spec.source.rstrip('/'))[-1]}"
    if isinstance(spec, StudySpec):
        return f"{spec.study} {spec.scale}"
    values = spec.model_dump()
    if spec.kind == "classify":
        return f"{values['arm']} {values['classifier']}"
    return str(values["axis"] if spec.kind == "sweep" else values["extractor"]).replace("_", " ")


def _training(spec: TrainSpec) -> str:
    parts: list[str] = [spec.dataset]
    if spec.preset != "small":
        parts.append(spec.preset)
    if spec.low_size:
        parts.append(
            f"{spec.low_size} to {spec.image_size}" if spec.image_size else f"from {spec.low_size}"
        )
    if spec.images_per_class:
        parts.append(f"{spec.images_per_class} per class")
    if spec.init_from:
        parts.append("fine-tuned")
    budget = (
        f"{spec.steps} steps"
        if spec.steps
        else f"{spec.epochs:g} epochs"
        if spec.epochs
        else f"{spec.seconds:g} s"
    )
    return " ".join([*parts, budget])
