"""Data sets that are known by their description alone: for the estimate of a run on a machine that
has data sets which are not here, and for measuring a step, whose time does not depend on what the
images show."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType

import numpy as np

from dreamlab.data.named import Info

_SETS: ContextVar[Mapping[str, Info]] = ContextVar(
    "described data sets", default=MappingProxyType({})
)


@contextlib.contextmanager
def using(sets: Mapping[str, Info]) -> Iterator[None]:
    """Inside, the catalog knows these data sets, by their names, and takes their images as black.
    They come before data sets of the same name."""
    token = _SETS.set({**_SETS.get(), **sets})
    try:
        yield
    finally:
        _SETS.reset(token)


def find(name: str) -> Info | None:
    """The description of a data set that is described now; None if it is not."""
    return _SETS.get().get(name)


def described(
    name: str, title: str, size: int, channels: int, classes: int, train: int, test: int
) -> Info:
    """The description of a data set of images of `size` pixels a side: `train` and `test` are
    numbers of images."""
    return Info(name, title, size, channels, tuple(map(str, range(classes))), train, test, True)


@dataclasses.dataclass(frozen=True)
class Black:
    """Images uint8 (N, H, W, C) that are black and take no memory, and labels int64 (N,): each
    class has as many images as the others."""

    images: np.ndarray
    labels: np.ndarray


def black(info: Info, images: int) -> Black:
    """The first `images` images of a described set."""
    shape = (images, info.size, info.size, info.channels)
    return Black(
        np.broadcast_to(np.zeros((), np.uint8), shape),
        np.sort(np.arange(images, dtype=np.int64) % len(info.classes)),
    )
