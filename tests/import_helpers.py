"""Small sources of images to import, and an import without a worker."""

from __future__ import annotations

import io
import resource
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.opening import open_source
from dreamlab.data.importing.write import Progress, import_images
from dreamlab.settings import ImportSpec, make


def picture(seed: int, size: tuple[int, int] = (16, 16), channels: int = 3) -> np.ndarray:
    """Random uint8 (height, width, channels)."""
    return np.random.default_rng(seed).integers(0, 256, (*size, channels), np.uint8)


def encoded(image: np.ndarray | Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """The bytes of an image file."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image)
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def class_files(
    classes: tuple[str, ...] = ("cat", "dog"), each: int = 5, prefix: str = "", channels: int = 3
) -> dict[str, bytes]:
    """Distinct PNG files of 16x16 pixels in class folders, as {name: bytes}."""
    seed = iter(range(10_000 * (1 + len(prefix)), 10**9))
    return {
        f"{prefix}{c}/{i}.png": encoded(picture(next(seed), channels=channels))
        for c in classes
        for i in range(each)
    }


def folder_of(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def zip_of(file: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file


def do_import(
    source: Path | str, folder: Path, limits: Limits | None = None, **values: Any
) -> tuple[dict[str, Any], list[Progress]]:
    """(result, progress) of an import of `source` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = make(ImportSpec, {"source": str(source), **values})
    work = import_images(open_source(spec, limits), spec, folder, 2, limits)
    steps = []
    while True:
        try:
            steps.append(next(work))
        except StopIteration as done:
            return done.value, steps


def peak_mb() -> float:
    """Most memory that this process has held, in MB. Linux hands getrusage's figure down from the
    process that started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**20 if sys.platform == "darwin" else 2**10
    )
