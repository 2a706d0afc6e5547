"""Whether a generator can be guided, and the weight that applies."""

from __future__ import annotations

from dreamlab.settings.synthesize import SynthesizeSpec
from dreamlab.settings.train import TrainSpec


def can_be_guided(trained: TrainSpec) -> bool:
    """Whether a generator learned to predict with and without a label, which classifier-free
    guidance needs."""
    return trained.conditional and trained.label_dropout > 0


def guidance_weight(spec: SynthesizeSpec, trained: TrainSpec, stage: int = 0) -> float:
    """The weight w of stage `stage` of a cascade (0: the base model); 0 if that model cannot be
    guided. A guide of its own (`spec.guide`) is used in stage 0 only."""
    by_guide = stage == 0 and bool(spec.guide)
    return spec.guidance_weight if by_guide or can_be_guided(trained) else 0.0
