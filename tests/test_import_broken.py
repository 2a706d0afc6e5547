"""Broken, hostile and odd input: each file is left out with its reason, each source refused with
one sentence, and nothing half-done stays."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.opening import check_source
from tests.import_helpers import class_files, do_import, encoded, folder_of, picture, zip_of

WHOLE = encoded(picture(1, (64, 64)))
PHOTO = encoded(picture(2, (64, 64)), "JPEG")


def _huge() -> bytes:
    """A PNG whose header promises 60,000 x 60,000 pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 9))
        + chunk(b"IEND", b"")
    )


def _damaged() -> bytes:
    data = bytearray(WHOLE)
    data[60:4000] = bytes(3940)
    return bytes(data)


BROKEN: dict[str, tuple[bytes, str]] = {
    "notes.txt": (b"these are my cats", "not an image"),
    "text.png": (b"this says png and is none", "not an image"),
    "page.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    "script.eps": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
        "not an image",
    ),
    "empty.png": (b"", "empty"),
    "cut.png": (WHOLE[: len(WHOLE) // 2], "truncated"),
    "cut.jpg": (PHOTO[: len(PHOTO) // 2], "truncated"),
    "header.jpg": (PHOTO[:3], "not an image"),
    "damaged.png": (_damaged(), "damaged"),
    "bomb.png": (_huge(), "too many pixels"),
    "wide.png": (encoded(np.zeros((8, 3000), np.uint8)), "too many pixels"),
    "dot.gif": (encoded(np.zeros((1, 1), np.uint8), "GIF"), "smaller than 4 pixels"),
    "photo.heic": (b"\0\0\0\x18ftypheic" + bytes(200), "damaged"),
    "clip.mov": (b"\0\0\0\x14ftypqt  " + bytes(200), "a video"),
    "float.tiff": (
        encoded(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"),
        "wrong mode: pixels that are not whole numbers",
    ),
    "deep.tiff": (
        encoded(Image.fromarray(np.full((8, 8), 2**20, np.int32)), "TIFF"),
        "wrong mode: more than 16 bits of grey",
    ),
    "large.bmp": (encoded(picture(3, (120, 120)), "BMP"), "too large a file"),
    ".hidden.png": (WHOLE, "hidden or system file"),
    "Thumbs.db": (b"\xd0\xcf\x11\xe0", "hidden or system file"),
    "again.png": (class_files()["cat/0.png"], "duplicate of an earlier image"),
}
LIMITS = Limits(pixels=20_000, file_bytes=40_000)


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_broken_file_is_left_out_with_its_reason_and_the_rest_is_taken(
    tmp_path: Path, name: str, packed: bool
) -> None:
    data, reason = BROKEN[name]
    files = {**class_files(), f"cat/{name}": data}
    source = zip_of(tmp_path / "s.zip", files) if packed else folder_of(tmp_path / "s", files)
    result, _ = do_import(source, tmp_path / "run", LIMITS)
    assert result["left_out"] == [{"file": f"cat/{name}", "reason": reason}]
    assert result["left_out_counts"] == {reason: 1} and result["per_class"] == [5, 5]


def _outside(folder: Path) -> None:
    folder_of(folder.parent / "secret", {"x.png": WHOLE})
    (folder / "cat" / "link.png").symlink_to(folder.parent / "secret" / "x.png")


FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "symbolic link that leaves the folder": (_outside, "cat/link.png"),
    "symbolic link to a folder": (lambda f: (f / "more").symlink_to(f / "cat"), "more"),
    "symbolic link that leads nowhere": (
        lambda f: (f / "cat" / "gone.png").symlink_to(f / "cat" / "nothing.png"),
        "cat/gone.png",
    ),
    "no regular file": (lambda f: os.mkfifo(f / "cat" / "pipe.png"), "cat/pipe.png"),
    "not in a class folder": (lambda f: (f / "loose.png").write_bytes(WHOLE), "loose.png"),
    "class without images": (lambda f: (f / "bird").mkdir(), "bird/"),
    "hidden or system file": (lambda f: folder_of(f, {".git/config": b""}), ".git"),
    "duplicate of an earlier image of another class": (
        lambda f: (f / "dog" / "x.png").write_bytes(class_files()["cat/0.png"]),
        "dog/x.png",
    ),
}


@pytest.mark.parametrize("reason", FOLDERS)
def test_what_is_no_image_of_this_folder_is_left_out(tmp_path: Path, reason: str) -> None:
    make, name = FOLDERS[reason]
    folder = folder_of(tmp_path / "s", class_files())
    make(folder)
    result, _ = do_import(folder, tmp_path / "run", layout="top")
    assert result["left_out"] == [{"file": name, "reason": reason}] and result["images"] == 10


def test_an_unreadable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, scandir = folder_of(tmp_path / "s", class_files(("cat", "dog", "bird"))), os.scandir

    def denied(path: Path) -> object:
        if str(path).endswith("bird"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    result, _ = do_import(folder, tmp_path / "run", layout="top")
    assert result["left_out"][0] == {"file": "bird/", "reason": "unreadable"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../evil.png", "path outside the folder"),
        ("/etc/evil.png", "path outside the folder"),
        ("cat/../../evil.png", "path outside the folder"),
        ("C:/evil.png", "path outside the folder"),
        ("cat\\..\\evil.png", "path outside the folder"),
        ("__MACOSX/cat/._1.png", "hidden or system file"),
        ("cat/inner.zip", "archive inside the archive"),
        ("cat/inner.tar.gz", "archive inside the archive"),
    ],
)
def test_a_hostile_name_in_a_zip_is_left_out(tmp_path: Path, name: str, reason: str) -> None:
    source = zip_of(tmp_path / "s.zip", {**class_files(), name: WHOLE})
    result, _ = do_import(source, tmp_path / "run")
    assert result["left_out"] == [{"file": name, "reason": reason}] and result["images"] == 10
    assert not list(tmp_path.rglob("evil.png"))


def test_members_of_a_zip_that_are_links_encrypted_damaged_or_named_twice(tmp_path: Path) -> None:
    files = class_files()
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        link = zipfile.ZipInfo("cat/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("cat/0.png", WHOLE)
        archive.writestr("cat/bad.png", WHOLE)
        locked = zipfile.ZipInfo("cat/locked.png")
        archive.writestr(locked, WHOLE)
        offset = archive.getinfo("cat/bad.png").header_offset + 200
        locked.flag_bits |= 1
    data = bytearray((tmp_path / "s.zip").read_bytes())
    data[offset : offset + 50] = bytes(50)
    (tmp_path / "s.zip").write_bytes(data)
    result, _ = do_import(tmp_path / "s.zip", tmp_path / "run")
    assert {f["file"]: f["reason"] for f in result["left_out"]} == {
        "cat/link.png": "symbolic link",
        "cat/0.png": "name given twice",
        "cat/bad.png": "damaged",
        "cat/locked.png": "encrypted",
    }
    assert result["images"] == 10


def _array_zip(file: Path, key: str, shape: tuple[int, ...], data: bytes) -> Path:
    """An .npz whose header promises more than there is."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    labels = io.BytesIO()
    np.save(labels, np.arange(shape[0]) % 2)
    return zip_of(file, {f"{key}.npy": header.getvalue() + data, "labels.npy": labels.getvalue()})


def _npz(file: Path, **arrays: object) -> Path:
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file


def _images(n: int = 10) -> np.ndarray:
    return np.stack([picture(i) for i in range(n)])


def _encrypted(file: Path) -> Path:
    info = zipfile.ZipInfo("cat/1.png")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(info, WHOLE)
        info.flag_bits |= 1
    return file


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nowhere": (
        lambda p: p / "nowhere",
        "does not exist; give a folder, a ZIP, a tar, an .npz or a Parquet file",
    ),
    "empty folder": (
        lambda p: folder_of(p, {}),
        "holds no images that can be read; put the images of each class",
    ),
    "one image": (
        lambda p: folder_of(p / "s", {**class_files(), "bird/1.png": WHOLE}),
        "Class bird of s is left without training images: 1 of its files can be used",
    ),
    "no image": (
        lambda p: folder_of(p / "s", {"cat/1.png": b"x", "dog/1.png": b"y"}),
        "holds no image that can be used .*2 not an image",
    ),
    "spoilt class": (
        lambda p: folder_of(p / "s", {**class_files(), "bird/1.png": b"x", "bird/2.png": b"y"}),
        "Class bird .* 0 of its files .*2 not an image",
    ),
    "class only in train": (
        lambda p: folder_of(
            p / "s", {**class_files(("a", "b"), 3, "train/"), **class_files(("a",), 3, "test/")}
        ),
        "Class b .* test images",
    ),
    "class only in test": (
        lambda p: folder_of(
            p / "s",
            {**class_files(("a", "b"), 3, "train/"), **class_files(("a", "b", "c"), 3, "test/")},
        ),
        "Class c .* training images",
    ),
    "empty file": (lambda p: folder_of(p, {"a.zip": b""}) / "a.zip", "a.zip is empty"),
    "cut zip": (
        lambda p: (
            folder_of(p, {"c.zip": zip_of(p / "w.zip", class_files()).read_bytes()[:900]}) / "c.zip"
        ),
        "neither a folder nor a complete ZIP",
    ),
    "tar": (lambda p: folder_of(p, {"a.tar": b"ustar" * 300}) / "a.tar", "cannot be read as a tar"),
    "rar": (
        lambda p: folder_of(p, {"a.rar": b"Rar!" * 300}) / "a.rar",
        "unpack other archives and give the folder",
    ),
    "encrypted zip": (lambda p: _encrypted(p / "e.zip"), "is encrypted: unpack it"),
    "bomb zip": (
        lambda p: zip_of(
            p / "b.zip", {f"{c}/{c}.png": bytes(400_000) for c in "abcd"}, zipfile.ZIP_DEFLATED
        ),
        "unpacks to more than 1 MiB, far more than pictures would",
    ),
    "npz without keys": (
        lambda p: _npz(p / "n.npz", a=_images(), b=np.arange(10)),
        "holds a, b; what can be read is x_train, y_train",
    ),
    "npz of floats": (
        lambda p: _npz(p / "n.npz", images=_images() - 300.0, labels=np.arange(10) % 2),
        "images holds values from -300 to -4.*; floats from 0 to 1 or from -1 to 1",
    ),
    "npz of vectors": (
        lambda p: _npz(p / "n.npz", images=_images().reshape(10, -1), labels=np.arange(10) % 2),
        r"has shape \(10, 768\)",
    ),
    "npz of objects": (
        lambda p: _npz(p / "n.npz", images=np.array([None] * 3, object), labels=np.arange(3)),
        "Python objects, which are not loaded",
    ),
    "npz with few labels": (
        lambda p: _npz(p / "n.npz", images=_images(), labels=np.arange(3)),
        r"labels has shape \(3,\) for 10 images",
    ),
    "npz with several labels an image": (
        lambda p: _npz(p / "n.npz", images=_images(), labels=np.ones((10, 3))),
        r"labels has shape \(10, 3\), but its rows are not one-hot",
    ),
    "npz with float labels": (
        lambda p: _npz(p / "n.npz", images=_images(), labels=np.arange(10) / 3),
        "labels holds float64 that are no whole numbers",
    ),
    "npz that promises more": (
        lambda p: _array_zip(p / "n.npz", "images", (10, 8, 8, 3), bytes(500)),
        "is damaged: it ends after 2 of 10 images",
    ),
    "npz that promises a world": (
        lambda p: _array_zip(p / "n.npz", "images", (2, 10**6, 10**6, 3), b""),
        "holds images of 1000000x1000000",
    ),
    "npz that is text": (
        lambda p: folder_of(p, {"n.npz": b"hello"}) / "n.npz",
        "n.npz cannot be read",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_source_that_cannot_be_a_data_set_is_refused_and_leaves_nothing(
    tmp_path: Path, case: str
) -> None:
    make, says = REFUSED[case]
    (tmp_path / "source").mkdir()
    run = tmp_path / "run"
    with pytest.raises(DataError, match=says) as error:
        do_import(make(tmp_path / "source"), run, Limits(unpacked_bytes=2**20))
    assert "\n" not in str(error.value) and str(error.value).endswith(".")
    assert not [f for f in run.rglob("*") if f.is_file()]


@pytest.mark.parametrize("source", ["x" * 5000, "a\0b", "~nobody-of-this-name/x", "/dev/null", " "])
def test_a_name_that_can_be_no_source_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(DataError, match=r"From \(--from\): "):
        check_source(source)


def test_too_many_files_and_too_many_classes_are_refused(tmp_path: Path) -> None:
    files = class_files(tuple("abcdef"), 2)
    for limits, says in (
        (Limits(files=11), "11 files"),
        (Limits(classes=5), "has 6 classes; at most 5"),
    ):
        for source in (folder_of(tmp_path / "s", files), zip_of(tmp_path / "s.zip", files)):
            with pytest.raises(
                DataError, match=says if limits.files != 11 else r"11 (files|are allowed)"
            ):
                do_import(source, tmp_path / "run", limits)


def test_labels_out_of_range_in_an_npz_are_left_out(tmp_path: Path) -> None:
    labels = np.array([0, 1, -1, 0, 1, 7, 0, 1, 0, 1])
    result, _ = do_import(
        _npz(
            tmp_path / "n.npz",
            images=_images(),
            labels=labels,
            classes=np.array(["cat", "dog", "bird"]),
        ),
        tmp_path / "run",
    )
    assert result["left_out_counts"] == {"label out of range": 2, "class without images": 1}
    assert result["classes"] == ["cat", "dog"] and result["per_class"] == [4, 4]
    assert result["left_out"][0] == {"file": "image 2", "reason": "label out of range"}
