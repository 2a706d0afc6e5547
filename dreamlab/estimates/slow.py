"""Says that a training is too slow for the size of its images, and which size is not."""

from __future__ import annotations

from collections.abc import Callable

from dreamlab.architecture.cost import multiply_adds
from dreamlab.architecture.network import network_of
from dreamlab.data.small_sets import USUAL_SIDE
from dreamlab.estimates.cost import Estimate, duration
from dreamlab.settings import Spec, TrainSpec

SLOW = 60.0
"""Steps in a minute below which it is said."""


def slow(spec: Spec, estimated: Callable[[Spec], Estimate]) -> str:
    """The sentence about a training with large images that makes few steps in a minute; empty for
    any other run. `estimated` gives the cost of a run. Raises DataError."""
    if not isinstance(spec, TrainSpec) or network_of(spec).image_size <= USUAL_SIDE:
        return ""
    network, found = network_of(spec), estimated(spec)
    if not found.steps or not found.seconds:
        return ""
    rate = 60 * found.steps / found.seconds
    if rate >= SLOW:
        return ""
    smaller = network_of(spec.model_copy(update={"image_size": USUAL_SIDE}))
    times = multiply_adds(network) / multiply_adds(smaller)
    guess = " (not measured here)" if found.source == "arithmetic" else ""
    return (
        f"At {network.image_size} pixels this machine makes about {rate:.2g} steps in a minute"
        f"{guess}, and {found.steps:,} steps take {duration(found.seconds)}: choose {USUAL_SIDE}"
        f" pixels (--image-size {USUAL_SIDE}), where a step costs {times:.0f} times less."
    )
