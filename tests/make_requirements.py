"""Writes requirements.txt and requirements-dev.txt from the dependencies in pyproject.toml.

python -m tests.make_requirements
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "pyproject.toml"
MADE = "Made from pyproject.toml by `python -m tests.make_requirements`; a test keeps it true."
ENTRY = re.compile(r'\s*"(?P<need>[^"]+)",\s*(?P<comment>#.*)?')


def listed(name: str) -> list[str]:
    """The entries of a list in pyproject.toml, one a line, with the comment that stands beside
    each. Raises ValueError where a line is no entry."""
    text = PROJECT.read_text(encoding="utf-8")
    body = text[text.index(f"\n{name} = [\n") :].split("[\n", 1)[1].split("\n]", 1)[0]
    found = [ENTRY.fullmatch(line) for line in body.splitlines()]
    if not all(found):
        raise ValueError(f"{name}: every line must hold one entry and may hold a comment.")
    return [f"{m['need']:<24}  {m['comment'] or ''}".rstrip() for m in found if m]


def pages() -> dict[Path, str]:
    """What each file must hold."""
    plain, dev = listed("dependencies"), listed("dev")
    return {
        ROOT / "requirements.txt": "\n".join([f"# What DreamLab runs on. {MADE}", *plain, ""]),
        ROOT / "requirements-dev.txt": "\n".join(
            [f"# What its tests need beside. {MADE}", "-r requirements.txt", *dev, ""]
        ),
    }


def declared() -> tuple[list[str], list[str]]:
    """The dependencies and those of the extra `dev`, as a TOML reader sees them."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    return project["dependencies"], project["optional-dependencies"]["dev"]


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
