"""Writes docs/settings.md from the fields of the specs.

python -m tests.make_settings
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dreamlab.settings import KINDS, NONE, Setting, Spec, exact, settings_of
from dreamlab.settings.classifier_recipe import RECIPES
from dreamlab.settings.presets import PRESETS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "settings.md"


def page() -> str:
    """Every setting of every kind of run, as Markdown, grouped by section."""
    parts = [
        "# Settings\n\nMade by `python -m tests.make_settings` from the fields in"
        " `dreamlab/settings`; do not edit. Forms and `--help` show the same texts.\n"
    ]
    for kind, cls in KINDS.items():
        parts.append(f"## {kind}\n\n{cls.summary} `python -m dreamlab {kind} ...`\n")
        for section in sections(cls):
            parts += [f"### {kind}: {section}\n"] if section else []
            parts += ["| option | default | values | meaning |", "|---|---|---|---|"]
            for k in (k for k in settings_of(cls) if k.section == section):
                unit = f" ({k.unit})" if k.unit and k.unit not in k.range else ""
                parts.append(f"| `{k.flag}` | {default(k)} | {k.range}{unit} | {k.full_help} |")
            parts.append("")
    parts += ["## Presets of a training", "", *presets(), ""]
    parts += ["## Recipes of a classifier", "", *table("recipe", RECIPES), ""]
    return "\n".join(parts)


def presets() -> list[str]:
    """A table of the presets: what each sets that is not the default. What the studies share is
    called "plain DDPM" and listed once."""
    studies = [fields for fields in PRESETS.values() if fields.get("wiring") == "ddpm"]
    plain = {
        n: v
        for n, v in studies[0].items()
        if all(n in other and other[n] == v for other in studies)
    }
    own = {
        name: {n: v for n, v in fields.items() if not (uses(fields, plain) and n in plain)}
        for name, fields in PRESETS.items()
    }
    said = ", ".join(f"{n} {shown(v)}" for n, v in plain.items())
    base = [name for name, fields in PRESETS.items() if uses(fields, plain)]
    return [*table("preset", own, base), "", f"Plain DDPM: {said}."]


def uses(fields: dict[str, Any], plain: dict[str, Any]) -> bool:
    return plain.items() <= fields.items()


def table(name: str, rows: dict[str, dict[str, Any]], ddpm: Sequence[str] = ()) -> list[str]:
    """Rows of name -> fields as Markdown; those named in `ddpm` start from the plain DDPM."""
    lines = [f"| {name} | what differs from the defaults |", "|---|---|"]
    for key, fields in rows.items():
        words = ["plain DDPM"] * (key in ddpm) + [f"{n} {shown(v)}" for n, v in fields.items()]
        lines.append(f"| `{key}` | {', '.join(words) or 'the defaults'} |")
    return lines


def sections(cls: type[Spec]) -> list[str]:
    return list(dict.fromkeys(k.section for k in settings_of(cls)))


def default(k: Setting) -> str:
    return "required" if k.required else shown(k.default)


def shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return exact(value) if value != "" else NONE


if __name__ == "__main__":
    PAGE.write_text(page())
