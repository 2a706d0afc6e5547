"""Downloads image data sets of the Hugging Face hub with the package `datasets` into the cache."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from dreamlab.data.importing.class_folders import TRAIN, split_of
from dreamlab.data.importing.column_source import ColumnSource
from dreamlab.data.importing.limits import Limits
from dreamlab.data.importing.listing import LeftOut
from dreamlab.data.importing.opening import HUB_NAME
from dreamlab.data.importing.shards import TableShard
from dreamlab.data.importing.source import Source
from dreamlab.settings import ImportSpec
from dreamlab.tasks.context import Stopped, TaskError
from dreamlab.tasks.importing.downloads import WAIT, Event, Stopping, message, reason


def huggingface(
    spec: ImportSpec, cache: Path, stopping: Stopping
) -> Generator[Event, None, Source]:
    """The data set that `spec.source` names as huggingface:OWNER/NAME[:CONFIG[:SPLIT]]. Raises
    TaskError, and DataError if its columns cannot be used."""
    # the dashboard sets this variable; this run is allowed to download
    os.environ.pop("HF_HUB_OFFLINE", None)
    try:
        import datasets
    except ImportError:
        raise TaskError(
            f"From (--from): {spec.source} needs the package datasets: run `pip install"
            " 'dreamlab[hf]'`, or download the data set and give its folder."
        ) from None
    named = HUB_NAME.fullmatch(spec.source.partition(":")[2])
    assert named is not None, "check_source has checked it"
    name, config, split = named["name"], named["config"] or None, named["split"] or None
    folder = cache / "huggingface"
    yield message(f"Downloading {name} from the Hugging Face hub into {cache}.")
    found: list[Any] = []

    def fetch() -> None:
        found.append(datasets.load_dataset(name, config, split=split, cache_dir=str(folder)))

    try:
        yield from _in_background(
            fetch, lambda: _downloaded(folder), f"downloading {name}", stopping
        )
    except Stopped:
        raise
    except Exception as error:
        raise TaskError(
            f"{name} could not be downloaded from the Hugging Face hub ({reason(error)}): check"
            " the network and huggingface:OWNER/NAME:CONFIG:SPLIT, or give a folder that holds the"
            " images."
        ) from None
    return hub_source(name, found[0] if split is None else {split: found[0]}, spec)


def hub_source(name: str, splits: Mapping[str, Any], spec: ImportSpec) -> Source:
    """A source for the splits of a loaded data set: its columns are found as those of Parquet
    files. Raises DataError if they cannot be used."""
    shards = [
        TableShard(f"split {key}", split_of(key), held.data.table, held.features.to_dict())
        for key, held in splits.items()
    ]
    shards.sort(key=lambda shard: shard.part or TRAIN)
    return ColumnSource(name, shards, LeftOut(), spec, Limits(), follow=True)


def _in_background(
    work: Callable[[], None], done: Callable[[], int], text: str, stopping: Stopping
) -> Generator[Event, None, None]:
    """Calls `work` in a thread and yields the number of bytes downloaded so far. A stop does not
    wait for the thread."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(WAIT)
        if stopping():
            raise Stopped
        mb = done() // 10**6  # how much there is to download is not known
        yield {"type": "progress", "step": mb, "total": mb, "unit": "MB", "text": text}
    if failed:
        raise failed[0]


def _downloaded(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size
        except OSError:
            continue  # the download may have renamed the file
    return total
