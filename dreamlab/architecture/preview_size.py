"""How many images the previews of a training show."""

from __future__ import annotations

from dreamlab.architecture.cost import multiply_adds
from dreamlab.architecture.network import Network

PREVIEW_COLUMNS, FEWEST_COLUMNS, PREVIEW_STEPS, PREVIEW_SHARE = 16, 2, 5, 0.1
"""Most and fewest images per class in a preview; its sampler steps; the largest share of the
training time that previews may take."""
PREVIEW_WORK = 3e11
"""Multiply-adds of a preview on a CPU (some seconds). A large network shows fewer columns."""


def preview_columns(network: Network, on_cpu: bool) -> int:
    """Images per class that the previews of a training show."""
    each = multiply_adds(network) * PREVIEW_STEPS * (network.classes or 1)
    return (
        int(min(PREVIEW_COLUMNS, max(FEWEST_COLUMNS, PREVIEW_WORK // each)))
        if on_cpu
        else PREVIEW_COLUMNS
    )
