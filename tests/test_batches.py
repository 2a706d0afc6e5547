"""The one stream of batches: its two orders are those that cached results and resumed runs rest
on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dreamlab.tasks.batches import TOGETHER, Batches, Order, order_by_epoch, order_in_turn
from tests.task_helpers import CPU

ORDERS = {
    order_by_epoch: {
        4: [[9, 6, 0, 2], [1, 4, 7, 5], [3, 8, 4, 1], [2, 8, 5, 0], [7, 9, 6, 3], [7, 4, 1, 8]],
        23: [
            [9, 6, 0, 2, 1, 4, 7, 5, 3, 8, 4, 1, 2, 8, 5, 0, 7, 9, 6, 3, 7, 4, 1],
            [8, 6, 0, 2, 9, 3, 5, 0, 1, 9, 5, 3, 2, 4, 6, 8, 7, 7, 2, 3, 4, 9, 6],
        ],
    },
    order_in_turn: {
        4: [[7, 4, 1, 8], [6, 0, 2, 9], [3, 5, 2, 8], [9, 0, 4, 5], [1, 7, 3, 6], [4, 6, 3, 0]],
        23: [
            [7, 4, 1, 8, 6, 0, 2, 9, 3, 5, 2, 8, 9, 0, 4, 5, 1, 7, 3, 6, 4, 6, 3],
            [0, 2, 5, 1, 7, 9, 8, 1, 0, 5, 6, 8, 7, 4, 3, 9, 2, 7, 4, 6, 1, 2, 8],
        ],
    },
}
"""Batches of ten images with seed 3 as they were at 4304b5d, by order and batch size."""


def stream(order: Order, batch_size: int, resident: bool, images: int = 10) -> Batches:
    """Image i is filled with i, its label is i."""
    pixels = np.arange(images, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2)
    return Batches(pixels, np.arange(images), CPU, batch_size, order, resident)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("batch_size", [4, 23])
@pytest.mark.parametrize("order", list(ORDERS))
def test_batches_are_those_of_earlier_versions(order, batch_size: int, resident: bool) -> None:
    batches = stream(order(3, 10), batch_size, resident)
    for number, expected in enumerate(ORDERS[order][batch_size]):
        images, labels = batches.batch(number)
        assert labels.tolist() == expected and images.shape == (batch_size, 4, 4, 1)
        assert images.dtype == torch.uint8 and images[:, 3, 3, 0].tolist() == expected
    batches.close()


@pytest.mark.parametrize("order", list(ORDERS))
def test_every_image_is_seen_equally_often(order) -> None:
    batches = stream(order(0, 24), 16, False, images=24)
    labels = torch.cat([batches.batch(n)[1] for n in range(3 * TOGETHER)])
    assert torch.bincount(labels).tolist() == [64] * 24
    batches.close()


def test_a_resumed_training_goes_on_with_the_batch_it_had_reached() -> None:
    whole, resumed = (stream(order_by_epoch(1, 10), 7, resident) for resident in (True, False))
    for number in (0, 1, 70, 3, TOGETHER - 1, TOGETHER, 3):
        for a, b in zip(whole.batch(number), resumed.batch(number), strict=True):
            assert torch.equal(a, b)
    resumed.close()


def test_an_order_drawn_in_turn_cannot_be_asked_out_of_turn() -> None:
    with pytest.raises(ValueError, match="out of order"):
        stream(order_in_turn(1, 10), 7, True).batch(70)
