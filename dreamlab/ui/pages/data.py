"""The Data tab: the data sets with their sources, the images of each, and the import form."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr
import numpy as np
from markupsafe import Markup

from dreamlab.data import catalog, imageset, near_copies
from dreamlab.service import Refused, RunRow
from dreamlab.settings import ImportSpec
from dreamlab.store.states import ACTIVE
from dreamlab.ui.forms import spec_form
from dreamlab.ui.forms.start import start
from dreamlab.ui.parts import class_tables, downloads
from dreamlab.ui.parts.import_report import report_html, running_html
from dreamlab.ui.parts.near_copies import within_text
from dreamlab.ui.parts.panels import panel
from dreamlab.ui.render import data_uri, macro, part
from dreamlab.ui.view import QUIET, Pages, View

TEMPLATE = "data.html"
DEFAULT = "mnist5k"
ROWS = 12
"""Number of classes shown at once."""
WIDTH = 900
"""Width in pixels of a row of images."""
ALSO = (
    "You can also import torchvision:flowers102 (Oxford Flowers, 345 MB), any"
    " huggingface:OWNER/NAME if the package datasets is installed, ImageNet from its folders, and a"
    " folder, a ZIP, a tar or arrays of your own."
)


@dataclasses.dataclass(frozen=True)
class DataPanels:
    """The components that show the catalogue and one data set."""

    running: Any
    listed: Any
    folder: Any
    split: Any
    looked: Any
    report: Any


def create(pages: Pages, view: Any) -> None:
    """Creates the components of the tab and connects its form."""
    gr.HTML(
        macro(
            "page_head",
            "Data",
            "The data sets for training and testing. No generator or classifier is ever trained on"
            " a test image.",
        )
    )
    with gr.Row(elem_classes="columns"):
        with gr.Column(elem_classes="formcol"), gr.Column(elem_classes="dl-panel"):
            gr.HTML(macro("panel_head", "Import images"))
            form = spec_form.build(pages.service, ImportSpec, "Import", "import")
        with gr.Column(elem_classes="maincol"):
            running = gr.HTML("", elem_id="data-running", visible=False)
            with gr.Column(elem_classes="dl-panel"):
                listed = gr.HTML("", elem_id="data-catalogue")
            with gr.Column(elem_classes="dl-panel"):
                with gr.Row(elem_id="data-pickers"):
                    split = gr.Dropdown(
                        [("training images", "train"), ("test images", "test")],
                        value="train",
                        label="Real images",
                        scale=0,
                        elem_id="data-split",
                        filterable=False,
                        min_width=200,
                    )
                    folder = gr.Textbox(
                        "",
                        label="Data folder",
                        info="A folder or .npz file that holds this set.",
                        elem_id="data-folder",
                        max_lines=1,
                    )
                looked = gr.HTML("", elem_id="data-set")
            report = gr.HTML("", elem_id="data-report", visible=False)
    _draw(pages, DataPanels(running, listed, folder, split, looked, report))
    split.input(lambda now, part: now.with_pick("data-split", part), [view, split], view, **QUIET)
    folder.change(
        lambda now, path: now.with_pick("data-folder", path or ""), [view, folder], view, **QUIET
    )
    spec_form.add_choices(pages, "data", form, "dataset", view)
    start(pages, form, view, "data")


def _draw(pages: Pages, p: DataPanels) -> None:
    """Connects the panels with what they show."""
    service = pages.service

    def imports(now: View) -> Any:
        return tuple((r.id, r.state) for r in service.rows("import"))

    def looked_key(now: View) -> Any:
        name = chosen(pages, now)
        picks = tuple(now.pick(f"data-{what}") for what in ("split", "folder", "page"))
        files = service.data_version(name, now.pick("data-folder"))
        near = near_copies_text(pages, name, now.pick("data-folder"))
        return (name, picks, pages.version_of(row_of(pages, name)), files, near)

    def running_key(now: View) -> Any:
        return tuple(pages.version_of(r) for r in active(pages))

    def report_draw(now: View) -> Any:
        row = row_of(pages, chosen(pages, now))
        done = row is not None and row.state == "done"
        return panel([report_html(row, service.get(row.id))] if row and done else [])

    def running_draw(now: View) -> Any:
        return panel([running_html(r) for r in active(pages)])

    def folder_draw(now: View) -> Any:
        name = chosen(pages, now)
        return gr.Textbox(visible=name in catalog.INFO and not catalog.INFO[name].bundled)

    pages.add("data", p.running, running_key, running_draw)
    pages.add(
        "data",
        p.listed,
        lambda now: (imports(now), chosen(pages, now)),
        lambda now: catalogue_html(pages, chosen(pages, now)),
    )
    pages.add("data", p.folder, lambda now: chosen(pages, now), folder_draw)
    pages.add(
        "data",
        p.split,
        lambda now: chosen(pages, now),
        lambda now: gr.Dropdown(visible=not is_synthetic(pages, chosen(pages, now))),
    )
    pages.add("data", p.looked, looked_key, lambda now: set_html(pages, now, chosen(pages, now)))
    pages.add("data", p.report, looked_key, report_draw)


def chosen(pages: Pages, view: View) -> str:
    """The data set that is shown: a built-in one, or an import run."""
    asked = view.run("data")
    return asked if asked in catalog.INFO or row_of(pages, asked) else DEFAULT


def row_of(pages: Pages, name: str) -> RunRow | None:
    """The row of an import run; None if there is none with this id."""
    if not name or name in catalog.INFO:
        return None
    try:
        row = pages.service.row(name, disk=False)
    except Refused:
        return None
    return row if row.kind == "import" else None


def active(pages: Pages) -> list[RunRow]:
    """The active imports."""
    return [r for r in pages.service.rows("import") if r.state in ACTIVE]


def is_synthetic(pages: Pages, name: str) -> bool:
    """Whether a set is an imported synthetic set."""
    spec = pages.service.get(name).spec if row_of(pages, name) else None
    return isinstance(spec, ImportSpec) and spec.role == "synthetic"


def catalogue_html(pages: Pages, looked: str) -> Markup:
    """All data sets with their sizes and sources."""
    entries = [_entry(pages, known) for known in catalog.INFO.values()]
    refusals = []
    for run in pages.service.rows("import"):
        if run.state != "done":
            continue
        try:
            known = catalog.info(run.id)
        except catalog.DataError as error:
            refusals.append(str(error))
            continue
        spec = pages.service.get(run.id).spec
        entries.append(_entry(pages, known, run, spec if isinstance(spec, ImportSpec) else None))
    return part(TEMPLATE, "catalogue", entries, refusals, looked, ALSO)


def _entry(
    pages: Pages, known: catalog.Info, run: RunRow | None = None, spec: ImportSpec | None = None
) -> dict[str, Any]:
    """One line of the catalogue for the template."""
    return {
        "info": known,
        "synthetic": spec is not None and spec.role == "synthetic",
        "source": None if run is None else spec.source if spec else "",
        "demo": run is not None and run.demo,
        "offer": downloads.offer(pages.service, known.name),
    }


def set_html(pages: Pages, view: View, name: str) -> Markup:
    """Images of a set, one class per row, and below them the number of images of each class."""
    row = row_of(pages, name)
    if row is not None and row.state != "done":
        return part(TEMPLATE, "unfinished", row)
    info = catalog.info(name)
    folder, split = view.pick("data-folder"), view.pick("data-split", "train")
    try:
        if is_synthetic(pages, name):
            images, labels = pages.service.images(name)
            counts = [("synthetic", "synthetic", labels)]
        else:
            images, labels, _ = pages.service.real_images(name, folder, split)
            counts = [
                (words, "real", pages.service.real_images(name, folder, part)[1])
                for part, words in (("train", "training"), ("test", "test"))
            ]
    except Refused as error:
        offer = downloads.offer(pages.service, name)
        return part(TEMPLATE, "unreadable", info.title, str(error), offer)
    page = max(1, int(view.pick("data-page", 1) or 1))
    listed = [
        (f"{words}: {len(held):,}", {kind: np.bincount(held, minlength=len(info.classes)).tolist()})
        for words, kind, held in counts
    ]
    sheet = sheet_html(info, images, labels, page, counts[0][1])
    histograms = class_tables.histograms(info.classes, listed, "broad")
    near = near_copies_text(pages, name, folder)
    return part(TEMPLATE, "images", sheet, histograms, len(info.classes), near)


def near_copies_text(pages: Pages, name: str, folder: str) -> str:
    """What is known of the near-copies within real images; empty for a set whose report says
    it."""
    if row_of(pages, name) is not None:
        if is_synthetic(pages, name) or near_copies.load(pages.service.get(name).path) is not None:
            return ""
    return within_text(pages.service.near_copies(name, folder))


def sheet_html(
    info: catalog.Info, images: np.ndarray, labels: np.ndarray, page: int, kind: str
) -> Markup:
    """One page of classes: the first images of each class in stored order. Places are empty if a
    class has fewer images."""
    pages = -(-len(info.classes) // ROWS)
    page = min(page, pages)
    rows = range((page - 1) * ROWS, min(page * ROWS, len(info.classes)))
    side = int(images.shape[1])
    cols = max(4, min(20, WIDTH // max(side, 40)))
    cells = np.zeros((len(rows) * cols, *images.shape[1:]), dtype=np.uint8)
    for i, c in enumerate(rows):
        members = np.flatnonzero(labels == c)[:cols]
        cells[i * cols : i * cols + len(members)] = images[members]
    sheet = imageset.sheet(cells, cols)
    height, width = sheet.shape[:2]
    src = data_uri(imageset.png(sheet))
    picture = {"src": src, "width": width, "height": height, "cell": side}
    colour = "grey" if info.channels == 1 else "colour"
    note = f"rows are classes, in stored order; {side} x {side} pixels, {colour}"
    names = [info.classes[c] for c in rows]
    return part(TEMPLATE, "sheet", info.title, note, picture, kind, names, page, pages)
