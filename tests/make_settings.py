"""Writes docs/settings.md from the spec fields.

python -m tests.make_settings
"""

from __future__ import annotations

from pathlib import Path

from dreamlab.spec import KINDS, knobs

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"


def page() -> str:
    """Every setting of every kind of run, as Markdown."""
    parts = ["# Settings\n\nMade from the spec fields by `python -m tests.make_settings`; a test keeps it true.\n"]
    for kind, cls in KINDS.items():
        parts.append(
            f"## {kind}\n\n{cls.summary} `python -m dreamlab {kind} ...`\n\n| option | default | values | meaning |\n|---|---|---|---|"
        )
        for k in knobs(cls):
            default = (
                "required" if k.required else ",".join(map(str, k.default)) if k.type == "list" else str(k.default)
            )
            unit = f" ({k.unit})" if k.unit and k.unit not in k.range else ""
            parts.append(f"| `{k.flag}` | {default} | {k.range}{unit} | {k.help} |")
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
