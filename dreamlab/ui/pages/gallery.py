"""The Gallery tab: real and synthetic images of the same classes side by side, lossless, page by
page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import gradio as gr
import numpy as np
from markupsafe import Markup

from dreamlab.data import catalog
from dreamlab.service import Refused, RunRow
from dreamlab.settings import ImportSpec, Spec, SynthesizeSpec
from dreamlab.ui import render
from dreamlab.ui.parts import pictures
from dreamlab.ui.parts.gallery_sheets import page_count, sheet_view
from dreamlab.ui.parts.near_copies import copies_html
from dreamlab.ui.parts.panels import panel
from dreamlab.ui.view import QUIET, Pages, View

PAGE = "gallery.html"
EVERY = "every class"
SETS = "synthesize|import"
"""Kinds of run with synthetic images: sampled here, or imported."""
NO_SET = "No synthetic set yet. Make one on the Sample page, or start a mix."
STEP_PICTURES = ("x_t", "x0")
"""Names of the two pictures of each kept sampling step."""


@dataclasses.dataclass(frozen=True)
class Pickers:
    """The components that choose what is shown."""

    chosen: Any
    klass: Any
    split: Any
    page: Any


def create(pages: Pages, view: Any) -> None:
    """Creates the components of the tab: choices of set, class and page above two sheets of
    images."""
    gr.HTML(
        render.macro(
            "page_head",
            "Real and synthetic, side by side",
            "Every pixel as it is stored: lossless, at whole-number zoom. Blue frames are real"
            " images, vermilion ones synthetic.",
        )
    )
    pickers = _pickers(pages)
    with gr.Column(elem_classes="dl-panel"):
        sheets = gr.HTML("", elem_id="gallery-sheets")
    steps = gr.HTML("", elem_id="gallery-steps", visible=False)
    with gr.Column(elem_classes="dl-panel"):
        about = gr.HTML("", elem_id="gallery-about")

    def shown(now: View) -> RunRow | None:
        return pages.chosen(
            now, "gallery", ("synthesize", "import"), lambda row: is_set(pages, row)
        )

    def sheet_key(now: View) -> Any:
        row = shown(now)
        return (
            row and (row.id, row.state, real_version(pages, row.id)),
            now.pick("class", EVERY),
            now.pick("split", "train"),
            now.pick("page", 1),
        )

    def sheet_draw(now: View) -> str:
        picked, split = now.pick("class", EVERY), now.pick("split", "train")
        return sheets_html(pages, shown(now), picked, split, int(now.pick("page", 1)))

    def steps_key(now: View) -> Any:
        row = shown(now)
        return (row.id, len(pages.service.status(row.id).images)) if row else None

    def about_key(now: View) -> Any:
        row = shown(now)
        return row and (row.id, row.state, real_version(pages, row.id))

    def steps_draw(now: View) -> Any:
        return panel([steps_html(pages, shown(now))])

    _draw_pickers(pages, pickers, shown)
    pages.add("gallery", sheets, sheet_key, sheet_draw)
    pages.add("gallery", steps, steps_key, steps_draw)
    pages.add("gallery", about, about_key, lambda now: about_html(pages, shown(now)))
    _wire(pickers, view)


def _pickers(pages: Pages) -> Pickers:
    """The row of choices above the sheets."""
    with gr.Row():
        chosen = gr.Dropdown(
            choices=pages.service.choices(SETS),
            label="Synthetic set",
            elem_id="gallery-set",
            allow_custom_value=True,
            scale=3,
            min_width=280,
        )
        klass = gr.Dropdown(
            choices=[EVERY],
            value=EVERY,
            label="Class",
            elem_id="gallery-class",
            scale=1,
            min_width=120,
        )
        split = gr.Dropdown(
            choices=[("training images", "train"), ("test images", "test")],
            value="train",
            label="Real images",
            elem_id="gallery-split",
            scale=1,
            min_width=140,
            filterable=False,
        )
        page = gr.Number(1, label="Page", elem_id="gallery-page", scale=0, min_width=110)
    return Pickers(chosen, klass, split, page)


def _draw_pickers(pages: Pages, pickers: Pickers, shown: Callable[[View], RunRow | None]) -> None:
    """Keeps the choices up to date."""
    service = pages.service

    def set_key(now: View) -> Any:
        row = shown(now)
        return (tuple(service.choices(SETS)), row.id if row else "")

    def set_draw(now: View) -> Any:
        row = shown(now)
        return gr.Dropdown(choices=service.choices(SETS), value=row.id if row else None)

    def class_key(now: View) -> Any:
        row = shown(now)
        return (row.id if row else "", now.pick("class", EVERY))

    def class_draw(now: View) -> Any:
        row = shown(now)
        names = class_names(pages, row.id) if row else ()
        picked = now.pick("class", EVERY)
        return gr.Dropdown(choices=[EVERY, *names], value=picked if picked in names else EVERY)

    pages.add("gallery", pickers.chosen, set_key, set_draw)
    pages.add("gallery", pickers.klass, class_key, class_draw)
    pages.add(
        "gallery", pickers.page, lambda now: now.pick("page", 1), lambda now: now.pick("page", 1)
    )


def _wire(pickers: Pickers, view: Any) -> None:
    """Stores choices in the view. Choosing another set or class shows its first page."""

    def on_set(now: View, run: str | None) -> View:
        return now.at("gallery", run or "").with_pick("page", 1)

    def on_class(now: View, name: str) -> View:
        return now.with_pick("class", name).with_pick("page", 1)

    def on_split(now: View, name: str) -> View:
        return now.with_pick("split", name).with_pick("page", 1)

    def on_page(now: View, number: float | None) -> View:
        return now.with_pick("page", max(1, int(number or 1)))

    pickers.chosen.input(on_set, [view, pickers.chosen], view, **QUIET)
    pickers.klass.input(on_class, [view, pickers.klass], view, **QUIET)
    pickers.split.input(on_split, [view, pickers.split], view, **QUIET)
    pickers.page.input(on_page, [view, pickers.page], view, **QUIET)


def is_set(pages: Pages, row: RunRow) -> bool:
    """Whether a run has synthetic images. An import may have real ones."""
    spec = pages.service.get(row.id).spec
    return not isinstance(spec, ImportSpec) or spec.role == "synthetic"


def belongs(pages: Pages, run: str) -> tuple[str, str, tuple[str, ...]]:
    """(data set, its data folder, class names) of a synthetic set. There are no names if its
    generator has no classes."""
    spec = pages.service.get(run).spec
    if isinstance(spec, ImportSpec):
        return spec.dataset, "", catalog.info(spec.dataset).classes
    generator = pages.service.generator_of(run)[1]
    assert isinstance(spec, SynthesizeSpec)
    unnamed = spec.labeller == "none" and not generator.conditional
    names = () if unnamed else catalog.set_classes(spec, generator)
    return generator.dataset, generator.data_dir, names


def real_version(pages: Pages, run: str) -> Any:
    """A value that changes when the files of the real images change, with which a set is shown."""
    try:
        return pages.service.data_version(*belongs(pages, run)[:2])
    except (Refused, catalog.DataError) as error:
        return str(error)


def class_names(pages: Pages, run: str) -> tuple[str, ...]:
    """Class names of a synthetic set."""
    return belongs(pages, run)[2]


def sheets_html(pages: Pages, row: RunRow | None, picked: str, split: str, page: int) -> Markup:
    """Two sheets at the same zoom, with their descriptions and the number of pages."""
    if row is None:
        return render.part("results.html", "empty", NO_SET)
    if row.state != "done":
        return render.part(PAGE, "unfinished", row)
    service = pages.service
    dataset, folder, names = belongs(pages, row.id)
    synthetic, labels = service.images(row.id)
    try:
        real, real_labels, _ = service.real_images(dataset, folder, split)
        missing = ""
    except Refused as error:  # the synthetic images are shown without real ones
        real, real_labels, missing = synthetic[:0], labels[:0], str(error)
    if not names:  # the generator has no classes: show real images of all classes
        names, real_labels, picked = ("all",), np.zeros_like(real_labels), "all"
    klass = names.index(picked) if picked in names else None
    side = int(synthetic.shape[1])
    where = f"{dataset}, {'training' if split == 'train' else 'test'} split"
    return render.part(
        PAGE,
        "sheets",
        sheet_view("real", where, (real, real_labels), names, klass, page, side),
        sheet_view("synthetic", row.name, (synthetic, labels), names, klass, page, side),
        missing,
        page,
        max(page_count(real_labels, klass), page_count(labels, klass)),
    )


def steps_html(pages: Pages, row: RunRow | None) -> Markup:
    """The kept sampling steps with a timeline: x_t and the predicted x0 of the first images of each
    class. Empty if no steps were kept."""
    by_step: dict[int, dict[str, dict[str, Any]]] = {}
    for event in pages.service.status(row.id).images if row else ():
        if event.get("name") in STEP_PICTURES:
            by_step.setdefault(int(event["step"]), {})[event["name"]] = event
    whole = [by_step[step] for step in sorted(by_step) if len(by_step[step]) == 2]
    if row is None or not whole:
        return Markup()
    run = pages.service.get(row.id)
    frames = []
    for pair in whole:
        first = pair["x_t"]
        frames.append(
            pictures.frame(
                [pictures.address(row.id, pair[name]) for name in STEP_PICTURES],
                pictures.stored(row.id, run.path, first, int(first.get("cols", 8))),
                f"Denoising, step {int(first['step'])}",
                str(first.get("caption", "")),
            )
        )
    names = class_names(pages, row.id)
    chosen = getattr(run.spec, "classes", ()) or range(len(names))
    most = int(whole[-1]["x_t"].get("rows", len(names)))
    rows = [names[c] for c in chosen if c < len(names)][:most]
    return render.macro("film", row.id, frames, pictures.STEP_PANELS, rows, ("noise", "image"))


def about_html(pages: Pages, row: RunRow | None) -> Markup:
    """Where the set comes from, and buttons to use it."""
    if row is None:
        return render.part(PAGE, "about", None)
    run = pages.service.get(row.id)
    try:
        origin: str = imported(row, run.spec) or made(pages, row)
    except Refused:
        origin = "made by a generator that was deleted"
    about = render.part(PAGE, "about", row, origin, run.record.command)
    return about + copies_html(run.path) if row.state == "done" else about


def imported(row: RunRow, spec: Spec) -> Markup:
    """The source of an imported set; empty for a set that was sampled here."""
    if not isinstance(spec, ImportSpec):
        return Markup()
    return render.part(PAGE, "imported", row.id, spec.source, spec.dataset)


def made(pages: Pages, row: RunRow) -> Markup:
    """The generator of a set, and what it was trained on. Raises Refused if it was deleted."""
    generator, spec = pages.service.generator_of(row.id)
    images = sum(pages.service.available(spec))
    return render.part(PAGE, "made", generator.id, generator.record.name, images, spec.dataset)
