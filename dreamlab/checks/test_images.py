"""Whether test images were trained on: by the real data itself, or by images made elsewhere."""

from __future__ import annotations

import functools
from pathlib import Path

from dreamlab.checks.known import Known
from dreamlab.data import catalog, imageset
from dreamlab.settings import ImportSpec, RealData, SpecError

MOST_OVERLAP = 0.01
"""Share of the test images that may also be training images, pixel for pixel: a real set has a few
by chance."""


def check_overlap(data: RealData) -> None:
    """Raises SpecError where more than a few test images are training images, pixel for pixel."""
    loaded = catalog.load(data.dataset, data.data_dir)
    both, test = catalog.overlap(loaded), len(loaded.test_labels)
    if both > MOST_OVERLAP * test:
        raise SpecError(
            f"Data (--dataset): {both:,} of the {test:,} test images of {loaded.info.title} are"
            " also training images, so no accuracy on them means anything; give a test part of its"
            " own.",
            "dataset",
        )


def check_copies(data: RealData, known: Known, name: str, field: str) -> None:
    """Raises SpecError where images made elsewhere are copies of the test images."""
    folder = known.folder(name)
    if folder is None or not isinstance(known.spec(name), ImportSpec):
        return
    if known.state(name) != "done":
        raise SpecError(
            f"Synthetic set: {folder.name} is still being imported; start this once it is done.",
            field,
        )
    if copied := _copied(folder, data.dataset, data.data_dir):
        raise SpecError(
            f"Synthetic set: {copied:,} images of {folder.name} are copies of test images; a set"
            " that holds the test cannot be measured by it, leave them out.",
            field,
        )


@functools.lru_cache(maxsize=32)
def _copied(made: Path, dataset: str, data_dir: str) -> int:
    return imageset.copies(imageset.load(made)[0], catalog.load(dataset, data_dir).test_images)
