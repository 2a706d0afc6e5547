"""Draws the data set `shapes`: ten coloured shapes on backgrounds with light, stripes and confetti.

The same pixels come out on every machine: random numbers are the raw stream of PCG64, and images
are computed with sums, products, quotients and square roots of float64, which IEEE 754 fixes. Sines
and exponentials are avoided, because their last digit differs between processors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dreamlab.data.readers import Arrays
from dreamlab.store.cache import user_cache

SIDE = 32
TRAIN_EACH, TEST_EACH = 500, 100
"""Images per class."""
SEED = 20260
CONTENT = "37dd49ac0254fc15"
"""The start of the SHA-256 of all pixels, under which the drawn images are kept. A test compares
it with what is drawn."""
SIZE, ROAM = (8.0, 12.0), 3.0
"""Radius of a shape and distance of its centre from that of the image on each axis, in pixels."""
TURN = 0.2
"""Tangent of half the largest angle of a shape, which is 23 degrees."""
HUE = 0.12
"""Largest difference from the hue of a class, as a share of the colour circle. The hues of classes
are 0.1 apart, so that a colour fits two or three of them and the shape decides."""
PIECES = 2
"""Pieces of confetti per image, over or behind the shape."""
AT_ONCE = 50
"""Images that are drawn together, so that their values fit into the cache of a processor."""


def _length(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.sqrt(x * x + y * y)
    return found


def _max(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.maximum(a, b)
    return found


def _min(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.minimum(a, b)
    return found


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    off = _length(x, y) - 0.62
    return _max(off, -off)


def _crescent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _max(_length(x, y) - 0.85, 0.68 - _length(x - 0.42, y))


def _drop(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # a circle, and a cone whose sides touch it
    sine, cosine = 0.44, 0.8979977728257461
    cone = _max(np.abs(x) * cosine + (y - 0.95) * sine, 0.55 * sine - 0.3 - y)
    return _min(cone, _length(x, y + 0.3) - 0.55)


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # a square on its corner, and a circle on each of its upper sides
    a, b = np.abs(x), y + 0.1
    square = (a + np.abs(b) - 0.8) * 0.7071067811865476
    return _min(square, _length(a - 0.4, b - 0.4) - 0.565685424949238)


def _leaf(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _length(np.abs(x) + 0.6, y)


def _square(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _max(np.abs(x), np.abs(y))


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _max(np.abs(x) * 0.8660254037844386 + y * 0.5, -y)


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # a point of a pentagram is inside at least four of its five lines
    x1, y1, x2, y2 = (
        x * 0.9510565162951535,
        y * 0.3090169943749474,
        x * 0.5877852522924731,
        y * 0.8090169943749475,
    )
    most, second = _max(-y, x1 - y1), _min(-y, x1 - y1)
    for line in (-x1 - y1, x2 + y2, y2 - x2):
        second = _max(second, _min(most, line))
        most = _max(most, line)
    return second


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    a, b = np.abs(x), np.abs(y)
    return _max(_max(a, b) - 0.58, _min(a, b))


Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]
SHAPES: dict[str, tuple[Shape, float]] = {
    "heart": (_heart, 0.0),
    "star": (_star, 0.32),
    "circle": (_length, 0.8),
    "leaf": (_leaf, 1.1),
    "cross": (_cross, 0.27),
    "drop": (_drop, 0.0),
    "square": (_square, 0.68),
    "crescent": (_crescent, 0.0),
    "triangle": (_triangle, 0.46),
    "ring": (_ring, 0.22),
}
"""Class -> (f, edge): f(x, y) is below `edge` inside a shape of about radius 1, and grows with the
distance from it. The hues of the classes go once around the colour circle, from red for the
first."""


class _Random:
    """Uniform numbers from the raw stream of PCG64, which does not depend on numpy's version."""

    def __init__(self, seed: int, count: int):
        self._bits, self._count = np.random.PCG64(seed), count

    def __call__(self, low: float, high: float) -> np.ndarray:
        """float64 (count, 1, 1), from `low` to below `high`."""
        raw = self._bits.random_raw(self._count) >> np.uint64(11)
        numbers: np.ndarray = low + (high - low) * (raw.astype(np.float64) * 2.0**-53)
        return numbers[:, None, None]

    def turn(self, most: float) -> tuple[np.ndarray, np.ndarray]:
        """Cosine and sine of angles; `most` is the tangent of half the largest one."""
        t = self(-most, most)
        return (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)


def _colour(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Red, green and blue, 0 to 1, along a first axis."""
    channels = []
    for n in (5.0, 3.0, 1.0):
        k = np.mod(n + 6 * hue, 6.0)
        channels.append(value * (1 - saturation * np.clip(np.minimum(k, 4 - k), 0, 1)))
    return np.stack(channels)


def _inside(distance: np.ndarray, edge: float = 1.0) -> np.ndarray:
    """The share of a pixel that is inside, by the distance of its centre from the edge."""
    share: np.ndarray = np.clip(0.5 - distance / edge, 0, 1)
    return share


def _over(below: np.ndarray, colour: np.ndarray, share: np.ndarray) -> np.ndarray:
    mixed: np.ndarray = below + (colour - below) * share
    return mixed


def _drawn(number: int, seed: int) -> np.ndarray:
    """AT_ONCE images of the class `number`, uint8 (N, SIDE, SIDE, 3)."""
    (shape, edge), random = list(SHAPES.values())[number], _Random(seed, AT_ONCE)
    at = np.arange(SIDE) + 0.5 - SIDE / 2
    x, y = at[None, None, :], -at[None, :, None]
    picture = _background(random, x, y)
    # the shape: its place, size and angle, a shadow, and light from above
    size = random(*SIZE)
    dx, dy = x - random(-ROAM, ROAM), y - random(-ROAM, ROAM)
    c, s = random.turn(TURN)

    def distance(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
        found = shape((dx * c + dy * s) / size, (dy * c - dx * s) / size)
        pixels: np.ndarray = (found - edge) * size
        return pixels

    shadow = _inside(distance(dx - 1.2, dy + 1.6), 3.0) * random(0.0, 0.4)
    picture = picture * (1 - shadow)
    hue = number / len(SHAPES) + random(-HUE, HUE)
    own = _colour(hue + 1, random(0.5, 0.95), random(0.7, 1.0))
    light = 1 + 0.25 * np.clip((dy - 0.5 * dx) / size, -1, 1)
    pieces = [_piece(random, x, y) for _ in range(PIECES)]
    behind = random(0, 1)  # how many of the pieces lie behind the shape
    for k, (colour, share) in enumerate(pieces):
        picture = _over(picture, colour, share * (behind < (k + 1) / PIECES))
    picture = _over(picture, np.minimum(own * light, 1), _inside(distance(dx, dy)))
    for k, (colour, share) in enumerate(pieces):
        picture = _over(picture, colour, share * (behind >= (k + 1) / PIECES))
    picture = np.floor(np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.moveaxis(picture, 0, -1)


def _background(random: _Random, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Two colours that run into each other, with stripes on some."""
    hue, dark = random(0, 1), random(0, 1) < 0.35
    value = np.where(dark, random(0.2, 0.45), random(0.75, 1.0))
    saturation = random(0.1, 0.5)
    first = _colour(hue, saturation, value)
    second = _colour(hue + random(-0.12, 0.12), saturation, value * random(0.7, 1.0))
    c, s = random.turn(1)
    along = (x * c + y * s) / SIDE
    picture = _over(first, second, np.clip(along + 0.5, 0, 1))
    c, s = random.turn(1)
    wave = (x * c + y * s) / random(5, 12) + random(0, 1)
    wave = np.abs(wave - np.floor(wave) - 0.5) * 4 - 1
    strength = np.where(random(0, 1) < 0.5, random(0.04, 0.16), 0.0)
    striped: np.ndarray = picture * (1 + strength * wave)
    return striped


def _piece(random: _Random, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The colour of a piece of confetti, and the share of each pixel that it covers."""
    colour = _colour(random(0, 1), random(0.3, 0.9), random(0.5, 1.0))
    c, s = random.turn(1)
    dx, dy = x - random(-16, 16), y - random(-16, 16)
    across, along = np.abs(dx * c + dy * s), np.abs(dy * c - dx * s)
    far = np.maximum(across - random(0.6, 1.6), along - random(1.0, 5.0))
    return colour, _inside(far)


def shapes(_: Path, markers: Sequence[str]) -> Arrays:
    """The data set, from the user's cache if it is there. Drawing it takes about two seconds."""
    key = f"shapes/{CONTENT}"
    found = user_cache().get(key) or user_cache().add(key, images=draw())
    labels = np.arange(len(found["images"]), dtype=np.int64) % len(SHAPES)
    n = TRAIN_EACH * len(SHAPES)
    images = found["images"]
    return images[:n], labels[:n], images[n:], labels[n:]


def draw() -> np.ndarray:
    """All images, uint8 (6000, 32, 32, 3). The classes take turns, so that every part of them has
    about equal numbers of each."""
    count = (TRAIN_EACH + TEST_EACH) // AT_ONCE
    of_class = [
        np.concatenate([_drawn(number, SEED + number * count + k) for k in range(count)])
        for number in range(len(SHAPES))
    ]
    return np.stack(of_class, 1).reshape(-1, SIDE, SIDE, 3)
