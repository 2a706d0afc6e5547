"""What is pressed in the first seconds, before the server knows the page, and after the server was
started again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.ui.test_story import go, says

pytestmark = pytest.mark.ui
LOADING = "**/gradio_api/run/**"


def slow_start(page: Any) -> None:
    """The first answer of the server comes late, as on a busy machine."""
    waiting = [2500]

    def late(route: Any) -> None:
        if waiting:
            page.wait_for_timeout(waiting.pop())
        route.continue_()

    page.route(LOADING, late)


def test_a_tab_that_is_pressed_while_the_page_starts_stays(page: Any, runs: Path) -> None:
    slow_start(page)
    page.goto("/")
    page.click("#page-data-button")
    page.wait_for_selector("#page-data-button[aria-selected=true]")
    says(page, "#data-chosen", "MNIST")
    page.wait_for_timeout(1500)
    assert page.locator("#page-data-button[aria-selected=true]").count() == 1
    assert page.url.endswith("?tab=data")


def test_the_address_is_kept_while_the_page_starts(page: Any, runs: Path) -> None:
    slow_start(page)
    page.goto("/?tab=data&run=digits")
    page.wait_for_timeout(1500)
    assert page.url.endswith("?tab=data&run=digits")
    says(page, "#data-chosen", "8x8")
    assert page.url.endswith("?tab=data&run=digits")


def test_a_server_that_does_not_know_the_page_asks_what_it_shows(page: Any, runs: Path) -> None:
    go(page, "data")
    says(page, "#data-chosen", "MNIST")
    page.click("#data-catalogue a[data-set=digits]")
    says(page, "#data-chosen", "8x8")
    with page.expect_request(
        lambda r: "/gradio_api/run" in r.url and "[null,null]" in posted(r)
    ) as tick:
        pass
    asked = json.loads(tick.value.post_data) | {"session_hash": "another"}
    answer = page.request.post(tick.value.url, data=asked).json()
    assert "?" in answer["data"] and "Handwritten" not in json.dumps(answer)
    page.evaluate("() => dreamlab.locate('?')")
    says(page, "#notice", "connected again")
    says(page, "#data-chosen", "8x8")
    assert page.url.endswith("?tab=data&run=digits")


def posted(request: Any) -> str:
    return (request.post_data or "").replace(" ", "")
