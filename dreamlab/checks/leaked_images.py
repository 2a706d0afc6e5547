"""Whether training or synthetic images contain test images."""

from __future__ import annotations

import functools
from pathlib import Path

from dreamlab.checks.known import Known
from dreamlab.data import catalog, imageset
from dreamlab.settings import ImportSpec, RealData, SpecError

MOST_OVERLAP = 0.01
"""Largest accepted share of test images with the same pixels as a training image. A few may occur
by chance in real data."""


def check_overlap(data: RealData) -> None:
    """Raises SpecError if more than this share of the test images are also training images."""
    loaded = catalog.load(data.dataset, data.data_dir)
    both, test = catalog.overlap(loaded), len(loaded.test_labels)
    if both > MOST_OVERLAP * test:
        raise SpecError(
            f"Data (--dataset): {both:,} of the {test:,} test images of {loaded.info.title} are"
            " also training images, so the accuracy on them is meaningless; give a test split with"
            " other images.",
            "dataset",
        )


def check_copies(data: RealData, known: Known, name: str, field: str) -> None:
    """Raises SpecError if imported synthetic images contain copies of test images."""
    folder = known.folder(name)
    if folder is None or not isinstance(known.spec(name), ImportSpec):
        return
    if known.state(name) != "done":
        raise SpecError(
            f"Synthetic set: {folder.name} is still being imported; start this once it is done.",
            field,
        )
    at = (catalog.import_stamp(folder), catalog.stamp(data.dataset, data.data_dir))
    if copied := _copied(folder, data.dataset, data.data_dir, at):
        raise SpecError(
            f"Synthetic set: {copied:,} images of {folder.name} are copies of test images, so the"
            " accuracy would be meaningless; leave them out.",
            field,
        )


@functools.lru_cache(maxsize=32)
def _copied(made: Path, dataset: str, data_dir: str, _: tuple[catalog.Stamp, ...]) -> int:
    return imageset.copies(imageset.load(made)[0], catalog.load(dataset, data_dir).test_images)
