"""Batches of images for training diffusion models and classifiers."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import psutil
import torch

from dreamlab.data.imageset import ImageSource

RESIDENT_SHARE = 0.25
"""Largest share of the free memory of a device that the images may take. The rest is for the
network and its activations."""
AT_ONCE = 4096
"""Number of images per copy when all images are moved to the device."""
TOGETHER = 32
"""Number of batches whose indices are copied to the device together. With one copy per batch, a GPU
would wait for the CPU."""

Order = Callable[[int], np.ndarray]
"""Epoch 0, 1, ... -> permutation of all images, int64 (N,)."""


def order_by_epoch(seed: int, images: int) -> Order:
    """A random order for each epoch that depends only on (seed, epoch), so that a resumed training
    continues with the same order."""

    def permutation(epoch: int) -> np.ndarray:
        return np.random.default_rng([seed, epoch]).permutation(images)

    return permutation


def order_in_turn(seed: int, images: int) -> Order:
    """A random order for each epoch from one random stream. The epochs must be requested in order;
    the returned function raises ValueError otherwise. Cached predictions of classifiers depend on
    this order."""
    chance, following = np.random.default_rng([seed, 2]), iter(range(2**62))

    def permutation(epoch: int) -> np.ndarray:
        if epoch != next(following):
            raise ValueError(f"epoch {epoch} is requested out of order")
        return chance.permutation(images)

    return permutation


class Batches:
    """Batches of equal size: uint8 images (n, H, W, C) and labels (n,) int64 on a device.

    Each epoch is a permutation of all images, so that all are used equally often. A batch may span
    two epochs. With `resident`, all images are kept on the device; otherwise a thread reads them
    one batch ahead. The batches are the same in both cases.
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
        """Images uint8 (n, H, W, C) and labels (n,) int64 of batch 0, 1, ... on the device."""
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
        """Indices of the images in a batch."""
        index: np.ndarray = self._block(number // TOGETHER)[number % TOGETHER]
        return index

    def _index_there(self, number: int) -> torch.Tensor:
        block = number // TOGETHER
        if self._block_there[0] != block:
            self._block_there = (block, torch.from_numpy(self._block(block)).to(self._device))
        return self._block_there[1][number % TOGETHER]

    def _block(self, block: int) -> np.ndarray:
        """The indices of TOGETHER batches. The previous block is kept too, because the thread may
        already be reading the next one."""
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
    """Whether all images may be kept on the device."""
    free = (
        torch.cuda.mem_get_info(device)[0]
        if device.type == "cuda"
        else psutil.virtual_memory().available
    )
    return bool(math.prod(images.shape) <= RESIDENT_SHARE * free)
