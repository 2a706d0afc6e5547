"""The images of a training: uint8 on the device where they fit, else streamed to it one batch
ahead."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import psutil
import torch

from dreamlab.data import imageset
from dreamlab.tasks.generator import to_tensor

RESIDENT_SHARE = 0.25
"""Most of a device's free memory that images may take; the rest is for the network and its
activations."""


class ChosenImages:
    """Some images of a set, at `size` pixels a side. The set may lie on disk (memory-mapped): it is
    never copied whole here, what is read is resized as it is read."""

    def __init__(self, images: np.ndarray, indices: np.ndarray, size: int):
        self._images, self._indices, self._size = images, indices, size

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: np.ndarray | slice) -> np.ndarray:
        return imageset.resized(np.asarray(self._images[self._indices[index]]), self._size)

    @property
    def nbytes(self) -> int:
        return len(self) * self._size**2 * self._images.shape[3]


class TrainingBatches:
    """Batches of uint8 images (n, C, H, W) and labels (n,) int64 on a device.

    Batch number 0, 1, ... goes through permutations of all images, one after the other, drawn from
    (seed, epoch): the same batches whether they are streamed or not.
    """

    def __init__(
        self,
        images: ChosenImages,
        labels: np.ndarray,
        device: torch.device,
        batch_size: int,
        seed: int,
        resident: bool | None = None,
    ):
        self.count, self._size, self._seed, self._device = len(labels), batch_size, seed, device
        self.resident = fits(images.nbytes, device) if resident is None else resident
        self._host = images
        self._images = to_tensor(images[:], device) if self.resident else None
        self._labels = torch.from_numpy(np.asarray(labels, dtype=np.int64)).to(device)
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))
        self._order_there: tuple[int, torch.Tensor] = (-1, torch.empty(0))
        self._ahead: tuple[int, Future[torch.Tensor]] | None = None
        self._reader = None if self.resident else ThreadPoolExecutor(1, thread_name_prefix="images")

    def batch(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """TrainingBatches and labels of a batch, on the device."""
        index = torch.cat([self._there(epoch)[where] for epoch, where in self._spans(number)])
        labels = self._labels[index]
        if self._images is not None:
            return self._images[index], labels
        if self._ahead is not None and self._ahead[0] == number:
            images = self._ahead[1].result()
        else:
            images = self._read(self._indices(number))
        assert self._reader is not None
        self._ahead = (number + 1, self._reader.submit(self._read, self._indices(number + 1)))
        return images.to(self._device, non_blocking=True), labels

    def first_of_each(self, classes: int, per_class: int) -> torch.Tensor:
        """uint8 (classes * per_class, C, H, W) on the device: the first images of every class in
        turn, from the start again where a class has fewer; of all images where there is one class.
        """
        labels = self._labels.cpu().numpy()
        chosen = []
        for c in range(classes):
            members = np.flatnonzero(labels == c) if classes > 1 else np.arange(self.count)
            chosen.append(
                members[np.arange(per_class) % len(members)]
                if len(members)
                else np.zeros(per_class, np.int64)
            )
        return to_tensor(self._host[np.concatenate(chosen)], self._device)

    def _spans(self, number: int) -> list[tuple[int, slice]]:
        """(epoch, stretch of its permutation) that make up a batch."""
        at, missing, spans = number * self._size, self._size, []
        while missing:
            epoch, start = divmod(at, self.count)
            taken = min(missing, self.count - start)
            spans.append((epoch, slice(start, start + taken)))
            at, missing = at + taken, missing - taken
        return spans

    def _permutation(self, epoch: int) -> np.ndarray:
        if self._order[0] != epoch:
            self._order = (
                epoch,
                np.random.default_rng([self._seed, epoch]).permutation(self.count),
            )
        return self._order[1]

    def _there(self, epoch: int) -> torch.Tensor:
        # on the device once an epoch: an index sent with every batch would make the host wait for
        # the device
        if self._order_there[0] != epoch:
            self._order_there = (epoch, torch.from_numpy(self._permutation(epoch)).to(self._device))
        return self._order_there[1]

    def _indices(self, number: int) -> np.ndarray:
        return np.concatenate(
            [self._permutation(epoch)[where] for epoch, where in self._spans(number)]
        )

    def _read(self, index: np.ndarray) -> torch.Tensor:
        batch = torch.from_numpy(np.ascontiguousarray(self._host[index].transpose(0, 3, 1, 2)))
        return batch.pin_memory() if self._device.type == "cuda" else batch


def fits(nbytes: int, device: torch.device) -> bool:
    """Whether images of this size may lie on the device whole."""
    free = (
        torch.cuda.mem_get_info(device)[0]
        if device.type == "cuda"
        else psutil.virtual_memory().available
    )
    return bool(nbytes <= RESIDENT_SHARE * free)
