"""Whether a synthetic set can be drawn: the generator, its guide, its upsampling, its labels."""

from __future__ import annotations

from dreamlab.architecture.network import network_of
from dreamlab.checks.checkpoint import check_checkpoint
from dreamlab.checks.known import Known
from dreamlab.checks.sampling import check_cascade, check_guide, check_sampling
from dreamlab.data import catalog
from dreamlab.settings import SpecError, SynthesizeSpec, TrainSpec


def check_synthesize(spec: SynthesizeSpec, known: Known) -> None:
    """Raises SpecError where the generator, its guide, its upsampling stages or its pseudo-labels
    cannot be had as this spec asks."""
    base = known.training(spec.source, "source")
    size = network_of(base.spec).image_size
    check_sampling(spec, base.spec, len(catalog.drawn_classes(base.spec)))
    check_checkpoint(base, "source", spec.checkpoint, "checkpoint")
    if spec.guide:
        guide = known.training(spec.guide, "guide", "Autoguidance by (--guide)")
        check_guide(base.spec, size, guide.spec, network_of(guide.spec).image_size)
        check_checkpoint(guide, "guide", spec.guide_checkpoint, "guide_checkpoint")
    stages = []
    for name in spec.upsample:
        stage = known.training(name, "upsample", "Then upsample by (--upsample)")
        check_checkpoint(stage, "upsample")
        stages.append((stage.name, stage.spec, network_of(stage.spec).image_size))
    check_cascade(spec, base.spec, size, stages)
    check_pseudo_labels(spec, base.spec)


def check_pseudo_labels(spec: SynthesizeSpec, trained: TrainSpec) -> None:
    """Raises SpecError where images shall be labelled by a classifier that have labels already, or
    of some classes only."""
    if spec.labeller == "none":
        return
    if trained.conditional:
        raise SpecError(
            "Pseudo-labels (--labeller): the generator was trained with classes, so its images have"
            " labels already; use none.",
            "labeller",
        )
    if spec.classes:
        raise SpecError(
            "Classes (--classes): with pseudo-labels all classes are filled; leave the list empty.",
            "classes",
        )
