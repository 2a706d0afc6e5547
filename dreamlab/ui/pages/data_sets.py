"""The data sets of the Data tab: their cards, and what is known of the chosen one."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import gradio as gr
import numpy as np
from markupsafe import Markup

from dreamlab.data import catalog, imageset
from dreamlab.service import Refused, RunRow
from dreamlab.service.places import Places
from dreamlab.settings import ImportSpec, RealData, make, settings_of
from dreamlab.ui.forms import controls, picker
from dreamlab.ui.forms.spec_form import refused
from dreamlab.ui.parts import class_tables, downloads, set_cards
from dreamlab.ui.parts.import_report import report_html
from dreamlab.ui.parts.near_copies import within_html
from dreamlab.ui.parts.panels import panel
from dreamlab.ui.parts.set_roles import options, roles_html, users_html
from dreamlab.ui.render import data_uri, part
from dreamlab.ui.view import QUIET, Pages, View

TEMPLATE = "sets.html"
DEFAULT = "mnist5k"
ROWS = 12
"""Number of classes shown at once."""
WIDTH = 900
"""Width in pixels of a row of images."""
TAIL = next(k for k in settings_of(RealData) if k.name == "long_tail")


@dataclasses.dataclass(frozen=True)
class SetPanels:
    """The components that show the cards and one data set."""

    cards: Any
    head: Any
    about: Any
    name: Any
    text: Any
    save: Any
    split: Any
    folder: Any
    source: Any
    looked: Any
    roles: Any
    tail_panel: Any
    share: Any
    tail: Any
    report: Any


def create(pages: Pages, view: Any) -> None:
    """Creates the cards and the panels of the chosen set in the current column."""
    with gr.Column(elem_classes="dl-panel"):
        cards = gr.HTML("", elem_id="data-catalogue")
    with gr.Column(elem_classes="dl-panel"):
        head = gr.HTML("", elem_id="data-chosen")
        with gr.Accordion(
            "Name and description", open=False, elem_id="data-about", elem_classes="fold"
        ) as about:
            name = gr.Textbox("", label="Name", elem_id="data-name", max_lines=1)
            text = gr.Textbox("", label="Description", elem_id="data-text", lines=2, max_lines=6)
            save = gr.Button("Save", size="sm", elem_id="data-save", scale=0)
    with gr.Column(elem_classes="dl-panel"):
        split, folder, source = _pickers(pages.service.places)
        looked = gr.HTML("", elem_id="data-set")
    roles = gr.HTML("", elem_id="data-roles", visible=False)
    with gr.Column(elem_classes="dl-panel", visible=False) as tail_panel:
        share = controls.control(TAIL, [], "data-tail-share")
        tail = gr.HTML("", elem_id="data-tail")
    report = gr.HTML("", elem_id="data-report", visible=False)
    p = SetPanels(
        cards,
        head,
        about,
        name,
        text,
        save,
        split,
        folder,
        source,
        looked,
        roles,
        tail_panel,
        share,
        tail,
        report,
    )
    _draw_set(pages, p)
    _draw_more(pages, p)
    _connect(pages, p, view)


def _pickers(places: Places) -> tuple[Any, Any, Any]:
    """The part of the images that is shown, the folder of a set that is read from one, and the
    column of the folder."""
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
        with gr.Column(visible=False) as source:
            folder = gr.Textbox(
                "",
                label="Data folder",
                info="A folder or .npz file that holds this set.",
                elem_id="data-folder",
                max_lines=1,
            )
            picker.connect(places, picker.create(places, "data-folder", large=False), folder)
    return split, folder, source


def _connect(pages: Pages, p: SetPanels, view: Any) -> None:
    """Connects the controls with the view."""
    p.split.input(
        lambda now, part: now.with_pick("data-split", part), [view, p.split], view, **QUIET
    )
    p.folder.change(
        lambda now, path: now.with_pick("data-folder", path or ""), [view, p.folder], view, **QUIET
    )

    def on_share(now: View, share: float) -> tuple[View, Markup]:
        after = now.with_pick("data-tail", float(share or 0))
        return after, tail_html(pages, after)

    p.share.input(on_share, [view, p.share], [view, p.tail], trigger_mode="always_last", **QUIET)

    def on_save(now: View, name: str, text: str) -> dict[Any, Any]:
        try:
            pages.service.describe(chosen(pages, now), name or "", text or "")
        except Exception as error:  # any error must be shown as a sentence
            return {view: now.saying(refused(error))}
        return {view: now.saying(saved(pages, chosen(pages, now))), **about_shown(pages, p, now)}

    p.save.click(on_save, [view, p.name, p.text], [view, p.name, p.text], **QUIET)


def about_of(pages: Pages, view: View) -> tuple[str, str, str]:
    """Id, name and description of the chosen set; all empty for one that has no run."""
    row = row_of(pages, chosen(pages, view))
    return set_cards.about(pages.service, row) if row else ("", "", "")


def about_shown(pages: Pages, p: SetPanels, view: View) -> dict[Any, Any]:
    """Updates of the boxes for name and description to what is kept: an empty name became the
    first one, spaces are gone."""
    _, name, text = about_of(pages, view)
    return {p.name: gr.Textbox(value=name), p.text: gr.Textbox(value=text)}


def saved(pages: Pages, run: str) -> str:
    """What is said after a name was saved."""
    names = {row.id: row.name for row in pages.service.rows("import")}
    others = [row for row, name in names.items() if row != run and name == names.get(run)]
    also = f" {others[0]} has this name too." if others else ""
    return f"Saved. The images and all results stay as they are.{also}"


def _draw_set(pages: Pages, p: SetPanels) -> None:
    """Connects the cards and the head of the chosen set with what they show."""
    service = pages.service

    def head_key(now: View) -> Any:
        return (chosen(pages, now), service.roles_version(), set_cards.version(service))

    about = functools.partial(about_of, pages)
    pages.add(
        "data",
        p.cards,
        lambda now: (set_cards.version(service), chosen(pages, now)),
        lambda now: set_cards.cards_html(service, chosen(pages, now)),
    )
    pages.add("data", p.head, head_key, lambda now: head_html(pages, chosen(pages, now)))
    pages.add(
        "data",
        p.about,
        lambda now: bool(about(now)[0]),
        lambda now: gr.Accordion(visible=bool(about(now)[0])),
    )
    pages.add("data", p.name, about, lambda now: gr.Textbox(value=about(now)[1]))
    pages.add("data", p.text, about, lambda now: gr.Textbox(value=about(now)[2]))
    pages.add(
        "data",
        p.source,
        lambda now: chosen(pages, now),
        lambda now: gr.Column(visible=needs_folder(chosen(pages, now))),
    )
    pages.add(
        "data",
        p.split,
        lambda now: chosen(pages, now),
        lambda now: gr.Dropdown(visible=not is_synthetic(pages, chosen(pages, now))),
    )


def _draw_more(pages: Pages, p: SetPanels) -> None:
    """Connects the images, the uses, the long tail and the report with what they show."""
    service = pages.service

    def files(now: View) -> Any:
        name, folder = chosen(pages, now), now.pick("data-folder")
        row = pages.version_of(row_of(pages, name))
        return (name, folder, row, service.data_version(name, folder))

    def looked_key(now: View) -> Any:
        name, folder, *_ = known = files(now)
        near = service.near_copies(name, folder) is not None
        return (known, tuple(now.pick(f"data-{what}") for what in ("split", "page")), near)

    def roles_draw(now: View) -> Any:
        name, folder = chosen(pages, now), now.pick("data-folder")
        if is_synthetic(pages, name):
            return panel([users_html(service, name)])
        return panel([roles_html(service, name, folder)])

    def tail_shown(now: View) -> bool:
        name = chosen(pages, now)
        return not is_synthetic(pages, name) and readable(pages, name, now.pick("data-folder"))

    def report_draw(now: View) -> Any:
        row = row_of(pages, chosen(pages, now))
        done = row is not None and row.state == "done"
        return panel([report_html(row, service.get(row.id))] if row and done else [])

    pages.add("data", p.looked, looked_key, lambda now: set_html(pages, now, chosen(pages, now)))
    pages.add("data", p.roles, lambda now: (files(now), service.roles_version()), roles_draw)
    pages.add("data", p.tail_panel, tail_shown, lambda now: gr.Column(visible=tail_shown(now)))
    pages.add(
        "data",
        p.tail,
        lambda now: (files(now), now.pick("data-tail")),
        lambda now: tail_html(pages, now),
    )
    pages.add(
        "data",
        p.report,
        lambda now: pages.version_of(row_of(pages, chosen(pages, now))),
        report_draw,
    )


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


def needs_folder(name: str) -> bool:
    """Whether a set is read from a folder that has to be given."""
    return name in catalog.INFO and not catalog.INFO[name].bundled


def is_synthetic(pages: Pages, name: str) -> bool:
    """Whether a set is an imported synthetic set."""
    spec = pages.service.get(name).spec if row_of(pages, name) else None
    return isinstance(spec, ImportSpec) and spec.role == "synthetic"


def readable(pages: Pages, name: str, folder: str) -> bool:
    """Whether the images of a set are there."""
    row = row_of(pages, name)
    if row is not None:
        return row.state == "done"
    try:
        catalog.check_available(name, folder)
    except catalog.DataError:
        return False
    return True


def head_html(pages: Pages, name: str) -> Markup:
    """Name, origin and description of the chosen set, its versions, and buttons to use it."""
    service = pages.service
    if row_of(pages, name) is None:
        return part(TEMPLATE, "head", set_cards.named(service, name), [], [], 0)
    card = set_cards.of_run(service, name)
    before, after = service.versions(name)
    users = sum(how == "made into" for how, _ in service.lineage(name))
    versions = ([(r.id, r.record.name) for r in runs] for runs in (before, after))
    return part(TEMPLATE, "head", card, *versions, users)


def set_html(pages: Pages, view: View, name: str) -> Markup:
    """Images of a set, one class per row, and below them the number of images of each class and the
    near-copies."""
    row = row_of(pages, name)
    if row is not None and row.state != "done":
        return part(TEMPLATE, "unfinished", row)
    service, folder, split = pages.service, view.pick("data-folder"), view.pick("data-split")
    near = Markup()
    try:
        info = catalog.info(name)
        if is_synthetic(pages, name):
            images, labels = service.images(name)
            counts = [("synthetic", "synthetic", labels)]
        else:
            images, labels, _ = service.real_images(name, folder, split or "train")
            counts = [
                (words, "real", service.real_images(name, folder, part)[1])
                for part, words in (("train", "training"), ("test", "test"))
            ]
            near = within_html(service.near_copies(name, folder), catalog.load(name, folder))
    except (Refused, catalog.DataError) as error:
        return part(TEMPLATE, "unreadable", str(error), downloads.offer(service, name))
    page = max(1, int(view.pick("data-page", 1) or 1))
    listed = [
        (f"{words}: {len(held):,}", {kind: np.bincount(held, minlength=len(info.classes)).tolist()})
        for words, kind, held in counts
    ]
    sheet = sheet_html(info, images, labels, page, counts[0][1])
    histograms = class_tables.histograms(info.classes, listed, "broad")
    return part(TEMPLATE, "images", sheet, histograms, len(info.classes), near)


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
    return part(TEMPLATE, "sheet", note, picture, kind, names, page, pages)


def tail_html(pages: Pages, view: View) -> Markup:
    """The number of images of each class with the long tail that the slider asks for."""
    name, folder = chosen(pages, view), view.pick("data-folder")
    share = float(view.pick("data-tail") or 0)
    if is_synthetic(pages, name) or not readable(pages, name, folder):
        return Markup()
    try:
        wanted = make(RealData, {"dataset": name, "data_dir": folder, "long_tail": share})
        left = pages.service.available(wanted)
        whole = pages.service.available(wanted.model_copy(update={"long_tail": 0.0}))
    except (Refused, ValueError) as error:
        return part(TEMPLATE, "refused", refused(error))
    names = catalog.info(name).classes
    away = [a - b for a, b in zip(whole, left, strict=True)]
    listed = [("training images per class", {"real": left, "other": away})]
    said = (
        f"{sum(left):,} of {sum(whole):,} training images stay, {max(left):,} of the largest class"
        f" and {min(left):,} of the smallest."
    )
    drawn = class_tables.histograms(names, listed, "broad")
    command = f"{options(name, folder)}{f' {TAIL.flag} {share:g}' if share else ''}"
    return part(TEMPLATE, "tail", drawn, said, command)
