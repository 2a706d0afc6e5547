"""Pictures in formats that need a rule or a package: deep grey, frames, photos of phones."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dreamlab.data import imageset
from dreamlab.data.imageset import DataError
from dreamlab.data.importing import pictures
from dreamlab.data.importing.pictures import FIRST_FRAME, NO_HEIC
from dreamlab.data.importing.proposal import propose
from dreamlab.settings import ImportSpec, make
from tests.import_helpers import class_files, do_import, encoded, folder_of, picture


def deep(top: int, seed: int) -> bytes:
    """16 x 16 pixels in grey of 16 bits, up to `top`."""
    values = np.random.default_rng(seed).integers(0, top + 1, (16, 16))
    values[0, 0] = 0
    return encoded(Image.fromarray(values.astype(np.uint16)))


def brightest(folder: Path) -> int:
    return int(np.asarray(imageset.load(folder)[0]).max())


@pytest.mark.parametrize(("top", "bits"), [(200, 8), (1000, 10), (4000, 12), (60_000, 16)])
def test_grey_of_16_bits_is_scaled_by_the_bits_that_hold_all_values(
    tmp_path: Path, top: int, bits: int
) -> None:
    files = {f"{c}/{i}.png": deep(top, 10 * i + (c == "b")) for c in "ab" for i in range(6)}
    source = folder_of(tmp_path / "s", files)
    notes = propose(make(ImportSpec, {"source": str(source)}))["notes"]
    assert f"values are of {bits} bits" in notes[0], "said before the import, too"
    result, _ = do_import(source, tmp_path / "run")
    assert f"values are of {bits} bits" in result["preprocessing"]["grey_of_16_bits"]
    assert brightest(tmp_path / "run") == pytest.approx(top * 255 / (2**bits - 1), abs=2)


def test_one_bright_image_sets_the_scale_of_all(tmp_path: Path) -> None:
    files = {f"{c}/{i}.png": deep(1000, 10 * i + (c == "b")) for c in "ab" for i in range(6)}
    files["b/bright.png"] = deep(65_000, 99)
    result, _ = do_import(folder_of(tmp_path / "s", files), tmp_path / "run")
    images = np.asarray(imageset.load(tmp_path / "run")[0])
    assert "16 bits" in result["preprocessing"]["grey_of_16_bits"]
    assert sorted(images.reshape(len(images), -1).max(1).tolist())[-2] < 5


def test_pictures_of_8_bits_say_nothing_of_16(tmp_path: Path) -> None:
    result, _ = do_import(folder_of(tmp_path / "s", class_files()), tmp_path / "run")
    assert "grey_of_16_bits" not in result["preprocessing"]
    assert not any("bits" in note for note in result["notes"])
    assert result["reading"] == "class folders" and result["labelled"] is True


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF", "PNG"])
def test_the_first_frame_is_taken_and_said(tmp_path: Path, form: str) -> None:
    frames = [Image.fromarray(np.full((16, 16), v, np.uint8)) for v in (200, 20, 90)]
    more: dict[str, Any] = {"save_all": True, "append_images": frames[1:]}
    if form == "WEBP":
        more["lossless"] = True
    moving = encoded(frames[0], form, **more)
    files = {**class_files(), f"cat/moving.{form.lower()}": moving}
    result, _ = do_import(folder_of(tmp_path / "s", files), tmp_path / "run")
    assert result["images"] == 11 and result["notes"][0] == f"1 images: {FIRST_FRAME}"
    flat = [i for i in np.asarray(imageset.load(tmp_path / "run")[0]) if len(np.unique(i)) == 1]
    assert [int(i[0, 0, 0]) for i in flat] == [200]


@pytest.mark.parametrize("form", ["HEIF", "AVIF"])
def test_photos_of_phones_are_read(tmp_path: Path, form: str) -> None:
    pictures._formats()  # teaches Pillow to write HEIF too
    smooth = np.repeat(np.repeat(picture(1, (4, 4)), 16, 0), 16, 1)
    files = {**class_files(), "cat/IMG_1.HEIC": encoded(smooth, form, quality=95)}
    result, _ = do_import(folder_of(tmp_path / "s", files), tmp_path / "run", image_size=64)
    assert result["images"] == 11 and not result["left_out"]
    images = np.asarray(imageset.load(tmp_path / "run")[0]).astype(int)
    assert min(np.abs(image - smooth).mean() for image in images) < 8


def test_photos_of_phones_are_named_where_the_package_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    forms = tuple(form for form in pictures.FORMATS if form != "HEIF")
    monkeypatch.setattr(pictures, "_formats", lambda: forms)
    heic = b"\0\0\0\x18ftypheic" + bytes(200)
    files = {**class_files(), "cat/IMG_1.HEIC": heic}
    result, _ = do_import(folder_of(tmp_path / "s", files), tmp_path / "run")
    assert result["left_out"] == [{"file": "cat/IMG_1.HEIC", "reason": NO_HEIC}]


def test_deep_grey_after_many_other_images_gets_the_scale_of_all(tmp_path: Path) -> None:
    files = {f"a/{i:03d}.png": encoded(picture(i, channels=1)) for i in range(200)}
    files |= {f"b/{i}.png": deep(4000, i) for i in range(6)}
    files["a/999.png"] = b"no picture"
    result, _ = do_import(folder_of(tmp_path / "s", files), tmp_path / "run")
    assert "12 bits" in result["preprocessing"]["grey_of_16_bits"]
    assert result["left_out_counts"] == {"not an image": 1}, "counted once"
    images, labels = imageset.load(tmp_path / "run")
    assert len(images) == 206 and np.asarray(images)[np.asarray(labels) == 1].max() > 200


@pytest.mark.parametrize(("factor", "read"), [(257, 10), (16, 0)])
def test_colour_of_16_bits_is_read_unless_fewer_are_used(
    tmp_path: Path, factor: int, read: int
) -> None:
    files = {}
    for name, data in class_files().items():
        image = np.asarray(Image.open(io.BytesIO(data)))
        files[name] = png_of_16_bits(image.astype(">u2") * factor)
    source = folder_of(tmp_path / "s", files)
    if read:
        assert do_import(source, tmp_path / "run")[0]["images"] == read
    else:
        with pytest.raises(DataError, match="save it with 8 bits a channel"):
            do_import(source, tmp_path / "run")


def png_of_16_bits(image: np.ndarray) -> bytes:
    """A PNG of (height, width, 3) in 16 bits, which Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in image)
    head = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(("ending", "form"), [("jfif", "JPEG"), ("avif", "AVIF")])
def test_loose_pictures_with_rarer_endings_are_found(
    tmp_path: Path, ending: str, form: str
) -> None:
    files = {f"{i}.{ending}": encoded(picture(i), form) for i in range(8)}
    result, _ = do_import(folder_of(tmp_path / "s", files), tmp_path / "run")
    assert result["images"] == 8 and result["layout"] == "unlabelled"
