"""Writes the tables of docs/near-copies.md: how many planted near-copies are found, how many real
images are taken for one, and what the search costs.

`python -m tests.make_near_copies found FOLDER` takes about five minutes on two free cores. FOLDER
holds pictures in class folders (by default `../shared/data`) and may hold `cifar10.npz`; what is
absent is left out. `python -m tests.make_near_copies cost` takes about ten minutes, and `features`
and `memory` half a minute each.
"""

from __future__ import annotations

import dataclasses
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from threadpoolctl import threadpool_limits

from dreamlab.classifiers.networks import build
from dreamlab.data import catalog
from dreamlab.data.judge import cache_key, recipe_of
from dreamlab.data.memory import Space, held, in_pixels, space
from dreamlab.data.near_copies import FLAGGED, Limit, calibrated
from dreamlab.data.nearest import LARGEST, Neighbours, neighbours
from dreamlab.data.nearest import MOVED as MOVED_FROM
from dreamlab.fidelity.extractors import ClassifierExtractor
from dreamlab.fidelity.memory import neighbours as in_features
from dreamlab.store.cache import shipped
from tests.near_copy_helpers import BEYOND, COPIED, KINDS, MOVED, drained

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "near-copies.md"
PLANTED = 400
PHOTOGRAPHS = (
    ("fruits", 32),
    ("fruits", 64),
    ("butterflies", 32),
    ("butterflies", 64),
    ("flowers102", 64),
    ("anime_faces", 64),
)
Splits = tuple[str, np.ndarray, np.ndarray]


def photographs(folder: Path, side: int) -> Splits:
    """Training and test images of a folder of classes: a random fifth is for testing."""
    images = []
    for file in sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png")):
        image = Image.open(file).convert("RGB")
        images.append(np.asarray(image.resize((side, side), Image.Resampling.BICUBIC)))
    order, test = np.random.default_rng(0).permutation(len(images)), len(images) // 5
    stack = np.stack(images)
    return f"{folder.name} {side}x{side}", stack[order[test:]], stack[order[:test]]


def data_sets(shared: Path) -> Iterator[Splits]:
    for name in ("digits", "mnist5k"):
        data = catalog.load(name)
        yield f"{name} {data.info.size}x{data.info.size}", data.train_images, data.test_images
    if (shared / "cifar10.npz").exists():
        with np.load(shared / "cifar10.npz") as arrays:
            yield "cifar10 32x32", arrays["x_train"], arrays["x_test"]
    for name, side in PHOTOGRAPHS:
        if (shared / name).is_dir():
            yield photographs(shared / name, side)


def near(images: np.ndarray, of: np.ndarray, limit: Limit) -> float:
    found = drained(neighbours(images, of, min(limit.side, images.shape[1])))
    return float((found.ratio <= limit.ratio).mean())


def measured(training: np.ndarray, test: np.ndarray) -> list[str]:
    """One column of the table."""
    half = np.random.default_rng(4).permutation(len(test))
    known, fresh = test[half[: len(test) // 2]], test[half[len(test) // 2 :]]
    limit = drained(calibrated(training, known, min(test.shape[1], LARGEST)))
    planted = test[np.random.default_rng(5).permutation(len(test))[:PLANTED]]
    shares = [f"{100 * near(make(planted), test, limit):.1f}" for make in KINDS.values()]
    for make in MOVED.values():
        moved = test.shape[1] >= MOVED_FROM
        shares.append(f"{100 * near(make(planted), test, limit):.1f}" if moved else "–")
    shares += [f"{100 * near(make(planted), test, limit):.1f}" for make in BEYOND.values()]
    rates = (near(fresh, training, limit), limit.training_in_test)
    return [*shares, *(f"{100 * rate:.1f}" for rate in rates), f"{limit.ratio:.2f}"]


def found_table(shared: Path) -> str:
    rows = [
        *KINDS,
        *MOVED,
        *BEYOND,
        "held-out test images",
        "training images among test images",
        "limit",
    ]
    names, columns = [], []
    for name, training, test in data_sets(shared):
        names.append(f"{name} ({len(test):,})")
        columns.append(measured(training, test))
        print(names[-1], columns[-1], flush=True)
    return table(["images", *names], [[r, *(c[i] for c in columns)] for i, r in enumerate(rows)])


def extractor_of(data: catalog.DataSet) -> ClassifierExtractor:
    """The reference classifier of a data set, which the demo brings."""
    weights = shipped(cache_key(data, "", None))
    assert weights is not None, "the demo brings the classifier"
    kind = recipe_of(data.info).classifier
    network = build(kind, data.info.channels, data.info.size, len(data.info.classes))
    network.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items() if k != "accuracy"})
    return ClassifierExtractor(network.eval(), "cpu")


def halves(found: Space) -> list[Space]:
    """Half of the held-out images as a set that the other half calibrates, drawn 100 times."""
    made, ratio = [], found.calibration_ratio
    for draw in range(100):
        order = np.random.default_rng(draw).permutation(len(ratio))
        one, other = order[: len(order) // 2], order[len(order) // 2 :]
        fresh = dataclasses.replace(found, ratio=ratio[one], calibration_ratio=ratio[other])
        made.append(fresh)
    return made


def memory_table() -> str:
    """Shares of flagged images in pixels and in features of the reference classifier: copies of
    half of the training images, calibrated on the test images; and half of the test images,
    calibrated on the other half, the mean of 100 draws."""
    changes = COPIED | {"shifted by a pixel": KINDS["shifted by a pixel"]}
    names, columns = [], []
    for name in ("digits", "mnist5k", "shapes"):
        data = catalog.load(name)
        order = np.random.default_rng(0).permutation(len(data.train_labels))
        pool = np.sort(order[: len(order) // 2])
        seen = data.train_images[pool]
        sets = [f(seen[:: max(1, len(pool) // 200)][:200]) for f in changes.values()]
        found = [drained(in_pixels(images, data, pool)) for images in sets]
        names.append(f"{name}, pixels")
        columns.append([100 * float(f.flagged.mean()) for f in (*found, *halves(found[0]))])
        if name == "shapes":  # the demo brings no classifier of them
            continue
        extractor, some = extractor_of(data), held(len(data.test_labels))

        def near(
            images: np.ndarray, of: np.ndarray, by: ClassifierExtractor = extractor
        ) -> Neighbours:
            views = (images, np.ascontiguousarray(images[:, :, ::-1]), of)
            return in_features(*(np.concatenate(list(by.batches(x))) for x in views))

        among = near(data.test_images[some], seen)
        spaces = [space(near(x, seen), near(x, data.test_images), some, among) for x in sets]
        names.append(f"{name}, features")
        columns.append([100 * float(s.flagged.mean()) for s in (*spaces, *halves(spaces[0]))])
    rows = [*changes, "held-out images"]
    means = [[*c[: len(changes)], float(np.mean(c[len(changes) :]))] for c in columns]
    body = [[r, *(f"{c[i]:.1f}" for c in means)] for i, r in enumerate(rows)]
    return table(["images", *names], body)


def features_table() -> str:
    """Shares of planted copies that penultimate features of the reference classifier would find,
    by the same rule: the distance to the nearest image, divided by that to further ones."""
    changes = {**KINDS, **MOVED, **BEYOND}
    columns = []
    for name in ("digits", "mnist5k"):
        data = catalog.load(name)
        extractor = extractor_of(data)

        def ratios(
            images: np.ndarray, of: np.ndarray, by: ClassifierExtractor = extractor
        ) -> np.ndarray:
            unit = [np.concatenate(list(by.batches(x))) for x in (images, of)]
            unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in unit]
            further = np.sort(np.sqrt(np.maximum(2 - 2 * unit[0] @ unit[1].T, 0)), 1)[:, :16]
            return np.asarray(further[:, 0] / further[:, 8:].mean(1))

        test = data.test_images
        limit = np.quantile(ratios(test, data.train_images), FLAGGED, method="lower")
        planted = test[np.random.default_rng(5).permutation(len(test))[:PLANTED]]
        usable = {k: f for k, f in changes.items() if f(planted[:1]).shape == planted[:1].shape}
        columns.append(
            {
                k: f"{100 * (ratios(f(planted), test) <= limit).mean():.1f}"
                for k, f in usable.items()
            }
        )
    head = ["images", *("digits 8x8", "mnist5k 28x28")]
    return table(head, [[k, *(c[k] for c in columns)] for k in columns[0]])


def cost(queries: int, references: int) -> list[str]:
    """One row of the table, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(2):
        for name, count in (("queries", queries), ("references", references)):
            file = np.lib.format.open_memmap(
                Path(folder) / f"{name}.npy", "w+", np.uint8, (count, 32, 32, 3)
            )
            for at in range(0, count, 1000):  # smooth, as photographs are
                rng = np.random.default_rng([at, count])
                small = rng.integers(0, 256, (min(1000, count - at), 8, 8, 3), np.uint8)
                file[at : at + 1000] = small.repeat(4, 1).repeat(4, 2)
            del file
        images, of = (
            np.load(Path(folder) / f"{name}.npy", mmap_mode="r")
            for name in ("queries", "references")
        )
        before, began = time.process_time(), time.monotonic()
        drained(neighbours(images, of))
        cpu, seconds = time.process_time() - before, time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [f"{cpu:.0f}", f"{seconds:.0f}", f"{peak:.1f}"]


def cost_table() -> str:
    rows = []
    for name, *task in (
        ("10,000 among 3,000", 10_000, 3_000),
        ("100,000 among 3,000", 100_000, 3_000),
        ("1,000 among 100,000", 1_000, 100_000),
        ("20,000 among 80,000", 20_000, 80_000),
    ):
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            rows.append([name, *pool.submit(cost, *task).result()])
        print(rows[-1], flush=True)
    head = "## What it costs\n\nMade by `python -m tests.make_near_copies cost`: colour images of"
    return f"{head} 32x32 pixels, two threads.\n\n" + table(
        ["images", "seconds of CPU", "seconds", "peak memory, GiB"], rows
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def main(part: str = "found", shared: str = str(ROOT.parent / "shared" / "data")) -> None:
    if part in ("features", "memory"):
        made = features_table() if part == "features" else memory_table()
    else:
        made = found_table(Path(shared)) if part == "found" else cost_table()
    before, _, rest = PAGE.read_text().partition(f"<!-- {part} -->\n")
    PAGE.write_text(f"{before}<!-- {part} -->\n{made}{rest[rest.index('<!-- end -->') :]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
