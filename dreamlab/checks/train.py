"""Whether a generator can be trained as a spec says."""

from __future__ import annotations

from dreamlab.architecture.network import network_of
from dreamlab.checks.checkpoint import check_checkpoint
from dreamlab.checks.known import Known
from dreamlab.checks.machine import check_devices
from dreamlab.checks.network import check_fine_tuning, check_network
from dreamlab.checks.one_class import check_classes
from dreamlab.data import catalog
from dreamlab.data.selection import selected
from dreamlab.settings import SpecError, TrainSpec
from dreamlab.settings.budget import MOST_KEPT, kept_checkpoints
from dreamlab.stats.generator_quality import judge_lacks


def check_train(spec: TrainSpec, known: Known) -> None:
    """Raises SpecError if the data set has too few images, too many checkpoints would be kept, the
    network does not fit the images, the run to start from does not fit, or nothing can be probed;
    DataError if the data set cannot be read."""
    _check_kept(spec, len(selected(spec).pool))
    network = network_of(spec)
    check_network(network)
    if spec.init_from:
        source = known.training(spec.init_from, "init_from", "Fine-tune (--init-from)")
        check_fine_tuning(spec, source.spec, network, network_of(source.spec))
        check_checkpoint(source, "init_from")
    check_devices(spec, known)
    _check_probe(spec)


def _check_kept(spec: TrainSpec, images: int) -> None:
    """Raises SpecError if a training on `images` images would keep too many checkpoints."""
    kept = kept_checkpoints(spec, images)
    if kept > MOST_KEPT:
        raise SpecError(
            f"Snapshot every (--snapshot-epochs): {spec.snapshot_epochs:g} epochs would keep"
            f" {kept:,} checkpoints; at most {MOST_KEPT} may be kept, so give more epochs.",
            "snapshot_epochs",
        )


def _check_probe(spec: TrainSpec) -> None:
    """Raises SpecError if the samples of a training cannot be probed: there is no judge, or they
    are made from other images."""
    if not spec.probe_every:
        return
    check_classes(spec.dataset, "probe_every", "a probe (--probe-every)")
    if lacking := judge_lacks(catalog.info(spec.dataset).test):
        raise SpecError(f"Probe every (--probe-every): {lacking}; use 0.", "probe_every")
    if spec.low_size:
        raise SpecError(
            f"Probe every (--probe-every): {spec.probe_every} cannot be used with a"
            " super-resolution model, whose samples are enlarged images of another; use 0.",
            "probe_every",
        )
