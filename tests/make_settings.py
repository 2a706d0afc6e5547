"""Writes docs/settings.md and the tables of options and presets in the README from the spec fields.

python -m tests.make_settings
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dreamlab.settings import KINDS, NONE, Setting, Spec, exact, settings_of
from dreamlab.settings.presets import PRESETS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "settings.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- made by python -m tests.make_settings -->", "<!-- end of what is made -->"
IN_README = ("train", "synthesize")


def page() -> str:
    """Every setting of every kind of run, as Markdown, grouped by section."""
    parts = [
        "# Settings\n\nMade from the spec fields by `python -m tests.make_settings`; a test keeps"
        " it true.\n"
    ]
    for kind, cls in KINDS.items():
        parts.append(f"## {kind}\n\n{cls.summary} `python -m dreamlab {kind} ...`\n")
        for section in sections(cls):
            parts += [f"### {kind}: {section}\n"] if section else []
            parts += ["| option | default | values | meaning |", "|---|---|---|---|"]
            for k in (k for k in settings_of(cls) if k.section == section):
                unit = f" ({k.unit})" if k.unit and k.unit not in k.range else ""
                parts.append(f"| `{k.flag}` | {default(k)} | {k.range}{unit} | {k.help} |")
            parts.append("")
    parts += ["## Presets of a training", "", *presets(), ""]
    return "\n".join(parts)


def tables() -> str:
    """What stands in the README between the markers: the options of train and synthesize by
    section, and the presets."""
    parts = [BEGIN]
    for kind in IN_README:
        parts += [
            f"\n**{kind}**: `python -m dreamlab {kind}`\n",
            "| section | options, with their defaults |",
            "|---|---|",
        ]
        for section in sections(KINDS[kind]):
            options = [
                f"`{k.flag}` {default(k)}" for k in settings_of(KINDS[kind]) if k.section == section
            ]
            parts.append(f"| {section or 'in sight'} | {', '.join(options)} |")
    return "\n".join([*parts, "\n**Presets** (`--preset`)\n", *presets(), END])


def presets() -> list[str]:
    """A table of the presets: what each sets that is not the default, with what the studies share
    said once."""
    studies = [fields for fields in PRESETS.values() if fields.get("wiring") == "ddpm"]
    plain = {
        n: v
        for n, v in studies[0].items()
        if all(n in other and other[n] == v for other in studies)
    }
    rows = []
    for name, fields in PRESETS.items():
        base = ["plain DDPM"] if plain.items() <= fields.items() else []
        own = [f"{n} {shown(v)}" for n, v in fields.items() if not (base and n in plain)]
        rows.append(f"| `{name}` | {', '.join(base + own) or 'the defaults'} |")
    said = ", ".join(f"{n} {shown(v)}" for n, v in plain.items())
    return [
        "| preset | what differs from the defaults |",
        "|---|---|",
        *rows,
        "",
        f"Plain DDPM: {said}.",
    ]


def sections(cls: type[Spec]) -> list[str]:
    return list(dict.fromkeys(k.section for k in settings_of(cls)))


def default(k: Setting) -> str:
    return "required" if k.required else shown(k.default)


def shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return exact(value) if value != "" else NONE


def readme() -> str:
    """The README with the tables that belong into it. Raises ValueError where a marker is
    missing."""
    text = README.read_text()
    return text[: text.index(BEGIN)] + tables() + text[text.index(END) + len(END) :]


if __name__ == "__main__":
    PAGE.write_text(page())
    README.write_text(readme())
