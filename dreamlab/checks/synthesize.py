"""Whether a synthetic set can be sampled: its generator, guide, upsampling stages and
pseudo-labels."""

from __future__ import annotations

from dreamlab.architecture.network import network_of
from dreamlab.checks.checkpoint import check_checkpoint
from dreamlab.checks.known import Known
from dreamlab.checks.sampling import check_cascade, check_guide, check_sampling
from dreamlab.data import catalog
from dreamlab.settings import SpecError, SynthesizeSpec, TrainSpec


def check_synthesize(spec: SynthesizeSpec, known: Known) -> None:
    """Raises SpecError if the generator, the guide, an upsampling stage or the pseudo-labels cannot
    be used as the spec says."""
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
    """Raises SpecError if pseudo-labels are requested for a generator with classes, or only for
    some classes."""
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
            "Classes (--classes): pseudo-labels always cover all classes; leave the list empty.",
            "classes",
        )
