"""Everything on disk: run folders, events, files that are written atomically, and the cache."""

from dreamlab.store.cache import ArtefactCache
from dreamlab.store.events import EventReader, EventWriter
from dreamlab.store.files import disk_use, read_json, write_bytes, write_json
from dreamlab.store.run_files import Record, RunError
from dreamlab.store.runs import Folders, Run, RunStore
from dreamlab.store.status import RunStatus, StatusReader

__all__ = [
    "ArtefactCache",
    "EventReader",
    "EventWriter",
    "Folders",
    "Record",
    "Run",
    "RunError",
    "RunStatus",
    "RunStore",
    "StatusReader",
    "disk_use",
    "read_json",
    "write_bytes",
    "write_json",
]
