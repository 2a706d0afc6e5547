"""The templates: what is escaped, what is not, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from dreamlab.settings import KINDS
from dreamlab.ui import tabs
from dreamlab.ui.render import ENVIRONMENT, TEMPLATES, macro

NASTY = "<img src=x onerror=alert(1)>\"'&"


def test_every_template_can_be_read() -> None:
    names = {path.name for path in TEMPLATES.glob("*.html")}
    assert set(ENVIRONMENT.list_templates()) == names
    for name in names:
        ENVIRONMENT.get_template(name)


def test_text_is_escaped_once_and_markup_is_not() -> None:
    inner = macro("chip", NASTY)
    made = macro("table", [NASTY], [[NASTY, inner]])
    assert isinstance(made, Markup) and made.count("&lt;img src=x") == 3
    assert inner in made and "&amp;lt;" not in made and "<img" not in made


def test_what_the_data_lack_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        macro("chip")
    with pytest.raises(AttributeError):
        macro("no_such_macro")


def test_a_style_in_a_template_is_always_a_computed_one() -> None:
    for path in Path(TEMPLATES).glob("*.html"):
        for style in path.read_text().split('style="')[1:]:
            assert "{{" in style.split('"')[0], f"{path.name}: {style[:60]}"


def test_every_kind_of_run_has_one_tab() -> None:
    assert set(tabs.BY_KIND) == set(KINDS)
    assert tabs.of_kind("sweep") == "fidelity" and tabs.of_kind("of another version") == "runs"


def test_tabs_that_leave_out_a_kind_or_share_a_name_are_refused() -> None:
    assert tabs.by_kind(tabs.TABS) == tabs.BY_KIND
    with pytest.raises(LookupError, match="classify"):
        tabs.by_kind([t for t in tabs.TABS if t.name != "mix"])
    for name, title in (("runs", "More runs"), ("more", "Runs")):
        with pytest.raises(LookupError, match="names and titles must differ"):
            tabs.by_kind([*tabs.TABS, tabs.Tab(name, title)])
