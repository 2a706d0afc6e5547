"""Which images of a source an import takes, and the class of each."""

from __future__ import annotations

import numpy as np

from dreamlab.data.importing.listing import UNLISTED
from dreamlab.data.importing.matching import class_numbers
from dreamlab.data.importing.source import Source
from dreamlab.data.named import Info
from dreamlab.settings import ImportSpec

OTHER_CLASS = "of a class that the class map does not name"


def chosen_rows(
    source: Source, spec: ImportSpec, target: Info | None
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """(class of each row or -1, class names, rows that are taken in increasing order). Synthetic
    images get the classes of their data set `target`. What is left out is added to the report of
    the source. Raises DataError if the classes do not match."""
    numbers, names = class_numbers(source.listing, spec, target)
    labels = numbers[source.listing.labels]
    for row in np.flatnonzero(labels < 0).tolist():
        source.left_out.add(source.listing.names[row], OTHER_CLASS)
    labels = _without_other_role(source, spec, labels)
    return labels, names, _at_most(source, spec, labels)


def _without_other_role(source: Source, spec: ImportSpec, labels: np.ndarray) -> np.ndarray:
    """Leaves out the images of an exported set whose role is not that of the import: the real ones
    of a mix that is imported as synthetic, and the synthetic ones of a real data set; and those
    that its table does not name, whose role is not known."""
    roles, other = source.listing.roles, {"real": "synthetic", "synthetic": "real"}
    if roles is None:
        return labels
    reasons = {
        other[spec.role]: f"{other[spec.role]} by its own table",
        UNLISTED: "not in the table of the exported set",
    }
    for role, reason in reasons.items():
        labels = np.where(roles == role, -1, labels)
        for row in np.flatnonzero(roles == role).tolist():
            source.left_out.add(source.listing.names[row], reason)
    return labels


def _at_most(source: Source, spec: ImportSpec, labels: np.ndarray) -> np.ndarray:
    """At most `max_images` rows: the same share of each class and split, at least one of each."""
    rows, most = np.flatnonzero(labels >= 0), spec.max_images
    if not most or len(rows) <= most:
        return rows
    groups = labels[rows] * 2 + source.listing.test[rows]
    chosen = []
    for group in np.unique(groups):
        members = rows[groups == group]
        count = max(1, int(len(members) * most / len(rows)))
        rng = np.random.default_rng([spec.split_seed, int(group), 2])
        chosen.append(rng.permutation(members)[:count])
    kept = np.sort(np.concatenate(chosen))
    source.left_out.counts["beyond the requested number of images"] += len(rows) - len(kept)
    return kept
