"""What the badge of a set made elsewhere says of the real images in it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np

from dreamlab.data import catalog, imageset, near_copies
from dreamlab.data.selection import real_data, real_part, selected
from dreamlab.experiments import report
from dreamlab.settings import ClassifySpec, MixSpec
from dreamlab.store import Run
from tests.evidence_helpers import finish, new_group, new_run, new_store
from tests.near_copy_helpers import drained
from tests.study_helpers import classified, create

ARE = "of the synthetic images are real training images"
FOREIGN = "of which the classifier may not use"


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
    said = f"300 {ARE}, {other:,} {FOREIGN}"
    assert str(report(group, store)["generators"][0]["badge"]).endswith(said)


def with_copies(run: Run, of: np.ndarray) -> None:
    """What a search found in a set of 400 images: near-copies of these training images."""
    digits = catalog.load("digits")
    limit = near_copies.Limit(8, 0.3, 0.005, 0.005, 0.005)
    pairs, nothing = near_copies.Pairs(np.arange(len(of)), of), near_copies.Pairs(of[:0], of[:0])
    known = near_copies.identity(digits)
    near_copies.save(run.path, near_copies.Copies(known, 400, limit, nothing, pairs))


def test_a_generator_per_arm_counts_the_copies_of_each_of_its_sets(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    values = {
        "dataset": "digits",
        "images_per_class": 10,
        "train_arm": True,
        "arms": ("real", "50/50", "90/10"),
    }
    group, children = new_group(store, "mix", values)
    half = selected(real_part(cast(MixSpec, group.spec), replaced=0.5)).pool
    most = selected(real_part(cast(MixSpec, group.spec), replaced=0.1)).pool
    whole = selected(real_data(cast(MixSpec, group.spec))).pool
    with_copies(children["set:arm:50/50"], whole)
    with_copies(children["set:arm:90/10"], most[:40])
    answer = report(group, store)
    per_arm = next(g for g in answer["generators"] if g["key"] == "arm")
    foreign = len(whole) - len(half)
    assert per_arm["badge"].endswith(f"140 {ARE}, {foreign} {FOREIGN}")
    badges = {a["arm"]: a["leakage"]["badge"] for a in answer["arms"] if a["generator"] == "arm"}
    assert badges["50/50"].endswith(f"100 {ARE}, {foreign} {FOREIGN}")
    assert badges["90/10"].endswith(f"40 {ARE}")


def test_a_study_says_how_many_training_images_its_sets_contain(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    group, children = create(
        store, {"study": "s0-mnist", "scale": "corrected", "dataset": "digits"}
    )
    labels = catalog.load("digits").test_labels
    for role, run in children.items():
        if run.kind == "classify":
            classified(run, labels, 0.9 if role == "arm:real" else 0.8)
        else:
            finish(run, {"seconds": 1.0})
    spec = cast(ClassifySpec, children["arm:50/50"].spec)
    all_images = np.arange(len(catalog.load("digits").train_labels))
    with_copies(store.get(spec.synthetic), all_images[:300])
    inside = int(np.isin(all_images[:300], selected(spec).pool).sum())
    said = f"50 / 50: 300 {ARE}, {300 - inside} {FOREIGN}."
    assert 0 < inside < 300 and [n for n in report(group, store)["remarks"] if ARE in n] == [said]
