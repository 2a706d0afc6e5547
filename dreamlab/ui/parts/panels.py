"""A panel of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from dreamlab.ui.render import macro


def panel(parts: Sequence[Markup]) -> Any:
    """An update that shows these parts in a panel. Parts without content are left out, and the
    panel is hidden if none has any."""
    shown = [part for part in parts if part]
    return gr.HTML(macro("panel", shown), visible=bool(shown))
