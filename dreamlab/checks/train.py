"""Whether a generator can be trained as a spec says."""

from __future__ import annotations

from dreamlab.architecture.network import network_of
from dreamlab.checks.checkpoint import check_checkpoint
from dreamlab.checks.known import Known
from dreamlab.checks.machine import check_devices
from dreamlab.checks.network import check_fine_tuning, check_network
from dreamlab.data.selection import selected
from dreamlab.settings import TrainSpec


def check_train(spec: TrainSpec, known: Known) -> None:
    """Raises SpecError if the data set has too few images, the network does not fit them, or the
    run to start from does not fit; DataError if the data set cannot be read."""
    selected(spec)
    network = network_of(spec)
    check_network(network)
    if spec.init_from:
        source = known.training(spec.init_from, "init_from", "Fine-tune (--init-from)")
        check_fine_tuning(spec, source.spec, network, network_of(source.spec))
        check_checkpoint(source, "init_from")
    check_devices(spec, known)
