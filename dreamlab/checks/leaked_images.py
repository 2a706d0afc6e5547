"""Whether training or synthetic images contain test images. Near-copies were looked for when a set
was made; the checks only read what was found."""

from __future__ import annotations

from collections.abc import Sequence

from dreamlab.checks.known import Known
from dreamlab.data import catalog, near_copies, near_copies_report
from dreamlab.data.near_copies import Copies
from dreamlab.settings import ImportSpec, RealData, SpecError

MOST_OVERLAP = near_copies.MOST
"""Largest accepted share of test images with the same pixels as a training image. A few may occur
by chance in real data."""


def check_overlap(data: RealData) -> None:
    """Raises SpecError if more than this share of the test images are also training images, or if
    more than usual are known to be near-copies of training images."""
    loaded = catalog.load(data.dataset, data.data_dir)
    both, test = catalog.overlap(loaded), len(loaded.test_labels)
    if both > MOST_OVERLAP * test:
        raise SpecError(
            f"Data (--dataset): {both:,} of the {test:,} test images of {loaded.info.title} are"
            " also training images, so the accuracy on them is meaningless; give a test split with"
            " other images.",
            "dataset",
        )
    if (found := near_copies.within(loaded)) is not None:
        check_split(loaded, found)


def check_split(data: catalog.DataSet, found: Copies) -> None:
    """Raises SpecError if more test images than usual have a near-copy among the training
    images."""
    if found.splits_leak:
        raise SpecError(
            f"Data (--dataset): {len(found.training):,} of the {found.images:,} test images of"
            f" {data.info.title} are nearly the same as training images, so the accuracy on them is"
            " too high; give a test split with other images.",
            "dataset",
        )


def check_copies(data: RealData, known: Known, name: str, field: str) -> None:
    """Raises SpecError if a synthetic set is still being imported, or is known to contain more
    near-copies of test images than real images do."""
    folder = known.folder(name)
    if folder is None:
        return
    if isinstance(known.spec(name), ImportSpec) and known.state(name) != "done":
        raise SpecError(
            f"Synthetic set: {folder.name} is still being imported; start this once it is done.",
            field,
        )
    loaded = catalog.load(data.dataset, data.data_dir)
    found = near_copies.known(folder, loaded)
    if found is not None:
        check_found(found, folder.name, field, loaded.info.classes)


def check_found(found: Copies, name: str, field: str, classes: Sequence[str]) -> None:
    """Raises SpecError if a synthetic set, or one of its `classes`, contains more near-copies of
    test images than real images do."""
    if found.leaks:
        part = near_copies_report.in_class(found, classes)
        among = f", among them {part}," if part else ","
        raise SpecError(
            f"Synthetic set: {len(found.test):,} of the {found.images:,} images of {name} are"
            f" copies of test images, or nearly{among} so the"
            " accuracy would be meaningless; make or import a set without them."
            f" {near_copies_report.PICTURE} in its folder shows them.",
            field,
        )
