"""The finished demo run that comes with the product: unpacked into `runs/` at the first start, so
that no page is empty."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np

from dreamlab.store import ArtefactCache, RunStore

ARCHIVE = Path(__file__).resolve().parents[2] / "assets" / "demo.zip"
CACHE_FOLDER = "cache/"
"""Members below this are `.npz` artefacts, one per cache key (the trained feature extractor of the
demo's numbers)."""


def install(store: RunStore, archive: Path = ARCHIVE) -> bool:
    """Unpacks once per runs folder: a demo that was deleted does not come back. True where it was
    unpacked now."""
    marker = store.folders.engine / "demo-installed"
    if marker.exists() or not archive.exists():
        return False
    staging = store.folders.engine / "demo-unpacking"
    shutil.rmtree(staging, ignore_errors=True)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(staging)
    _install_cache(store, staging / CACHE_FOLDER)
    for run in sorted((staging / "runs").iterdir()):
        if not (store.folder / run.name).exists():
            os.rename(run, store.folder / run.name)
    shutil.rmtree(staging, ignore_errors=True)
    marker.touch()
    return True


def _install_cache(store: RunStore, folder: Path) -> None:
    if not folder.is_dir():
        return
    cache = ArtefactCache(store.folders.cache)
    for file in folder.rglob("*.npz"):
        key = file.relative_to(folder).as_posix().removesuffix(".npz")
        if cache.get(key) is None:
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
                cache.put(key, **{name: arrays[name] for name in arrays.files})
    cache.close()
