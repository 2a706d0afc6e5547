"""Philox4x32-10, a counter-based random number generator (Salmon et al. 2011, "Parallel random
numbers: as easy as 1, 2, 3", section 4.3), and Gaussian numbers from it (Box & Muller 1958).

A number depends only on a key and a counter, so that all numbers of a batch are computed at once,
on any device, and each image has numbers of its own.
"""

from __future__ import annotations

import math

import torch

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10
WORD = 0xFFFFFFFF

Words = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def philox(counter: Words, key: int) -> Words:
    """Four random words for each counter of four words. Words are int64 tensors with values below
    2**32, of shapes that broadcast; `key` is 0 to 2**64 - 1."""
    a, b, c, d = counter
    low, high = key & WORD, key >> 32
    for _ in range(ROUNDS):
        # a product of two words wraps around in int64, but its bits are those of the unsigned one
        first, second = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b = (second >> 32 & WORD) ^ b ^ low, second & WORD
        c, d = (first >> 32 & WORD) ^ d ^ high, first & WORD
        low, high = (low + KEY_STEPS[0]) & WORD, (high + KEY_STEPS[1]) & WORD
    return a, b, c, d


def gaussian(
    seed: int, streams: torch.Tensor, count: int, classes: torch.Tensor, draw: int
) -> torch.Tensor:
    """Unit Gaussian numbers, (N, count) float32 on the device of `streams`.

    Row i depends only on seed (0 to 2**64 - 1), streams[i], classes[i] and draw, all below 2**32.
    `streams` and `classes` are (N,) int64. The largest possible value is 6.8, because a word has 32
    bits.
    """
    blocks = torch.arange(-(-count // 4), device=streams.device)[None]
    last = torch.full((), draw, dtype=torch.int64, device=streams.device)
    words = philox((blocks, streams[:, None], classes[:, None], last), seed)
    # float64, so that rounding to float32 hides how each device computes logarithm and cosine
    first, angle, third, other = ((w.double() + 0.5) * 2.0**-32 for w in words)
    numbers = []
    for radius, turn in ((first, angle), (third, other)):
        length = (-2 * radius.log()).sqrt()
        numbers += [length * (2 * math.pi * turn).cos(), length * (2 * math.pi * turn).sin()]
    return torch.stack(numbers, -1).flatten(1)[:, :count].float()
