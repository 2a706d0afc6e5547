"""Colours, read from assets/tokens.css, and a Gradio theme that uses them."""

from __future__ import annotations

import functools
import re
from typing import Any

import gradio as gr

from dreamlab.paths import ASSETS

SCALE = ("real", "mix-25", "mix-50", "mix-75", "synthetic")
"""The colour scale. A mix has the colour between real and synthetic that corresponds to its
synthetic share."""

GRADIO_COLOURS = {
    "body_text_color_subdued": "var(--ink-3)",
    "background_fill_primary": "var(--panel)",
    "background_fill_secondary": "var(--sunken)",
    "border_color_primary": "var(--line)",
    "border_color_accent": "var(--line-2)",
    "color_accent_soft": "var(--sunken)",
    "block_background_fill": "transparent",
    "block_border_color": "var(--line)",
    "block_border_width": "0px",
    "block_label_background_fill": "transparent",
    "block_label_text_color": "var(--ink)",
    "block_title_text_color": "var(--ink)",
    "block_info_text_color": "var(--ink-3)",
    "input_background_fill": "var(--panel)",
    "input_background_fill_focus": "var(--panel)",
    "input_border_color": "var(--line-2)",
    "input_border_color_focus": "var(--focus)",
    "input_placeholder_color": "var(--ink-3)",
    "slider_color": "var(--ink)",
    "checkbox_background_color": "var(--panel)",
    "checkbox_background_color_selected": "var(--ink)",
    "checkbox_border_color": "var(--line-2)",
    "checkbox_border_color_selected": "var(--ink)",
    "checkbox_label_background_fill": "transparent",
    "checkbox_label_background_fill_selected": "transparent",
    "checkbox_label_background_fill_hover": "var(--sunken)",
    "checkbox_label_text_color": "var(--ink)",
    "checkbox_label_text_color_selected": "var(--ink)",
    "checkbox_label_border_color": "var(--line)",
    "button_primary_background_fill": "var(--accent)",
    "button_primary_background_fill_hover": "var(--accent)",
    "button_primary_text_color": "var(--paper)",
    "button_primary_text_color_hover": "var(--paper)",
    "button_primary_border_color": "var(--accent)",
    "button_secondary_background_fill": "var(--panel)",
    "button_secondary_background_fill_hover": "var(--sunken)",
    "button_secondary_text_color": "var(--ink)",
    "button_secondary_text_color_hover": "var(--ink)",
    "button_secondary_border_color": "var(--line-2)",
    "panel_background_fill": "var(--panel)",
    "panel_border_color": "var(--line)",
    "link_text_color": "var(--ink)",
    "link_text_color_hover": "var(--ink)",
    "link_text_color_active": "var(--ink)",
    "link_text_color_visited": "var(--ink)",
}
"""Colour of the Gradio theme -> variable of the style sheet. The colours of the body are set
separately."""


@functools.cache
def palette(theme: str) -> dict[str, str]:
    """Hex colours by token name ("ink", "real", ...) for "light" or "dark"."""
    text = (ASSETS / "tokens.css").read_text(encoding="utf-8")
    light, dark = text.split(':root[data-theme="dark"]')
    colours = dict(re.findall(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6})", light))
    if theme == "dark":
        colours |= dict(re.findall(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6})", dark))
    return colours


def mix_colour(fraction: float, theme: str) -> str:
    """Hex colour for a synthetic share from 0 (real) to 1 (synthetic)."""
    colours = palette(theme)
    place = min(max(fraction, 0.0), 1.0) * (len(SCALE) - 1)
    i = min(int(place), len(SCALE) - 2)
    a, b = (_rgb(colours[SCALE[i + k]]) for k in (0, 1))
    return "#" + "".join(
        f"{round(x + (y - x) * (place - i)):02x}" for x, y in zip(a, b, strict=True)
    )


def mix_css(fraction: float) -> str:
    """The same as a CSS colour that follows the theme."""
    place = min(max(fraction, 0.0), 1.0) * (len(SCALE) - 1)
    i = min(int(place), len(SCALE) - 2)
    share = round((place - i) * 100)
    if share == 0:
        return f"var(--{SCALE[i]})"
    if share == 100:
        return f"var(--{SCALE[i + 1]})"
    return f"color-mix(in srgb, var(--{SCALE[i + 1]}) {share}%, var(--{SCALE[i]}))"


def faded(colour: str, opacity: float) -> str:
    """A hex colour as rgba()."""
    r, g, b = _rgb(colour)
    return f"rgba({r},{g},{b},{opacity:g})"


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def gradio_theme() -> Any:
    """Gradio's Base theme with all colours replaced by variables, so that one attribute switches
    between light and dark."""
    theme = gr.themes.Base(
        primary_hue="neutral",
        secondary_hue="neutral",
        neutral_hue="neutral",
        text_size="sm",
        spacing_size="sm",
        radius_size="sm",
        font=["Inter", "ui-sans-serif", "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "JetBrains Mono", "monospace"],
    )
    light, dark = palette("light"), palette("dark")
    both = {
        **GRADIO_COLOURS,
        "body_background_fill": f"var(--paper, {light['paper']})",
        "body_text_color": f"var(--ink, {light['ink']})",
    }
    known = set(dir(theme)) | set(gr.themes.Base.set.__code__.co_varnames)
    values = dict(both)
    values |= {f"{name}_dark": value for name, value in both.items() if f"{name}_dark" in known}
    # until the style sheet is loaded, the page follows the theme of the system
    values["body_background_fill_dark"] = f"var(--paper, {dark['paper']})"
    values["body_text_color_dark"] = f"var(--ink, {dark['ink']})"
    return theme.set(
        **values,
        input_border_width="1px",
        shadow_drop="none",
        shadow_drop_lg="none",
        input_shadow="none",
        input_shadow_focus="none",
        block_shadow="none",
        button_primary_shadow="none",
        button_secondary_shadow="none",
        block_title_text_weight="500",
        button_large_text_weight="550",
        block_padding="0px",
        block_radius="6px",
        input_radius="6px",
        button_large_radius="6px",
        button_small_radius="6px",
    )
