"""Decodes one image of any format to a square uint8 array, or gives the reason why it cannot be
used."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dreamlab.data.importing.limits import Limits

Raw = bytes | np.ndarray | Image.Image
"""The bytes of a file; a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); or an image opened
by Pillow."""

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
MOVING = {"PNG", "GIF", "WEBP", "TIFF"}
"""Formats in which more than one frame means more than one image. (In JPEG, a second frame is the
thumbnail that phones store.)"""
DEEP_GREY = {"I", "I;16", "I;16L", "I;16B", "I;16N"}
RULES = {
    "resampling": "bicubic with antialiasing",
    "orientation": "as EXIF says",
    "transparency": "over white",
    "grey_of_16_bits": "divided by 257",
    "border": "black",
}
"""What is done to every image; it is written to the card."""


class Unusable(ValueError):
    """An image that is left out. The text is the reason. Reports count equal texts together."""


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How images are brought into one form: `size` pixels a side; `fit` crop, pad or stretch; grey
    or colour."""

    size: int
    fit: str
    grey: bool
    limits: Limits = Limits()

    @property
    def channels(self) -> int:
        """Channels of the result, 1 or 3."""
        return 1 if self.grey else 3

    def __call__(self, raw: Raw) -> np.ndarray:
        """The image as uint8 (size, size, channels). Raises Unusable, and no other error, for any
        input."""
        if isinstance(raw, np.ndarray) and raw.shape == (self.size, self.size, self.channels):
            return raw
        try:
            return self._made(raw)
        except Unusable:
            raise
        except Exception as error:  # decoders raise many kinds of errors for damaged data
            if isinstance(error, MemoryError):
                raise Unusable("too many pixels") from None
            cut = (
                isinstance(error, EOFError)
                or "truncated" in str(error)
                or "incomplete" in str(error).lower()
            )
            raise Unusable("truncated" if cut else "damaged") from None

    def _made(self, raw: Raw) -> np.ndarray:
        picture = _opened(raw, self.limits, 2 * self.size)
        picture.load()
        picture = _eight_bits(ImageOps.exif_transpose(picture))
        picture = picture.convert("L" if self.grey else "RGB")
        picture = _square(picture, self.size, self.fit)
        return np.asarray(picture, np.uint8).reshape(self.size, self.size, self.channels)


def size_of(raw: Raw) -> tuple[int, int] | None:
    """(shorter, longer) side in pixels, read from the header; None if the image is not usable."""
    try:
        picture = _opened(raw, Limits(), 0)
    except Exception:  # decoding will report the reason
        return None
    return min(picture.size), max(picture.size)


def _opened(raw: Raw, limits: Limits, enough: int) -> Image.Image:
    """The image, of which only the header has been read. A large JPEG may later be decoded at a
    reduced size of at least `enough` pixels a side. Raises Unusable."""
    if isinstance(raw, np.ndarray):
        picture = Image.fromarray(raw[..., 0] if raw.ndim == 3 and raw.shape[2] == 1 else raw)
    elif isinstance(raw, bytes):
        if not raw:
            raise Unusable("empty")
        try:
            picture = Image.open(io.BytesIO(raw), formats=FORMATS)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise Unusable("too many pixels") from None
        except UnidentifiedImageError:
            raise Unusable("not an image") from None
    else:
        picture = raw
    if reason := limits.refused_size(*picture.size):
        raise Unusable(reason)
    if picture.format in MOVING and getattr(picture, "n_frames", 1) > 1:
        raise Unusable("animated, or with several pages")
    if enough:
        picture.draft(None, (enough, enough))
    return picture


def _eight_bits(picture: Image.Image) -> Image.Image:
    """The image in 8 bits per channel, without transparency or palette. Raises Unusable for pixel
    formats that cannot be converted without guessing."""
    if picture.mode in DEEP_GREY:
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise Unusable("wrong mode: more than 16 bits of grey")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if picture.mode == "F":
        raise Unusable("wrong mode: pixels that are not whole numbers")
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return picture


def _square(picture: Image.Image, size: int, fit: str) -> Image.Image:
    if picture.size == (size, size):
        return picture
    w, h = picture.size
    if fit == "crop":
        side = min(w, h)
        left, top = (w - side) / 2, (h - side) / 2
        box = (left, top, left + side, top + side)
        return picture.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    if fit == "stretch":
        return picture.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    scale = size / max(w, h)
    inner = max(1, round(w * scale)), max(1, round(h * scale))
    out = Image.new(picture.mode, (size, size))
    small = picture.resize(inner, Image.Resampling.BICUBIC, reducing_gap=3.0)
    out.paste(small, ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return out
