"""Source of an import: files of arrays inside a folder or an archive, such as an .npz in a ZIP or
the files in which a data set was published. Those of an archive are copied to a temporary
folder."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.array_files import ArrayFile
from dreamlab.data.importing.arrays import OPENED, array_source, open_file
from dreamlab.data.importing.files import Files
from dreamlab.data.importing.folders import FolderFiles
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import PICTURE, Doubt, some
from dreamlab.data.importing.original_files import Original, OriginalFiles, originals
from dreamlab.data.importing.shards import SHARD
from dreamlab.data.importing.source import Source
from dreamlab.data.importing.svhn import NAME as SVHN
from dreamlab.settings import ImportSpec


def open_within(files: Files, spec: ImportSpec, limits: Limits) -> Source | None:
    """A source for the arrays inside `files`; None if they hold pictures or Parquet files, or no
    arrays. `files` are closed if there is one. Raises DataError if the arrays cannot be used, or
    if there are several."""
    names = [*files.names, *files.packed]
    if any(PICTURE.search(name) or SHARD.search(name) for name in names):
        return None
    found, arrays = originals(names), _arrays(names)
    if not found and not arrays:
        return None
    held = tempfile.TemporaryDirectory(prefix="dreamlab-")
    try:
        if found:
            opened, spec = _original(files, found, spec, Path(held.name))
        else:
            opened = open_file(_together(files, arrays, Path(held.name)))
        opened.held = held
        source = array_source(opened, limits, spec)
    except BaseException:
        held.cleanup()
        raise
    files.close()
    return source


def _original(
    files: Files, found: Sequence[Original], spec: ImportSpec, place: Path
) -> tuple[ArrayFile, ImportSpec]:
    """The published data set among `found` that the setting `labels` names as SET:KEY, else the
    first, with a doubt if there are several. The settings without this name."""
    wanted, _, key = spec.labels.partition(":")
    names = [one.name for one in found]
    if wanted in names:
        chosen = found[names.index(wanted)]
        spec = spec.model_copy(update={"labels": f":{key}" if key else ""})
    else:
        chosen = found[0]
    paths = {
        what: _path(files, name, place / PurePosixPath(name).name)
        for what, name in chosen.files.items()
    }
    opened = OriginalFiles(chosen, paths)
    if len(found) > 1 and wanted not in names and spec.layout == "auto":
        answers = tuple((name, {"labels": f"{name}:"}) for name in names)
        opened.doubts = (Doubt(f"{files.title} holds several data sets.", answers),)
    return opened, spec


def _arrays(names: Sequence[str]) -> list[str]:
    """The files of arrays that belong together: one .npz or .mat, the two of SVHN, or the .npy
    files of one folder. Empty if there are none. Raises DataError if there are several."""
    endings = {name: PurePosixPath(name).suffix.lower() for name in names}
    found = [name for name, ending in endings.items() if ending in OPENED]
    alone = [name for name in found if endings[name] != ".npy"]
    digits = [name for name in alone if SVHN.fullmatch(PurePosixPath(name).name)]
    if digits and len({PurePosixPath(name).parent for name in digits}) == 1:
        return digits
    if len(alone) == 1:
        return alone
    if len(alone) > 1 or len({PurePosixPath(name).parent for name in found}) > 1:
        raise DataError(
            f"There are several files of arrays ({some(found)}): give one of them, unpacked if it"
            " is in an archive."
        )
    return found


def _together(files: Files, names: Sequence[str], place: Path) -> Path:
    """The path of one file, or of a folder that holds several and nothing else."""
    paths = [_path(files, name, place / PurePosixPath(name).name) for name in names]
    if len(paths) == 1 and PurePosixPath(names[0]).suffix.lower() != ".npy":
        return paths[0]
    return paths[0].parent


def _path(files: Files, name: str, copy: Path) -> Path:
    """Where a file lies on disk; one of an archive is copied."""
    return files.place(name) if isinstance(files, FolderFiles) else files.copied(name, copy)
