"""The demo: finished runs that come with the code. The dashboard unpacks them at its first start,
so that no page is empty. The command line unpacks them only if a command names `demo`."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from dreamlab.paths import DEMO
from dreamlab.service.refused import Refused
from dreamlab.store import RunStore


def is_installed(store: RunStore) -> bool:
    """Whether the demo has been unpacked into this runs folder before."""
    return _marker(store).exists()


def install(store: RunStore, archive: Path = DEMO) -> bool:
    """Unpacks the demo, once per runs folder: a demo that was deleted does not come back. Returns
    whether it was unpacked now."""
    marker = _marker(store)
    if marker.exists() or not archive.exists():
        return False
    staging = store.folders.engine / "demo-unpacking"
    shutil.rmtree(staging, ignore_errors=True)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(staging, [n for n in packed.namelist() if n.startswith("runs/")])
    for run in sorted((staging / "runs").iterdir()):
        if not (store.folder / run.name).exists():
            os.rename(run, store.folder / run.name)
    shutil.rmtree(staging, ignore_errors=True)
    marker.touch()
    return True


@functools.cache
def run_id(kinds: tuple[str, ...], archive: Path = DEMO) -> str:
    """The id of the oldest demo run of one of these kinds that was not made for an experiment.
    Raises Refused if there is none."""
    with zipfile.ZipFile(archive) as packed:
        records = [
            json.loads(packed.read(name))
            for name in packed.namelist()
            if name.startswith("runs/") and name.endswith("/spec.json")
        ]
    fits = [r["id"] for r in records if r["kind"] in kinds and not r["group"]]
    if not fits:
        raise Refused(f"The demo has no {' or '.join(kinds)} run.", "run")
    return str(min(fits))


@contextlib.contextmanager
def borrowed(store: RunStore) -> Iterator[Path]:
    """A temporary runs folder that contains the demo, and links to the runs of `store`."""
    with tempfile.TemporaryDirectory(prefix="dreamlab-") as folder:
        other = RunStore(Path(folder) / "runs")
        other.prepare()
        for name in store.ids():
            (other.folder / name).symlink_to(store.folder / name, target_is_directory=True)
        install(other)
        yield other.folder


def _marker(store: RunStore) -> Path:
    return store.folders.engine / "demo-installed"
