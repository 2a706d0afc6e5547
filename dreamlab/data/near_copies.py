"""Near-copies of real images in a set, judged by a limit that is calibrated on the real images of
the data set. What was found is kept in a file beside the set, so that checks and pages only read
it."""

from __future__ import annotations

import dataclasses
import functools
import io
import math
from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from scipy import special

from dreamlab.data import catalog, contents, described
from dreamlab.data.catalog import DataSet
from dreamlab.data.imageset import ImageSource
from dreamlab.data.nearest import LARGEST as LARGEST
from dreamlab.data.nearest import ROUNDING, Neighbours, Rows, common_side, neighbours
from dreamlab.store import write_bytes
from dreamlab.store.cache import user_cache

VERSION = 4
"""Increase it when a search would find something else: sets are then searched again."""
FILE = "near_copies.npz"
FLAGGED = 0.005
"""Share of held-out real images that may lie below the limit of a data set."""
CHANCE = 0.001
"""Share of images in a region of even density for which a ratio below the limit may be chance."""
HELD, AMONG = 1000, 20_000
"""Most images that are held out for the calibration, and that they are compared with."""
MOST = 0.01
"""Largest accepted share of near-copies of test images, beyond what real images have."""
IN_CLASS = 4.0
"""How many times the measured share of near-copies one class of real images may have: about 4 in
digits, mnist5k and butterflies."""
FALSE = 0.01
"""Probability that chance alone gives a set, or any of its classes, too many near-copies."""
USUAL = 0.05
"""Largest share of near-copies within the training images that counts as usual for a data set."""

T = TypeVar("T")
Search = Generator[int, None, T]
"""A search that yields the number of images of every block that is done."""


@dataclasses.dataclass(frozen=True)
class Limit:
    """When an image counts as a near-copy. `side` is that of the comparison in pixels, `ratio` the
    largest `Neighbours.ratio` of a near-copy.

    The others are shares, 0 to 1, of real images that lie below it: of test images compared with
    training images, of training images compared with test images, and within the training
    images.
    """

    side: int
    ratio: float
    test_in_training: float
    training_in_test: float
    training_in_training: float


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Near-copies, the nearest first: places in the set (n,) and places in the reference (n,). The
    first `same` of them have the pixels of the reference within rounding, also mirrored or
    shifted."""

    image: np.ndarray
    of: np.ndarray
    same: int = 0

    def __len__(self) -> int:
        return len(self.image)


@dataclasses.dataclass(frozen=True)
class Copies:
    """What a search found in a set of `images`: near-copies of test images and of training images
    of the data set with the identity `data`. `labels` (N,) are the classes of the images; empty if
    they are not known. For the search within a data set, the images are its test images."""

    data: str
    images: int
    limit: Limit
    test: Pairs
    training: Pairs
    labels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def leaks(self) -> bool:
        """Whether a synthetic set, or a class of it, has more near-copies of test images than real
        images have: an arm may take its images from one class."""
        whole = np.zeros(self.images, np.int64)
        return bool(self._leaking(whole, 1.0)) or bool(self.leaking)

    @functools.cached_property
    def leaking(self) -> dict[int, tuple[int, int]]:
        """Class -> (near-copies of test images, images) for each class of a synthetic set with more
        of them than chance explains in any of its classes."""
        return self._leaking(self.labels, IN_CLASS) if len(self.labels) == self.images else {}

    def _leaking(self, part: np.ndarray, times: float) -> dict[int, tuple[int, int]]:
        """The parts of a synthetic set that leak, as in `leaking`. `part` (N,) is that of each
        image. Chance explains near-copies at `times` the share of all real images, but no image
        with the pixels of a test image, unless a training image has the same."""
        same = np.setdiff1d(
            self.test.image[: self.test.same], self.training.image[: self.training.same]
        )
        sizes = np.bincount(part)
        near = np.bincount(part[self.test.image], minlength=len(sizes))
        copied = np.bincount(part[same], minlength=len(sizes))
        usual = max(self.limit.training_in_test, FLAGGED)
        most = min(times * usual, (1 + usual) / 2)  # the second where copies are everywhere
        beyond: np.ndarray = np.maximum(np.ceil(near - MOST * sizes - 1e-9), 1)
        chance = np.asarray(
            special.bdtrc(beyond - 1, np.maximum(sizes, 1), most)
        )  # of so many or more
        unlikely = (near > MOST * sizes) & (chance < FALSE / max(1, int(np.count_nonzero(sizes))))
        found = np.flatnonzero((copied > MOST * sizes) | unlikely)
        return {int(c): (int(near[c]), int(sizes[c])) for c in found}

    @property
    def repeats(self) -> bool:
        """Whether a synthetic set has more near-copies of training images than real images have."""
        return self._more(len(self.training), self.limit.test_in_training)

    @property
    def splits_leak(self) -> bool:
        """Whether more test images of a data set have a near-copy among its training images than
        is usual within them."""
        return self._more(len(self.training), min(USUAL, self.limit.training_in_training))

    @property
    def repeats_within(self) -> bool:
        """Whether more test images of a data set have a near-copy among its other test images than
        chance explains, also where that is usual for the data: they count more than once."""
        return self._more(len(self.test), FLAGGED)

    def _more(self, found: int, usual: float) -> bool:
        expected = usual * self.images  # of which two standard deviations more may be chance
        return found > MOST * self.images + expected + 2 * math.sqrt(expected)


def identity(data: DataSet) -> str:
    """Identifies the images of a data set by their content. Raises DataError."""
    return contents.images_of(data.info.name, data.data_dir)


def cache_key(data: DataSet) -> str:
    """Under what the cache of the user keeps what was found within a data set."""
    return f"near-copies/{VERSION}/{identity(data)}"


def calibrated(training: np.ndarray, test: np.ndarray, side: int) -> Search[Limit]:
    """The limit of a data set with these splits, uint8 (N, H, H, C), for comparisons at `side`
    pixels.

    Real images are held out in four ways: test images compared with training images and the other
    way round, and images of each split with the rest of it. Each way has a ratio below which
    `FLAGGED` of the images lie. The limit is the second largest of the four, so that copies between
    the splits, or within one of them, do not lower it; and at least the ratio that is `CHANCE` in a
    region of even density, for data in which copies are everywhere: there (distance of the nearest
    / distance of the k-th)^m has the distribution Beta(1, k - 1) in m dimensions.
    """
    a, b = some(len(training), AMONG, 0), some(len(test), AMONG, 1)
    train, tests = Rows(training, a), Rows(test, b)
    few_a, few_b = some(len(a), HELD, 2), some(len(b), HELD, 3)
    held = [
        (yield from neighbours(tests, train, side, few_b)),
        (yield from neighbours(train, tests, side, few_a)),
    ]
    for part, few in ((train, few_a), (tests, few_b)):
        if part.shape[0] > 1:
            held.append((yield from neighbours(part, part, side, few, itself=True)))
    dimension, k = _dimension(held[0]), held[0].further.shape[1]
    ratios = sorted(_below(found.ratio, FLAGGED, dimension) for found in held)
    chance = (CHANCE / max(k - 1, 1)) ** (1 / dimension)
    limit = max(ratios[-2], chance if k > 3 else 0.0)
    shares = [float((found.ratio <= limit).mean()) for found in held]
    return Limit(side, limit, shares[0], shares[1], shares[2] if len(training) > 1 else 0.0)


def _dimension(found: Neighbours) -> float:
    """The intrinsic dimension of images, from the further half of their neighbours, which a few
    copies do not reach: the distances of the j-th and the k-th have E log(D_k / D_j) =
    (1 / j + ... + 1 / (k - 1)) / m (Levina & Bickel 2004, Maximum Likelihood Estimation of
    Intrinsic Dimension)."""
    k = found.further.shape[1]
    places = np.arange(k // 2, k - 1)
    expected = sum(float((1 / np.arange(place + 1, k)).sum()) for place in places)
    distances = np.maximum(found.further, ROUNDING)
    observed = float(np.log(distances[:, -1:] / distances[:, places]).sum(1).mean())
    return expected / observed if expected > 0 and observed > 0 else 1.0


def _below(ratios: np.ndarray, share: float, dimension: float) -> float:
    """A ratio that at most this share of the ratios (n,) do not exceed. Of too few ratios for this
    share, the lowest is taken on with the tail of a region of even density, P(r) ~ r^dimension."""
    lowest, at = np.sort(ratios), share * len(ratios)
    return float(lowest[int(at) - 1] if at >= 1 else lowest[0] * at ** (1 / dimension))


def in_set(
    images: ImageSource, data: DataSet, limit: Limit, labels: np.ndarray | None = None
) -> Search[Copies]:
    """The near-copies of real images in a synthetic set, uint8 (N, h, h, C) with labels (N,)."""
    test = yield from neighbours(images, data.test_images, limit.side)
    training = yield from neighbours(images, data.train_images, limit.side)
    return Copies(
        identity(data),
        images.shape[0],
        limit,
        _pairs(test, limit),
        _pairs(training, limit),
        np.zeros(0, np.int64) if labels is None else np.asarray(labels),
    )


def in_data(data: DataSet, limit: Limit) -> Search[Copies]:
    """The test images of a data set that are near-copies of other test images or of training
    images."""
    n = len(data.test_images)
    training = yield from neighbours(data.test_images, data.train_images, limit.side)
    if n > 1:
        test = yield from neighbours(data.test_images, data.test_images, limit.side, itself=True)
        return Copies(identity(data), n, limit, _pairs(test, limit), _pairs(training, limit))
    nothing = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Copies(identity(data), n, limit, nothing, _pairs(training, limit))


def side_of(images: ImageSource, data: DataSet) -> int:
    """The side in pixels at which a set is compared with a data set."""
    return common_side(images, data.train_images)


def packed(found: Copies) -> dict[str, np.ndarray]:
    """What was found as named arrays, without the labels, which are stored with the set."""
    pairs = {
        f"{name}_{part}": getattr(getattr(found, name), part)
        for name in ("test", "training")
        for part in ("image", "of", "same")
    }
    return {
        "version": np.array(VERSION),
        "data": np.array(found.data),
        "images": np.array(found.images),
        "limit": limit_array(found.limit),
        **pairs,
    }


def unpacked(arrays: Any) -> Copies | None:
    """The inverse of `packed`; None for another version. Arrays of before `same` was stored are of
    no copies that are the same."""
    if int(arrays["version"]) != VERSION:
        return None
    test, training = (
        Pairs(
            arrays[f"{name}_image"],
            arrays[f"{name}_of"],
            int(arrays[f"{name}_same"]) if f"{name}_same" in arrays else 0,
        )
        for name in ("test", "training")
    )
    limit = limit_of(arrays["limit"])
    return Copies(str(arrays["data"]), int(arrays["images"]), limit, test, training)


def limit_array(limit: Limit) -> np.ndarray:
    """A limit as an array (5,)."""
    return np.array(dataclasses.astuple(limit))


def limit_of(array: np.ndarray) -> Limit:
    """The inverse of `limit_array`."""
    side, *others = array.tolist()
    return Limit(int(side), *others)


def save(folder: Path, found: Copies) -> None:
    """Writes what was found into the folder of the set."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **packed(found))  # type: ignore[arg-type]
    write_bytes(folder / FILE, buffer.getvalue())


def load(folder: Path) -> Copies | None:
    """What was found in the set of a folder; None if it was not searched, or by another version."""
    file = folder / FILE
    labels = folder / "labels.npy"
    # forms and pages ask again and again
    return _load(file, labels, catalog.stamp_of([file, labels]))


@functools.lru_cache(maxsize=64)
def _load(file: Path, labels: Path, _: catalog.Stamp) -> Copies | None:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            found = unpacked(arrays)
        if found is None or not labels.is_file():
            return found
        return dataclasses.replace(found, labels=np.load(labels, allow_pickle=False))
    except (OSError, ValueError, KeyError, EOFError):
        return None


def known(folder: Path, data: DataSet) -> Copies | None:
    """What was found in the synthetic set of a folder, compared with this data set; None if it was
    not searched, or compared with other data."""
    found = load(folder)
    return found if found is not None and found.data == identity(data) else None


def within(data: DataSet) -> Copies | None:
    """What was found within a data set; None if it was not searched. It is read from the cache of
    the user, and for an import also from its folder. Raises DataError."""
    if described.find(data.info.name) is not None:
        return None
    kept = user_cache().get(cache_key(data))
    found = unpacked(kept) if kept else None
    if found is None and data.info.name not in catalog.INFO:
        return known(catalog.folder_of(data.info.name), data)
    return found


def _pairs(found: Neighbours, limit: Limit) -> Pairs:
    near = np.flatnonzero(found.ratio <= limit.ratio)
    near = near[np.argsort(found.ratio[near], kind="stable")]
    return Pairs(near, found.index[near], int((found.ratio[near] <= 0).sum()))


def some(count: int, most: int, seed: int) -> np.ndarray:
    """Sorted indices of at most `most` of `count` images, drawn with this seed."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng([seed, 9]).permutation(count)[:most])
