"""How large the previews and the probes of a training are."""

from __future__ import annotations

from dreamlab.architecture.cost import multiply_adds
from dreamlab.architecture.network import Network

PREVIEW_COLUMNS, FEWEST_COLUMNS, PREVIEW_STEPS, PREVIEW_SHARE = 16, 2, 5, 0.1
"""Of a preview: most and fewest images per class, number of sampler steps, and the largest share of
the training time that all previews together may take."""
PROBE_STEPS, PROBE_REFERENCE = 10, 2000
"""Of a probe: number of sampler steps, and most held-out real images that it compares with; of a
larger test split, the same share of every class."""
PREVIEW_WORK = 3e11
"""Most multiply-adds of a preview on a CPU (some seconds). A large network gets fewer columns."""


def preview_columns(network: Network, on_cpu: bool) -> int:
    """Number of images per class in the previews of a training."""
    each = multiply_adds(network) * PREVIEW_STEPS * (network.classes or 1)
    return (
        int(min(PREVIEW_COLUMNS, max(FEWEST_COLUMNS, PREVIEW_WORK // each)))
        if on_cpu
        else PREVIEW_COLUMNS
    )
