"""What is known of a trained generator without torch: its spec, its checkpoints, and whether others
can be built on it."""

from __future__ import annotations

from typing import Any

from dreamlab.architecture.cost import parameter_count
from dreamlab.architecture.network import network_of
from dreamlab.checks.network import check_fine_tuning, check_network
from dreamlab.checks.sampling import check_cascade, check_guide, check_sampling
from dreamlab.data import catalog
from dreamlab.experiments.children import train_run
from dreamlab.settings import SpecError, SynthesizeSpec, TrainSpec
from dreamlab.settings.train import INHERITED
from dreamlab.store import Run, RunStore, checkpoints


def check_checkpoint(
    run: Run, spec: TrainSpec, field: str, checkpoint: str = "", checkpoint_field: str = ""
) -> None:
    """Raises SpecError where the file that is needed is absent, cut off, foreign, or of another
    network. A run that has written none yet is left to wait."""
    path = checkpoints.path_of(run.path, checkpoint)
    if checkpoint and not path.exists():
        names = checkpoints.kept(run.path)
        there = (
            f"it has {', '.join(names)}"
            if names
            else "it has kept none (leave the field empty for its last one)"
        )
        option = checkpoint_field.replace("_", "-")
        raise SpecError(
            f"{option.replace('-', ' ').capitalize()} (--{option}): {run.id} has no {checkpoint};"
            f" {there}.",
            checkpoint_field,
        )
    if not path.exists():
        return
    try:
        header = checkpoints.read_header(path)
    except checkpoints.CheckpointError as error:
        raise SpecError(f"{error} Resume the run {run.id} or train it anew.", field) from None
    if header.metadata.get("format") != checkpoints.FORMAT:
        raise SpecError(
            f"{run.id}: {path.name} is not a generator of DreamLab (its format is"
            f" {header.metadata.get('format', 'not named')}); choose a run that was trained here.",
            field,
        )
    wanted = parameter_count(network_of(spec))
    if header.numbers != wanted:
        raise SpecError(
            f"{run.id}: {path.name} holds {header.numbers:,} numbers, the network of this run has"
            f" {wanted:,}; it belongs to another network, train it anew.",
            field,
        )


def check_synthesize(spec: SynthesizeSpec, store: RunStore) -> None:
    """Raises SpecError where the generator, its guide or its upsampling stages cannot be sampled as
    this spec asks."""
    run, base = train_run(store, spec.source, "source")
    check_sampling(spec, base, len(catalog.drawn_classes(base)))
    check_checkpoint(run, base, "source", spec.checkpoint, "checkpoint")
    if spec.guide:
        guide_run, guide = train_run(store, spec.guide, "guide", "Autoguidance by (--guide)")
        check_guide(base, network_of(base).image_size, guide, network_of(guide).image_size)
        check_checkpoint(guide_run, guide, "guide", spec.guide_checkpoint, "guide_checkpoint")
    stages = []
    for name in spec.upsample:
        stage_run, stage = train_run(store, name, "upsample", "Then upsample by (--upsample)")
        check_checkpoint(stage_run, stage, "upsample")
        stages.append((stage_run.id, stage, network_of(stage).image_size))
    check_cascade(spec, base, network_of(base).image_size, stages)


def check_train(spec: TrainSpec, store: RunStore) -> None:
    """Raises SpecError where the network does not fit the images, or the run to start from does not
    fit the spec."""
    check_network(network_of(spec))
    if spec.init_from:
        run, source = train_run(store, spec.init_from, "init_from", "Fine-tune (--init-from)")
        check_fine_tuning(spec, source, network_of(spec), network_of(source))
        check_checkpoint(run, source, "init_from")


def inherited(store: RunStore, values: dict[str, Any]) -> dict[str, Any]:
    """Loose values of a training with what it takes over from the run it starts from; given ones
    stay as they are."""
    name = values.get("init_from")
    if not isinstance(name, str) or not name:
        return values
    source = store.get(name).spec
    if not isinstance(source, TrainSpec):
        return values
    return {**{field: getattr(source, field) for field in INHERITED}, **values}
