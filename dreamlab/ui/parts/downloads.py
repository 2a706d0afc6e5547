"""The download of a published data set with one click."""

from __future__ import annotations

import dataclasses

from dreamlab.data.importing.published import PUBLISHED, folder_of
from dreamlab.service import Service
from dreamlab.settings import ImportSpec


@dataclasses.dataclass(frozen=True)
class Offer:
    """A data set that can be downloaded: its name, the size of the download, and what to put where
    if there is no network."""

    name: str
    megabytes: int
    by_hand: str


def offer(service: Service, name: str) -> Offer | None:
    """The download of a data set; None if there is none."""
    if name not in PUBLISHED:
        return None
    published = PUBLISHED[name]
    folder = folder_of(name, service.store.folders.cache)
    return Offer(name, published.megabytes, published.by_hand(folder))


def start(service: Service, name: str) -> str:
    """Starts the download and import of a data set, or goes on with one that was stopped or
    failed. Returns the run. Raises Refused."""
    spec = service.check("import", {"source": f"torchvision:{name}"})
    for row in service.rows("import"):
        known = service.get(row.id).spec
        if row.resumable and isinstance(known, ImportSpec) and known == spec:
            service.resume(row.id)
            return row.id
    return service.submit(spec).run
