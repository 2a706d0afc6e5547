"""What the badge of a set made elsewhere says of the real images in it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np

from dreamlab.data import catalog, imageset, near_copies
from dreamlab.data.selection import real_data, selected
from dreamlab.experiments import report
from dreamlab.settings import MixSpec
from tests.evidence_helpers import new_group, new_run, new_store
from tests.near_copy_helpers import drained


def test_real_images_in_a_foreign_set_are_part_of_its_badge(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    foreign = new_run(store, "import", {"source": "x", "role": "synthetic", "dataset": "mnist5k"})
    data = catalog.load("mnist5k")
    labels = data.train_labels
    taken = np.concatenate([np.flatnonzero(labels == c)[:30] for c in range(10)])
    imageset.save(foreign.path, data.train_images[taken, :, ::-1], labels[taken])
    limit = near_copies.Limit(28, 0.35, 0.005, 0.005, 0.005)
    with_copies = near_copies.in_set(imageset.load(foreign.path)[0], data, limit)
    near_copies.save(foreign.path, drained(with_copies))
    values = {"images_per_class": 10, "sets": (foreign.id,), "arms": ("real", "real+1x")}
    group, _ = new_group(store, "mix", values)
    pool = selected(real_data(cast(MixSpec, group.spec))).pool
    other = int((~np.isin(taken, pool)).sum())
    said = f"300 of these are real training images, {other:,} of which the classifier may not use"
    assert str(report(group, store)["generators"][0]["badge"]).endswith(said)
