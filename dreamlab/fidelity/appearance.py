"""How images look, without any network: brightness, contrast, colour, background and fine detail,
of real and of synthetic images. Without torch.

It answers questions such as "are the backgrounds too dark?" (study S3) with an interval.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from dreamlab.stats.intervals import Interval

LUMA, AT_ONCE = np.array([0.299, 0.587, 0.114], np.float32), 4096
"""Weights of red, green and blue in the grey level (ITU-R BT.601), and number of images per
step."""
FINE = 0.25
"""Cycles per pixel above which a pattern counts as fine detail: half of the highest frequency."""
MEASURES = ("brightness", "border", "contrast", "colour", "detail")
"""Names of the measures, see `look_of`. Grey images have no colour."""

Look = dict[str, np.ndarray]
"""Measure -> its value for each image (n,)."""


def look_of(images: np.ndarray) -> Look:
    """The measures of each of n images, uint8 (n, H, W, C):

    - brightness, border: mean grey level, 0 black to 1 white, of the whole image and of its border
      pixels, which stand for the background;
    - contrast: standard deviation of the grey levels within the image, 0 to 0.5;
    - colour: largest minus smallest of red, green and blue, averaged over the pixels, 0 to 1;
    - detail: share of the power of the grey image, its mean left out, above `FINE`, 0 to 1.
    """
    parts = [_look(images[at : at + AT_ONCE]) for at in range(0, len(images), AT_ONCE)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _look(images: np.ndarray) -> Look:
    part = np.asarray(images, np.float32) / 255
    grey = part @ LUMA if part.shape[-1] == 3 else part[..., 0]
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, 1:-1, 0], grey[:, 1:-1, -1]], axis=1)
    found = {
        "brightness": grey.mean((1, 2)),
        "border": border.mean(1),
        "contrast": grey.std((1, 2)),
        "detail": _detail(grey),
    }
    if part.shape[-1] == 3:
        found["colour"] = (part.max(-1) - part.min(-1)).mean((1, 2))
    return {name: np.asarray(found[name], np.float64) for name in MEASURES if name in found}


def _detail(grey: np.ndarray) -> np.ndarray:
    h, w = grey.shape[1:]
    power = np.abs(np.fft.fft2(grey - grey.mean((1, 2), keepdims=True))) ** 2
    fine = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)) > FINE
    whole = power.sum((1, 2))
    share: np.ndarray = np.divide(
        (power * fine).sum((1, 2)), whole, out=np.zeros(len(grey)), where=whole > 1e-9
    )
    return share


def appearance(look: Look) -> dict[str, dict[str, float]]:
    """Mean of each measure over the images, and its standard error; 0 for one image."""
    return {
        name: {
            "mean": float(each.mean()),
            "error": float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else 0.0,
        }
        for name, each in look.items()
    }


def differences(
    synthetic: Look,
    real: Look,
    classes: tuple[np.ndarray, np.ndarray] | None = None,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Measure -> mean of the synthetic images minus that of the real ones, with an interval.

    With the classes (n,) of the synthetic and (m,) of the real images, the real ones count so that
    their classes have the shares of the synthetic ones: another mix of classes is no difference.
    Classes of one set alone are left out. Within a class the interval is that of Welch (1947). A
    measure with fewer than two images of a class in either set is left out.
    """
    a, b = classes or tuple(
        np.zeros(len(next(iter(look.values()))), int) for look in (synthetic, real)
    )
    shared = np.intersect1d(a, b)
    counts = [(int((a == c).sum()), int((b == c).sum())) for c in shared]
    if not len(shared) or min(map(min, counts)) < 2:
        return {}
    of_all = sum(n for n, _ in counts)
    found = {}
    for name in synthetic.keys() & real.keys():
        value, parts = 0.0, []
        for c, (n, m) in zip(shared, counts, strict=True):
            x, y, share = synthetic[name][a == c], real[name][b == c], n / of_all
            value += share * float(x.mean() - y.mean())
            parts += [(share**2 * float(v.var(ddof=1)) / k, k - 1) for v, k in ((x, n), (y, m))]
        found[name] = _welch(value, parts, level)
    return {name: found[name] for name in MEASURES if name in found}


def _welch(value: float, parts: list[tuple[float, int]], level: float) -> Interval:
    """parts: (variance of a mean, its degrees of freedom)."""
    variance = sum(v for v, _ in parts)
    if variance <= 0:
        return Interval(value, value, value, level)
    freedom = variance**2 / sum(v**2 / f for v, f in parts)
    half = float(special.stdtrit(freedom, 0.5 + level / 2)) * float(np.sqrt(variance))
    return Interval(value, value - half, value + half, level)
