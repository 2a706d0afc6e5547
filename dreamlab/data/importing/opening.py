"""Opens the source that a setting names: a folder, a ZIP, a tar, arrays, Parquet or Arrow files.
Also recognises the names of downloads."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import get_args

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.arrays import OPENED, holds_images, open_arrays
from dreamlab.data.importing.column_source import ColumnSource, open_columns
from dreamlab.data.importing.files import Files
from dreamlab.data.importing.folders import FolderFiles, LoneFile
from dreamlab.data.importing.layouts import recognised
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.official import open_official
from dreamlab.data.importing.shards import INFO, SHARD
from dreamlab.data.importing.source import FileSource, Source
from dreamlab.data.importing.svhn import is_svhn
from dreamlab.data.importing.tars import TarFiles, is_tar
from dreamlab.data.importing.within import open_within
from dreamlab.data.importing.zips import ZipFiles
from dreamlab.settings import ImportSpec
from dreamlab.settings.names import TorchvisionName

HUB_NAME = re.compile(
    r"(?P<name>(?!.*\.\.)[\w.-]+/[\w.-]+)(:(?P<config>[\w.-]*)(:(?P<split>\w+))?)?"
)
"""OWNER/NAME, OWNER/NAME:CONFIG or OWNER/NAME:CONFIG:SPLIT; CONFIG may be empty."""


def is_download(source: str) -> bool:
    """Whether a source names a download instead of a path."""
    return source.partition(":")[0] in ("torchvision", "huggingface")


def check_source(source: str) -> None:
    """Raises DataError if a source does not exist or is not known. It downloads nothing and reads
    no images."""
    scheme, _, name = source.partition(":")
    known = get_args(TorchvisionName)
    if scheme == "torchvision" and name not in known:
        raise DataError(
            f"From (--from): {source} is not known; there are"
            f" torchvision:{', torchvision:'.join(known)}."
        )
    if scheme == "huggingface" and not HUB_NAME.fullmatch(name):
        raise DataError(
            f"From (--from): {source} cannot be used; it must be huggingface:OWNER/NAME, with"
            " :CONFIG or :CONFIG:SPLIT behind it to choose a part."
        )
    if scheme == "huggingface" and Path(name).exists():
        raise DataError(
            f"From (--from): {name} is a folder here, not a name on the hub: give it without"
            " huggingface:."
        )
    if not is_download(source):
        _path(source)


def _path(source: str) -> Path:
    """The path of a source. Raises DataError if it does not exist, or is a file other than a ZIP or
    an .npz."""
    try:
        path = Path(source).expanduser()
        there = path.exists()
    except (OSError, ValueError, RuntimeError):  # name too long, null byte, unknown home folder
        there = False
    if not there:
        raise DataError(
            f"From (--from): {source!r} does not exist; give a folder, a ZIP, a tar, an .npz or"
            " a Parquet file."
        )
    known = is_tar(path) or path.suffix.lower() in OPENED or SHARD.search(path.name)
    if path.is_file() and known and path.stat().st_size:
        return path
    if not path.is_dir() and not (path.is_file() and zipfile.is_zipfile(path)):
        what = (
            "is empty"
            if path.is_file() and not path.stat().st_size
            else "is neither a folder nor a complete ZIP, tar or .npz file"
        )
        raise DataError(
            f"From (--from): {path.name} {what}; unpack other archives and give the folder."
        )
    return path


def open_source(spec: ImportSpec, limits: Limits | None = None) -> Source:
    """Opens a folder, a ZIP, a tar, arrays, Parquet or Arrow files. Raises DataError if it cannot
    be used at all."""
    path, limits = _path(spec.source), limits or Limits()
    source = _opened(path, spec, limits)
    if spec.image_column and not isinstance(source, ColumnSource):
        source.close()
        raise DataError(
            f"Image column (--image-column): {path.name} has no columns of images; leave it out."
        )
    return source


def _opened(path: Path, spec: ImportSpec, limits: Limits) -> Source:
    if path.is_dir() and (official := open_official(path)):
        return official
    if path.suffix.lower() in OPENED or is_svhn(path):
        return open_arrays(path, limits, spec)
    if path.is_dir() and holds_images(path):
        return open_arrays(path, limits, spec)
    files = _files(path, limits)
    try:
        return (
            open_within(files, spec, limits)
            or open_columns(files, spec, limits)
            or FileSource(recognised(files, spec), files)
        )
    except BaseException:
        files.close()
        raise


def _files(path: Path, limits: Limits) -> Files:
    if path.is_dir():
        return FolderFiles(path, limits)
    if SHARD.search(path.name):
        return LoneFile(path, limits, (INFO,))
    return TarFiles(path, limits) if is_tar(path) else ZipFiles(path, limits)
