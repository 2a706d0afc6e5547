"""Files of rows that hold images, Parquet and Arrow (shards), read a few rows at a time."""

from __future__ import annotations

import abc
import contextlib
import importlib
import json
import mmap
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamlab.data.imageset import DataError
from dreamlab.data.importing.class_folders import split_of
from dreamlab.data.importing.files import Files
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.pictures import Unusable

SHARD = re.compile(r"\.(parquet|arrow)$", re.IGNORECASE)
STATE, INFO = "state.json", "dataset_info.json"
"""Files that `datasets.Dataset.save_to_disk` writes beside the shards of a split."""
ROWS = 32
"""Rows of a Parquet file that are in memory at once."""
BUFFER = 2**20
"""Bytes that are read from a Parquet file at once."""
Features = dict[str, dict[str, Any]]
"""Column -> its kind in the package `datasets`, such as {"_type": "ClassLabel", "names": [...]}."""
Batches = Iterator[tuple[int, Any]]
"""Pairs of the number of the first row and a pyarrow.RecordBatch."""


class Shard(abc.ABC):
    """The rows of one file or of one split. `part` is its split (TRAIN, VALIDATION or TEST) or
    None, and `schema` a pyarrow.Schema."""

    name: str
    part: int | None
    count: int
    schema: Any
    features: Features

    @abc.abstractmethod
    def batches(self, columns: Sequence[str], start: int = 0) -> Batches:
        """These columns in order, from the block of the row `start` on. Raises DataError."""

    def block_of(self, row: int) -> int:
        """The first row of the block that holds `row`: reading can begin there."""
        return 0


class ParquetShard(Shard):
    """A Parquet file. Its blocks are row groups."""

    def __init__(self, name: str, data: Callable[[], Path | bytes], limits: Limits):
        self.name, self._data = name, data
        with self._opened() as file:
            meta = file.metadata
            groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
            self.count, self.schema = meta.num_rows, file.schema_arrow
            self._starts = np.cumsum([0, *(group.num_rows for group in groups)])
            limits.check_unpacked(sum(g.total_byte_size for g in groups), _bytes(self._data()))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        with _reading(self.name):
            pq, data = importlib.import_module("pyarrow.parquet"), self._data()
            place = pyarrow().BufferReader(data) if isinstance(data, bytes) else data
            with pq.ParquetFile(place, buffer_size=BUFFER, pre_buffer=False) as file:
                yield file

    def block_of(self, row: int) -> int:
        """See `Shard.block_of`."""
        return int(self._starts[self._group(row)])

    def _group(self, row: int) -> int:
        return int(np.searchsorted(self._starts[1:-1], row, "right"))

    def batches(self, columns: Sequence[str], start: int = 0) -> Batches:
        """See `Shard.batches`."""
        if not self.count:
            return
        group, at = self._group(start), self.block_of(start)
        with self._opened() as file:
            groups = range(group, len(self._starts) - 1)
            for batch in file.iter_batches(ROWS, groups, list(columns), use_threads=False):
                yield at, batch
                at += batch.num_rows


class ArrowShard(Shard):
    """An Arrow file, as a stream or with an index at its end. It is mapped into memory."""

    def __init__(self, name: str, data: Callable[[], Path | bytes]):
        self.name, self._data = name, data
        with self._opened() as (schema, every):
            self.schema, self.count = schema, sum(batch.num_rows for batch in every)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[Any, Iterator[Any]]]:
        with _reading(self.name):
            pa, data = pyarrow(), self._data()
            held = data if isinstance(data, bytes) else _mapped(data)
            indexed = held[:6] == b"ARROW1"
            opener = pa.ipc.open_file if indexed else pa.ipc.open_stream
            reader = opener(pa.BufferReader(pa.py_buffer(held)))
            count = reader.num_record_batches if indexed else 0
            every = map(reader.get_batch, range(count)) if indexed else iter(reader)
            yield reader.schema, _forgetting(every, held)

    def batches(self, columns: Sequence[str], start: int = 0) -> Batches:
        """See `Shard.batches`."""
        at = 0
        with self._opened() as (_, every):
            for batch in every:
                yield at, batch.select(list(columns))
                at += batch.num_rows


def _mapped(file: Path) -> mmap.mmap:
    with open(file, "rb") as opened:
        return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)


def _forgetting(batches: Iterator[Any], held: bytes | mmap.mmap) -> Iterator[Any]:
    """The batches. Pages of earlier ones are given back to the system: those of a map that were
    read count as memory of this process."""
    for batch in batches:
        yield batch
        if isinstance(held, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            held.madvise(mmap.MADV_DONTNEED)


class TableShard(Shard):
    """A split of a data set that the package `datasets` has loaded."""

    def __init__(self, name: str, part: int | None, table: Any, features: Features):
        self.name, self.part, self.features = name, part, features
        self.count, self.schema, self._table = table.num_rows, table.schema, table

    def block_of(self, row: int) -> int:
        """See `Shard.block_of`."""
        return row

    def batches(self, columns: Sequence[str], start: int = 0) -> Batches:
        """See `Shard.batches`."""
        for batch in self._table.select(list(columns)).slice(start).to_batches():
            yield start, batch
            start += batch.num_rows


def pyarrow() -> Any:
    """The package pyarrow. Raises ImportError."""
    return importlib.import_module("pyarrow")


def shards_of(files: Files, limits: Limits) -> list[Shard]:
    """The Parquet and Arrow files of a source, by name. The split of each comes from its name, else
    from its folders, else from the file that `save_to_disk` wrote. Raises DataError if one cannot
    be read, or if the package pyarrow is missing."""
    found: list[Shard] = []
    for name in _names(files):
        shard = _opened(files, name, limits)
        shard.features = features_of(shard.schema) or _features_beside(files, name)
        shard.part = _part(files, name)
        found.append(shard)
    return found


def _opened(files: Files, name: str, limits: Limits) -> Shard:
    def data() -> Path | bytes:
        try:
            return files.place(name)
        except Unusable as error:
            raise DataError(
                f"{name} of {files.title} cannot be read: {error}; unpack the archive and give the"
                " folder."
            ) from None

    try:
        if not _bytes(data()):
            raise DataError(f"{name} of {files.title} is empty; download it again.")
        if name.lower().endswith(".arrow"):
            return ArrowShard(name, data)
        return ParquetShard(name, data, limits)
    except ImportError:
        raise DataError(
            f"From (--from): {name} needs the package pyarrow: run `pip install 'dreamlab[hf]'`."
        ) from None


def _bytes(data: Path | bytes) -> int:
    return len(data) if isinstance(data, bytes) else data.stat().st_size


@contextlib.contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turns the errors of pyarrow into DataError."""
    try:
        yield
    except (DataError, ImportError, MemoryError):
        raise
    except Exception as error:  # damaged data raises ArrowException, OSError and others
        said = (str(error).splitlines() or [type(error).__name__])[0][:120].rstrip(".:")
        raise DataError(f"{name} is damaged: {said}; download or write it again.") from None


def _names(files: Files) -> list[str]:
    """The shards of a source. Of a folder that `save_to_disk` wrote, those that it lists: others
    there are results that were cached."""
    names = sorted(name for name in files.names if SHARD.search(name))
    for state in (n for n in files.names if posixpath.basename(n) == STATE):
        folder = posixpath.dirname(state)
        listed = _json(files.beside(state)).get("_data_files")
        if not isinstance(listed, list):
            continue
        own = {
            posixpath.join(folder, str(entry.get("filename")))
            for entry in listed
            if isinstance(entry, dict)
        }
        there = {name for name in names if posixpath.dirname(name) == folder}
        if gone := sorted(own - set(files.names)):
            if not there & own:
                continue
            raise DataError(
                f"{gone[0]} of {files.title} is missing, which {state} names; copy the whole"
                " folder."
            )
        names = [name for name in names if name not in there or name in own]
    return names


def _part(files: Files, name: str) -> int | None:
    stem = re.sub(r"-\d+-of-\d+$", "", posixpath.splitext(posixpath.basename(name))[0])
    folder = posixpath.dirname(name)
    state = posixpath.join(folder, STATE)
    told = _json(files.beside(state)).get("_split") if state in files.names else None
    near = [stem, *folder.split("/"), told if isinstance(told, str) else ""]
    # the hub writes partial-train, and the package's cache NAME-train
    every = [*map(split_of, near), *(split_of(name.rpartition("-")[2]) for name in near)]
    return next((part for part in every if part is not None), None)


def features_of(schema: Any) -> Features:
    """What the package `datasets` wrote about the columns into a schema; empty without it."""
    info = _json((schema.metadata or {}).get(b"huggingface", b"")).get("info")
    return _kinds(info)


def _features_beside(files: Files, name: str) -> Features:
    beside = posixpath.join(posixpath.dirname(name), INFO)
    return _kinds(_json(files.beside(beside))) if beside in files.names else {}


def _kinds(info: Any) -> Features:
    kinds = info.get("features") if isinstance(info, dict) else None
    if not isinstance(kinds, dict):
        return {}
    return {str(key): kind for key, kind in kinds.items() if isinstance(kind, dict)}


def _json(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data) if data else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
