"""Pages show the images that are in a data folder now, without a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from dreamlab.data import catalog, near_copies
from dreamlab.service import Service
from dreamlab.store.cache import user_cache
from dreamlab.ui.pages import data, gallery, train
from dreamlab.ui.view import Pages, View
from tests.content_helpers import npz
from tests.evidence_helpers import finish, new_run, new_set, new_store


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setattr(Service, "keep_engine", lambda self: None)
    return Service(new_store(tmp_path / "lab").folder)


@pytest.mark.parametrize(
    ("tab", "module", "shown"), [("gallery", gallery, 2), ("train", train, 1), ("data", data, 3)]
)
def test_a_page_shows_new_pixels(
    service: Service, tmp_path: Path, tab: str, module: Any, shown: int
) -> None:
    folder, store = npz(tmp_path / "data.npz"), service.store
    generator = new_run(store, "train", {"dataset": "mnist", "data_dir": str(folder), "steps": 3})
    finish(generator, {"peak_memory_bytes": 1})
    made = new_set(store, generator, np.zeros((20, 28, 28, 1), np.uint8), np.arange(20) % 10)
    finish(made, {})
    pages = Pages(service)
    with gr.Blocks():
        module.create(pages, gr.State(View()))
    chosen = {"gallery": made.id, "train": generator.id, "data": "mnist"}[tab]
    view = View(tab=tab).at(tab, chosen).with_pick("data-folder", str(folder))
    _, seen = pages.refresh(view, {})

    def later() -> list[str]:
        """What is drawn again five seconds later."""
        nonlocal seen
        drawn, seen = pages.refresh(view, {k: v for k, v in seen.items() if k != "gate"})
        return [str(value) for value in drawn.values()]

    assert later() == []
    npz(folder, seed=1)
    first = later()
    assert len(first) == shown and any("data:image/png" in html for html in first)
    assert later() == []
    npz(folder)
    again = later()
    assert len(again) == shown and again != first
    folder.unlink()
    assert any("does not exist" in html for html in later()) and later() == []


def test_the_data_page_says_what_is_known_of_near_copies(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DREAMLAB_CACHE", str(tmp_path / "cache"))
    pages = Pages(service)
    with gr.Blocks():
        data.create(pages, gr.State(View()))
    view = View(tab="data").at("data", "digits")
    drawn, seen = pages.refresh(view, {})
    assert any("Not looked for yet" in str(html) for html in drawn.values())
    digits, few = catalog.load("digits"), np.arange(60)
    limit = near_copies.Limit(8, 0.3, 0.005, 0.005, 0.005)
    pairs, nothing = near_copies.Pairs(few, few + 60), near_copies.Pairs(few[:0], few[:0])
    found = near_copies.Copies(near_copies.identity(digits), 597, limit, pairs, nothing)
    user_cache().put(near_copies.cache_key(digits), **near_copies.packed(found))
    drawn, _ = pages.refresh(view, {k: v for k, v in seen.items() if k != "gate"})
    said = (
        "Of the 597 test images, 0 are near-copies of training images and 60 of other test images,"
        " which count more than once: intervals are narrower than they should be."
    )
    assert any(said in str(html) for html in drawn.values())
