"""Decodes one image of any format to a square uint8 array, or gives the reason why it cannot be
used."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dreamlab.data.importing.array_values import Scale, scale_of_depth
from dreamlab.data.importing.limits import Limits

Raw = bytes | np.ndarray | Image.Image
"""The bytes of a file; a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); or an image opened
by Pillow."""

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "HEIF")
MOVING = {"PNG", "GIF", "WEBP", "TIFF", "AVIF"}
"""Formats in which more than one frame means more than one image. (In JPEG, a second frame is the
thumbnail that phones store.)"""
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
"""Kinds of the photos of phones, in the bytes 8 to 11 of a file after "ftyp"."""
NO_HEIC = "HEIC photo: install pillow-heif (pip install 'dreamlab[heic]') to read it"
DARK = 64
"""Values of 16 bits of which no upper half is this large are of 12 bits or fewer."""
TOO_DARK = "16 bits a channel, of which fewer are used: save it with 8 bits a channel"
FIRST_FRAME = "the first of several frames or pages"
DEEP_GREY = {"I", "I;16", "I;16L", "I;16B", "I;16N"}
DEEPEST = scale_of_depth(65_535)
RULES = {
    "resampling": "bicubic with antialiasing",
    "orientation": "as EXIF says",
    "transparency": "over white",
    "border": "black",
}
"""What is done to every image; it is written to the card."""


class UnexpectedDepth(Exception):
    """An image in grey of 16 bits where none is expected."""


class Unusable(ValueError):
    """An image that is left out. The text is the reason. Reports count equal texts together."""


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How images are brought into one form: `size` pixels a side; `fit` crop, pad or stretch; grey
    or colour; `deep` is the scale of grey of 16 bits, None if there should be none."""

    size: int
    fit: str
    grey: bool
    limits: Limits = Limits()
    deep: Scale | None = DEEPEST

    @property
    def channels(self) -> int:
        """Channels of the result, 1 or 3."""
        return 1 if self.grey else 3

    def __call__(self, raw: Raw) -> tuple[np.ndarray, str]:
        """(the image as uint8 (size, size, channels), what must be said of it or ""). Raises
        Unusable for any input that cannot be used, and UnexpectedDepth."""
        if isinstance(raw, np.ndarray) and raw.shape == (self.size, self.size, self.channels):
            return raw, ""
        with _reasons():
            return self._made(raw)

    def _made(self, raw: Raw) -> tuple[np.ndarray, str]:
        picture = _opened(raw, self.limits, 2 * self.size)
        said = FIRST_FRAME if _frames(picture) > 1 else ""
        coloured = _of_16_bits(raw)
        picture.load()
        if coloured and max(high for _, high in _extrema(picture)) < DARK:
            raise Unusable(TOO_DARK)
        picture = _eight_bits(ImageOps.exif_transpose(picture), self.deep)
        picture = picture.convert("L" if self.grey else "RGB")
        picture = _square(picture, self.size, self.fit)
        return np.asarray(picture, np.uint8).reshape(self.size, self.size, self.channels), said


def highest(raw: Raw, limits: Limits) -> int:
    """The largest value of an image in grey of 16 bits, 0 for any other image and for one that
    cannot be used."""
    try:
        with _reasons():
            picture = _opened(raw, limits, 0)
            found = int(np.asarray(picture).max()) if picture.mode in DEEP_GREY else 0
            return found if found < 2**16 else 0
    except Unusable:
        return 0  # decoding will report the reason


@contextlib.contextmanager
def _reasons() -> Iterator[None]:
    """Turns every error of a decoder into Unusable."""
    try:
        yield
    except (Unusable, UnexpectedDepth):
        raise
    except Exception as error:  # decoders raise many kinds of errors for damaged data
        if isinstance(error, MemoryError):
            raise Unusable("too many pixels") from None
        said = str(error).lower()
        cut = isinstance(error, EOFError) or "truncated" in said or "incomplete" in said
        raise Unusable("truncated" if cut else "damaged") from None


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
            picture = Image.open(io.BytesIO(raw), formats=_formats())
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise Unusable("too many pixels") from None
        except UnidentifiedImageError:
            raise Unusable(_no_image(raw)) from None
    else:
        picture = raw
    if reason := limits.refused_size(*picture.size):
        raise Unusable(reason)
    if enough:
        picture.draft(None, (enough, enough))
    return picture


@functools.cache
def _formats() -> tuple[str, ...]:
    """The formats that can be read here. Photos in HEIC need the package pillow-heif."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(form for form in FORMATS if form in Image.OPEN)


def _frames(picture: Image.Image) -> int:
    return int(getattr(picture, "n_frames", 1)) if picture.format in MOVING else 1


def _no_image(data: bytes) -> str:
    """Why a file that no decoder knows is left out."""
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
        return "damaged" if "HEIF" in _formats() else NO_HEIC
    return "a video" if data[4:8] in (b"ftyp", b"moov", b"mdat") else "not an image"


def _of_16_bits(raw: Raw) -> bool:
    """Whether a file is a PNG in colour or with transparency of 16 bits, by its header. Pillow
    keeps their upper 8 bits."""
    if not isinstance(raw, bytes) or raw[:8] != b"\x89PNG\r\n\x1a\n":
        return False
    return raw[24:25] == b"\x10" and raw[25:26] != b"\0"


def _extrema(picture: Image.Image) -> Sequence[tuple[int, int]]:
    """(least, largest) value of each channel but that of transparency."""
    colours = picture.convert("RGB").getextrema()
    return cast("Sequence[tuple[int, int]]", colours)


def _eight_bits(picture: Image.Image, deep: Scale | None) -> Image.Image:
    """The image in 8 bits per channel, without transparency or palette. Raises Unusable for pixel
    formats that cannot be converted without guessing."""
    if picture.mode in DEEP_GREY:
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > 65535:
            raise Unusable("wrong mode: more than 16 bits of grey")
        if deep is None:
            raise UnexpectedDepth
        return Image.fromarray(deep(values))
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
