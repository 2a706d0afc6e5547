"""Whether a needed checkpoint exists, is complete, and belongs to the expected network."""

from __future__ import annotations

from dreamlab.architecture.cost import parameter_count
from dreamlab.architecture.network import network_of
from dreamlab.checks.known import Training
from dreamlab.settings import SpecError
from dreamlab.settings.synthesize import RAW
from dreamlab.store import Run, checkpoints


def check_checkpoint(
    training: Training, field: str, checkpoint: str = "", checkpoint_field: str = ""
) -> None:
    """Raises SpecError if the checkpoint is missing, incomplete, not from DreamLab or of another
    network. Nothing is checked for a run that has no checkpoint yet or is still to be created,
    because the new run waits for it."""
    run = training.run
    if run is None:
        return
    path = checkpoints.path_of(run.path, checkpoint)
    if checkpoint == RAW:
        _check_raw(run, checkpoint_field)
        return
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
        raise SpecError(f"{error} Resume the run {run.id} or train it again.", field) from None
    form = header.metadata.get("format", "not named")
    if form != checkpoints.FORMAT:
        raise SpecError(
            f"{run.id}: {path.name} is not a generator of DreamLab (its format is {form}); choose"
            " a run that was trained here.",
            field,
        )
    wanted = parameter_count(network_of(training.spec))
    if header.numbers != wanted:
        raise SpecError(
            f"{run.id}: {path.name} holds {header.numbers:,} numbers, but the network of this run"
            f" has {wanted:,}; it belongs to another network, train it again.",
            field,
        )


def _check_raw(run: Run, field: str) -> None:
    """Raises SpecError if a run that has averaged weights has no complete raw ones."""
    path = run.path / checkpoints.STATE
    option = field.replace("_", "-")
    where = f"{option.replace('-', ' ').capitalize()} (--{option}):"
    if not path.exists():
        if not checkpoints.path_of(run.path).exists():
            return
        raise SpecError(f"{where} {checkpoints.no_raw_weights(run.id)}", field)
    try:
        checkpoints.read_header(path)
    except checkpoints.CheckpointError as error:
        raise SpecError(
            f"{where} {error} Resume the run {run.id} or train it again.", field
        ) from None
