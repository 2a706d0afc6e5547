"""The data sets as cards with small pictures."""

from __future__ import annotations

import dataclasses
import hashlib
import urllib.parse
from collections.abc import Hashable

from markupsafe import Markup

from dreamlab.data import catalog
from dreamlab.service import RunRow, Service
from dreamlab.settings import ImportSpec
from dreamlab.store.states import ACTIVE
from dreamlab.ui.parts import downloads
from dreamlab.ui.render import part

TEMPLATE = "sets.html"
FEW = 8
"""Number of cards that are shown before one asks for all."""
ALSO = (
    "You can also import torchvision:flowers102 (Oxford Flowers, 345 MB), any"
    " huggingface:OWNER/NAME with the extra hf, ImageNet from its folders, and a folder, a ZIP, a"
    " tar, arrays or Parquet files of your own."
)
ORIGINS = ("built in", "imported", "demo", "exported by DreamLab")


@dataclasses.dataclass(frozen=True)
class Card:
    """What the template needs of one set. `info` is None for an import without images, whose `row`
    says its state; `picture` is the address of its small picture, or empty."""

    name: str
    title: str
    origin: str
    synthetic: bool
    info: catalog.Info | None
    row: RunRow | None = None
    picture: str = ""
    refusal: str = ""
    source: str = ""
    text: str = ""
    offer: downloads.Offer | None = None

    @property
    def search(self) -> str:
        """The words by which it is found."""
        kind = "synthetic" if self.synthetic else "real"
        words = (self.title, self.name, self.origin, kind, self.source, self.text)
        return " ".join(words).lower()

    @property
    def counts(self) -> str:
        """Number of images."""
        if self.info is None:
            return ""
        if self.synthetic:
            return f"{self.info.train + self.info.test:,} images"
        return f"{self.info.train:,} training, {self.info.test:,} test"


def cards(service: Service) -> list[Card]:
    """The cards of all sets: imports, the newest first, then the built-in ones."""
    listed = [_imported(service, row) for row in service.rows("import")]
    return [c for c in listed if c] + [named(service, name) for name in catalog.INFO]


def named(service: Service, name: str) -> Card:
    """The card of a built-in set."""
    info = catalog.INFO[name]
    picture = ""
    if info.bundled:
        picture = address(name, catalog.stamp(name))
    offer = downloads.offer(service, name)
    return Card(name, info.title, ORIGINS[0], False, info, picture=picture, offer=offer)


def of_run(service: Service, run: str) -> Card | None:
    """The card of an import; None if it cannot be read."""
    return _imported(service, service.row(run, disk=False))


def about(service: Service, row: RunRow) -> tuple[str, str, str]:
    """Id, name and description of an import. It can be called at every tick."""
    try:
        title = catalog.info(row.id).title if row.state == "done" else row.name
    except catalog.DataError:
        title = row.name
    return row.id, title, service.get(row.id).about.text


def _imported(service: Service, row: RunRow) -> Card | None:
    run = service.get(row.id)
    spec = run.spec
    if not isinstance(spec, ImportSpec):
        return None
    synthetic, origin = spec.role == "synthetic", ORIGINS[2] if row.demo else ORIGINS[1]
    card = Card(
        row.id, row.name, origin, synthetic, None, row, source=service.places.said(spec.source)
    )
    card = dataclasses.replace(card, text=run.about.text)
    if row.state != "done":
        return card
    try:
        known = catalog.info(row.id)
        if catalog.card(row.id).get("exported") and not row.demo:
            origin = ORIGINS[3]
    except catalog.DataError as error:
        return dataclasses.replace(card, refusal=str(error))
    picture = address(row.id, catalog.import_stamp(run.path))
    return dataclasses.replace(card, title=known.title, origin=origin, info=known, picture=picture)


def address(name: str, stamp: Hashable) -> str:
    """The web address of the small picture of a set. It changes when the set changes."""
    version = hashlib.sha256(repr(stamp).encode()).hexdigest()[:12]
    return f"/sets/{urllib.parse.quote(name, safe='')}.png?v={version}"


def version(service: Service) -> Hashable:
    """A key that changes when a card does. It can be called at every tick."""
    found = []
    for run in service.library.runs():
        if run.kind == "import":
            status = service.library.status(run.id, lazy=True)
            done = (status.step, status.total) if status.state in ACTIVE else ()
            found.append((run.id, status.state, run.about, done))
    return tuple(found)


def cards_html(service: Service, looked: str) -> Markup:
    """All sets as cards with a filter. `looked` is the one that is shown below."""
    deleted = service.deleted_sets()
    return part(TEMPLATE, "cards", cards(service), looked, FEW, ORIGINS, ALSO, deleted)
