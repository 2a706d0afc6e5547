"""Memory of the training set: the nearest training and the nearest held-out real image of every
synthetic image, and which of them lie closer to a training image than held-out real images do.

The statistic of an image is the distance to its nearest training image, divided by the mean
distance of further ones (Carlini et al. 2023, Extracting Training Data from Diffusion Models,
section 4.2): the distance alone would flag images of dense regions. Held-out real images are
compared with the same training images, so that neither their number nor the density matters. The
limit is that of conformal p-values (Bates et al. 2023, Testing for outliers with conformal
p-values): a fresh real image lies below it with a probability of at most `Space.rate`.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data import catalog, near_copies
from dreamlab.data.catalog import DataSet
from dreamlab.data.imageset import ImageSource
from dreamlab.data.near_copies import Search
from dreamlab.data.nearest import Neighbours, Rows, neighbours
from dreamlab.stats.intervals import Interval
from dreamlab.store import write_bytes

VERSION = 1
"""Increase it when a search would find something else: sets are then searched again."""
FILE = "neighbours.npz"
PIXELS = "pixels"
"""The name of the space in which `dreamlab.data.nearest` compares."""
RATE = 0.01
"""Probability that a held-out real image is flagged."""
FEWEST = 19
"""Fewest held-out images for a limit: with n of them the smallest rate is 1 / (n + 1)."""
HELD = 2000
"""Most held-out images that calibrate."""
UNLIKELY = 0.01
"""Probability below which chance does not explain the number of flagged images."""
LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Space:
    """The neighbours of N synthetic images in one space, and of n held-out real images among the
    training images.

    `training` and `held_out` (N,) are places in the training and the test split, and `*_distance`
    (N,) the distances to these images: in pixels as in `Neighbours`, else Euclidean. `ratio` (N,)
    is that of `Neighbours`, for the training images; `calibration` (n,) are places in the test
    split and `calibration_ratio` (n,) their ratios. `authentic` (N,) says whether an image is
    further from its nearest training image than the nearest other training image is (Alaa et al.
    2022); empty where that was not measured.
    """

    training: np.ndarray
    training_distance: np.ndarray
    held_out: np.ndarray
    held_out_distance: np.ndarray
    ratio: np.ndarray
    calibration: np.ndarray
    calibration_ratio: np.ndarray
    authentic: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))

    @property
    def _rank(self) -> int:
        """The limit is the smallest but so many ratios of held-out images; 0 without a limit."""
        n = len(self.calibration_ratio)
        return max(1, math.floor(RATE * (n + 1) + 1e-9)) if n >= FEWEST else 0

    @property
    def rate(self) -> float | None:
        """Probability that a real image which the generator has not seen is flagged, over the
        choice of the held-out ones as well; None with too few of them."""
        return self._rank / (len(self.calibration_ratio) + 1) if self._rank else None

    @functools.cached_property
    def limit(self) -> float:
        """Flagged images have a ratio below it; 0 if none can be flagged."""
        return float(np.sort(self.calibration_ratio)[self._rank - 1]) if self._rank else 0.0

    @property
    def flagged(self) -> np.ndarray:
        """Whether each image lies closer to a training image than held-out images do: (N,) bool."""
        return np.asarray(self.ratio < self.limit)

    @property
    def chance(self) -> float | None:
        """Probability of so many flagged images, or more, if the set were fresh real images: the
        share of these below the limit is Beta(k, n + 1 - k). None without a limit."""
        n, k = len(self.calibration_ratio), self._rank
        if not k:
            return None
        from scipy import stats  # it takes half a second to import, and pages do not need it

        return float(stats.betabinom.sf(self.flagged.sum() - 1, len(self.ratio), k, n + 1 - k))

    def share(self, of: np.ndarray | None = None) -> Interval | None:
        """The share of flagged images, 0 to 1, among all or among `of` (N,) bool, with a Wilson
        interval. None without a limit or without images."""
        held = self.flagged if of is None else self.flagged[of]
        return proportion(int(held.sum()), len(held)) if self._rank and len(held) else None


@dataclasses.dataclass(frozen=True)
class Memory:
    """The neighbours of the images of a set in each space. `data` identifies the images of its data
    set. `labels` (N,) are the classes of the images and `train_labels`, `test_labels` those of the
    splits, numbers into the names `classes`; `labels` is empty if they are not known.

    `known` says that the `references` training images are those that the generator was trained on.
    Otherwise that is not known, and they are all of the training split.
    """

    data: str
    labels: np.ndarray
    train_labels: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    references: int
    known: bool
    spaces: Mapping[str, Space]

    def left_out(self) -> np.ndarray:
        """Sorted indices of the images that are flagged in pixels."""
        return np.flatnonzero(self.spaces[PIXELS].flagged)


def proportion(count: int, of: int) -> Interval:
    """A share, 0 to 1, with a Wilson interval (Wilson 1927); `of` is at least 1."""
    from scipy import stats

    found = stats.binomtest(count, of).proportion_ci(LEVEL, method="wilson")
    return Interval(count / of, float(found.low), float(found.high), LEVEL)


def in_pixels(images: ImageSource, data: DataSet, pool: np.ndarray) -> Search[Space]:
    """The neighbours in pixels of a synthetic set, uint8 (N, h, h, C), among the training images
    `pool` (m,) and the test images of a data set. Raises ValueError if there is none."""
    side, seen = near_copies.side_of(images, data), Rows(data.train_images, pool)
    training = yield from neighbours(images, seen, side)
    held_out = yield from neighbours(images, data.test_images, side)
    some = held(len(data.test_images))
    among = yield from neighbours(data.test_images, seen, side, some)
    return space(dataclasses.replace(training, index=pool[training.index]), held_out, some, among)


def held(count: int) -> np.ndarray:
    """Sorted indices of the test images, of `count`, that calibrate."""
    return near_copies.some(count, HELD, 4)


def space(
    training: Neighbours,
    held_out: Neighbours,
    calibration: np.ndarray,
    among: Neighbours,
    authentic: np.ndarray | None = None,
) -> Space:
    """The space of a set whose neighbours are `training` and `held_out`, calibrated by the
    neighbours `among` the training images of the test images `calibration` (n,)."""
    return Space(
        training.index.astype(np.int32),
        training.distance.astype(np.float32),
        held_out.index.astype(np.int32),
        held_out.distance.astype(np.float32),
        training.ratio,
        calibration.astype(np.int32),
        among.ratio,
        np.zeros(0, bool) if authentic is None else authentic,
    )


def summary(found: Memory) -> dict[str, Any]:
    """What the result of a run holds of it: for each space the number of flagged images, their
    share with an interval, the rate, and the same for each class, with the held-out images of the
    class for comparison. Shares are 0 to 1, and None where they cannot be said."""
    return {**about(found), "spaces": [_summed(found, name, s) for name, s in found.spaces.items()]}


def about(found: Memory) -> dict[str, Any]:
    """What the images were compared with, for the result of a run."""
    return {"references": found.references, "known": found.known}


def _summed(found: Memory, name: str, s: Space) -> dict[str, Any]:
    classes: list[dict[str, Any]] = []
    below, held = s.calibration_ratio < s.limit, found.test_labels[s.calibration]
    for c, title in enumerate(found.classes) if len(found.labels) == len(s.ratio) else ():
        own = found.labels == c
        if own.any():
            real = {"held_out": int((held == c).sum()), "below": int(below[held == c].sum())}
            classes.append({"class": title, **_counted(s, own), **real})
    return {
        "space": name,
        **_counted(s, np.ones(len(s.ratio), bool)),
        "rate": s.rate,
        "held_out": len(s.calibration_ratio),
        "chance": s.chance,
        "per_class": classes,
    }


def _counted(s: Space, of: np.ndarray) -> dict[str, Any]:
    share = s.share(of)
    ends = {"share": share.mean, "low": share.low, "high": share.high} if share else {}
    return {
        "images": int(of.sum()),
        "flagged": int(s.flagged[of].sum()),
        **({"share": None, "low": None, "high": None} | ends),
    }


def save(folder: Path, found: Memory) -> None:
    """Writes what was found into the folder of the set or of the run that measured it."""
    arrays: dict[str, np.ndarray] = {
        "version": np.array(VERSION),
        "data": np.array(found.data),
        "labels": found.labels.astype(np.int32),
        "train_labels": found.train_labels.astype(np.int32),
        "test_labels": found.test_labels.astype(np.int32),
        "classes": np.array(found.classes, str),
        "references": np.array(found.references),
        "known": np.array(found.known),
        "spaces": np.array(list(found.spaces), str),
    }
    for name, s in found.spaces.items():
        arrays |= {f"{name}/{f.name}": getattr(s, f.name) for f in dataclasses.fields(Space)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(folder / FILE, buffer.getvalue())


def known(folder: Path, data: DataSet) -> Memory | None:
    """What was found in the set of a folder, compared with this data set; None if it was not
    measured, or compared with other images."""
    found = load(folder)
    return found if found is not None and found.data == near_copies.identity(data) else None


def load(folder: Path) -> Memory | None:
    """What was found in the set of a folder, or by the run of a folder; None if nothing was
    measured, or by another version."""
    file = folder / FILE
    return _load(file, catalog.stamp_of([file]))  # pages ask again and again


@functools.lru_cache(maxsize=64)
def _load(file: Path, _: catalog.Stamp) -> Memory | None:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            if int(arrays["version"]) != VERSION:
                return None
            fields = [f.name for f in dataclasses.fields(Space)]
            return Memory(
                data=str(arrays["data"]),
                labels=arrays["labels"],
                train_labels=arrays["train_labels"],
                test_labels=arrays["test_labels"],
                classes=tuple(arrays["classes"].tolist()),
                references=int(arrays["references"]),
                known=bool(arrays["known"]),
                spaces={
                    name: Space(*(arrays[f"{name}/{field}"] for field in fields))
                    for name in arrays["spaces"].tolist()
                },
            )
    except (OSError, ValueError, KeyError, EOFError):
        return None
