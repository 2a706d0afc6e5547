"""Renders HTML from the Jinja2 templates in `ui/templates`. Values are escaped unless a template
has made them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dreamlab.ui import tabs, words
from dreamlab.ui.theme import mix_css

TEMPLATES = Path(__file__).resolve().parent / "templates"
MACROS = "macros.html"


def data_uri(content: bytes | str, kind: str = "image/png") -> str:
    """Content as a data: address with this media type. A text is encoded as UTF-8."""
    held = content.encode() if isinstance(content, str) else content
    return f"data:{kind};base64," + base64.b64encode(held).decode()


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "clock": words.clock,
        "duration": words.duration,
        "size": words.size,
        "number": words.number,
        "fixed": words.fixed,
        "signed": words.signed,
        "when": words.when,
        "state": words.state,
        "tab": tabs.of_kind,
        "mix_css": mix_css,
        "data_uri": data_uri,
        "json": json.dumps,
        "capitalize_first": lambda text: text[:1].upper() + text[1:],
    }
    return made


ENVIRONMENT = _environment()


def render(template: str, **data: Any) -> Markup:
    """Renders a template of `ui/templates`. Strings are escaped, Markup is not. Raises
    jinja2.UndefinedError for a name that is missing in `data`."""
    return Markup(ENVIRONMENT.get_template(template).render(data).strip())


def macro(name: str, /, *values: Any, **named: Any) -> Markup:
    """Renders one macro of `templates/macros.html`, such as `macro("panel_head", "Samples")`.
    Raises AttributeError if there is no such macro."""
    return part(MACROS, name, *values, **named)


def part(template: str, name: str, /, *values: Any, **named: Any) -> Markup:
    """Renders one macro of any template. A template may contain several parts of one page."""
    found = getattr(ENVIRONMENT.get_template(template).module, name)
    return Markup(found(*values, **named))
