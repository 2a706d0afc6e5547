"""Batches of images for trainings, of diffusion models and of classifiers alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import psutil
import torch

from dreamlab.data.imageset import ImageSource

RESIDENT_SHARE = 0.25
"""Most of a device's free memory that images may take; the rest is for the network and its
activations."""
AT_ONCE = 4096
"""Images copied at once where all of them go to the device."""
TOGETHER = 32
"""Batches whose indices go to the device together: one transfer each would make a GPU wait for the
host."""

Order = Callable[[int], np.ndarray]
"""Epoch 0, 1, ... to the permutation of all images, int64 (N,), in which it goes through them."""


def order_by_epoch(seed: int, images: int) -> Order:
    """Every epoch is drawn from (seed, epoch) alone: a resumed training goes on where it was."""

    def permutation(epoch: int) -> np.ndarray:
        return np.random.default_rng([seed, epoch]).permutation(images)

    return permutation


def order_in_turn(seed: int, images: int) -> Order:
    """All epochs are drawn from one stream, so they can be had only in turn; ValueError otherwise.
    The predictions that are cached of classifiers rest on this order."""
    chance, following = np.random.default_rng([seed, 2]), iter(range(2**62))

    def permutation(epoch: int) -> np.ndarray:
        if epoch != next(following):
            raise ValueError(f"epoch {epoch} is asked for out of turn")
        return chance.permutation(images)

    return permutation


class Batches:
    """Batches of equal size: uint8 images (n, H, W, C) and labels (n,) int64 on a device.

    They go through one permutation of all images after the other, so that all are seen equally
    often. `resident` images lie on the device whole; others are read one batch ahead, by a thread.
    The batches are the same either way.
    """

    def __init__(
        self,
        images: ImageSource,
        labels: np.ndarray,
        device: torch.device,
        batch_size: int,
        order: Order,
        resident: bool | None = None,
    ):
        self.count = images.shape[0]
        self.resident = fits(images, device) if resident is None else resident
        self._source, self._device, self._size, self._order = images, device, batch_size, order
        self._labels = torch.from_numpy(np.array(labels, dtype=np.int64)).to(device)
        self._epoch: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))
        self._blocks: dict[int, np.ndarray] = {}
        self._block_there: tuple[int, torch.Tensor] = (-1, torch.empty(0))
        self._ahead: tuple[int, Future[torch.Tensor]] | None = None
        self._images = self._all_there() if self.resident else None
        self._reader = None if self.resident else ThreadPoolExecutor(1, thread_name_prefix="images")

    def batch(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images and labels of batch 0, 1, ..., on the device."""
        index = self._index_there(number)
        labels = self._labels[index]
        if self._images is not None:
            return self._images[index], labels
        assert self._reader is not None
        if self._ahead is not None and self._ahead[0] == number:
            images = self._ahead[1].result()
        else:
            images = self._read(self._index(number))
        self._ahead = (number + 1, self._reader.submit(self._read, self._index(number + 1)))
        return images.to(self._device, non_blocking=True), labels

    def close(self) -> None:
        """Ends the thread that reads ahead."""
        if self._reader is not None:
            self._reader.shutdown()

    def _all_there(self) -> torch.Tensor:
        images = torch.empty(tuple(self._source.shape), dtype=torch.uint8, device=self._device)
        for start in range(0, self.count, AT_ONCE):
            part = torch.from_numpy(np.array(self._source[start : start + AT_ONCE]))
            images[start : start + len(part)] = part
        return images

    def _read(self, index: np.ndarray) -> torch.Tensor:
        images = torch.from_numpy(np.ascontiguousarray(self._source[index]))
        return images.pin_memory() if self._device.type == "cuda" else images

    def _index(self, number: int) -> np.ndarray:
        """Which images are in a batch."""
        index: np.ndarray = self._block(number // TOGETHER)[number % TOGETHER]
        return index

    def _index_there(self, number: int) -> torch.Tensor:
        block = number // TOGETHER
        if self._block_there[0] != block:
            self._block_there = (block, torch.from_numpy(self._block(block)).to(self._device))
        return self._block_there[1][number % TOGETHER]

    def _block(self, block: int) -> np.ndarray:
        """The indices of TOGETHER batches; the block before stays too, as it is not yet used up
        where images are read ahead."""
        if block not in self._blocks:
            last = {b: index for b, index in self._blocks.items() if b == block - 1}
            self._blocks = {**last, block: self._drawn(block)}
        return self._blocks[block]

    def _drawn(self, block: int) -> np.ndarray:
        at, missing, parts = block * TOGETHER * self._size, TOGETHER * self._size, []
        while missing:
            epoch, start = divmod(at, self.count)
            if self._epoch[0] != epoch:
                self._epoch = (epoch, self._order(epoch))
            parts.append(self._epoch[1][start : start + missing])
            at, missing = at + len(parts[-1]), missing - len(parts[-1])
        return np.concatenate(parts).reshape(TOGETHER, self._size)


def fits(images: ImageSource, device: torch.device) -> bool:
    """Whether the images may lie on the device whole."""
    free = (
        torch.cuda.mem_get_info(device)[0]
        if device.type == "cuda"
        else psutil.virtual_memory().available
    )
    return bool(math.prod(images.shape) <= RESIDENT_SHARE * free)
