"""When a generator can be guided, and by how much."""

from __future__ import annotations

from dreamlab.settings.synthesize import SynthesizeSpec
from dreamlab.settings.train import TrainSpec


def can_be_guided(trained: TrainSpec) -> bool:
    """Whether a generator has both models that classifier-free guidance needs: with and without the
    label."""
    return trained.conditional and trained.label_dropout > 0


def guidance_weight(spec: SynthesizeSpec, trained: TrainSpec, stage: int = 0) -> float:
    """The weight w with which stage k of a sampling is guided: 0 where it has nothing to be guided
    by. A guiding run is for stage 0, the base model, alone."""
    by_guide = stage == 0 and bool(spec.guide)
    return spec.guidance_weight if by_guide or can_be_guided(trained) else 0.0
