"""Draws docs/architecture.svg from the imports, and writes the table of rooms in
docs/architecture.md from the docstrings of the packages.

python -m tests.make_architecture
"""

from __future__ import annotations

import ast
import functools
import html
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- made by python -m tests.make_architecture -->", "<!-- end of the table -->"
TORCH = {"torch", "torchvision", "torchmetrics", "safetensors"}
WIDTH, HEIGHT, COLUMN, ROW, MARGIN = 112, 34, 130, 84, 20
"""Pixels."""
PLACE = {
    "cli": 0,
    "ui": 1.4,
    "processes": 3.1,
    "service": 0.7,
    "tasks": 3.1,
    "checks": 1,
    "estimates": 2.7,
    "diffusion": 4.5,
    "experiments": 0.5,
    "architecture": 3.7,
    "data": 1,
    "engine": 2,
    "studies": 0,
    "store": 1.3,
    "fidelity": 5.5,
    "stats": 5.45,
    "settings": 0.6,
    "noise": 4.2,
    "classifiers": 6.1,
}
"""Column of every room, chosen so that no line passes behind a room. Its row follows from the
imports."""


def rooms() -> list[str]:
    """The packages of dreamlab, sorted."""
    return sorted(p.parent.name for p in (ROOT / "dreamlab").glob("*/__init__.py"))


def imports_of(file: Path) -> set[str]:
    """Full names of the modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@functools.cache
def graph() -> tuple[dict[str, set[str]], set[str]]:
    """(room -> rooms that it imports, rooms that import torch)."""
    names, uses, heavy = set(rooms()), {}, set()
    for room in names:
        imported: set[str] = set()
        for file in (ROOT / "dreamlab" / room).rglob("*.py"):
            imported |= imports_of(file)
        uses[room] = {
            parts[1] for n in imported if (parts := n.split("."))[0] == "dreamlab" and parts[1:]
        } & (names - {room})
        if {n.split(".")[0] for n in imported} & TORCH:
            heavy.add(room)
    return uses, heavy


def reach(uses: dict[str, set[str]], room: str) -> set[str]:
    """Every room that a room imports, directly or through others."""
    found: set[str] = set()
    todo = list(uses[room])
    while todo:
        if (one := todo.pop()) not in found:
            found.add(one)
            todo += uses[one]
    return found


def levels(uses: dict[str, set[str]]) -> list[list[str]]:
    """Rooms by the longest chain of imports below them: the first list imports nothing. Raises
    ValueError if rooms import each other in a circle."""
    depth: dict[str, int] = {}
    while len(depth) < len(uses):
        ready = [r for r in uses if r not in depth and uses[r] <= depth.keys()]
        if not ready:
            raise ValueError(f"circle of imports: {', '.join(sorted(uses.keys() - depth.keys()))}")
        depth |= {r: 1 + max((depth[u] for u in uses[r]), default=-1) for r in ready}
    return [sorted(r for r in uses if depth[r] == i) for i in range(max(depth.values()) + 1)]


def picture() -> str:
    """The rooms as an SVG: a room stands above all that it imports. A line is left out where a
    longer chain says the same."""
    uses, heavy = graph()
    rows = levels(uses)[::-1]
    width = round(max(PLACE.values()) * COLUMN + WIDTH + 2 * MARGIN)
    height = (len(rows) - 1) * ROW + HEIGHT + 2 * MARGIN + 26
    at = {
        room: (MARGIN + PLACE[room] * COLUMN, MARGIN + i * ROW)
        for i, row in enumerate(rows)
        for room in row
    }
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" font-family="sans-serif" font-size="14">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for room in sorted(uses):
        direct = uses[room] - {x for other in uses[room] for x in reach(uses, other)}
        for other in sorted(direct):
            (x, y), (to_x, to_y) = at[room], at[other]
            parts.append(
                f'<line x1="{x + WIDTH / 2:g}" y1="{y + HEIGHT:g}" x2="{to_x + WIDTH / 2:g}"'
                f' y2="{to_y:g}" stroke="#9aa3ad" stroke-width="1.2"/>'
            )
    for room, (x, y) in sorted(at.items()):
        fill, edge = ("#fbe9d7", "#c4762b") if room in heavy else ("#e8f0f8", "#4a78a8")
        parts += [
            f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{fill}"'
            f' stroke="{edge}"/>',
            f'<text x="{x + WIDTH / 2:g}" y="{y + 22:g}" text-anchor="middle"'
            f' fill="#1d2733">{html.escape(room)}</text>',
        ]
    note = "A room imports only rooms that lines lead down to. Orange: imports torch."
    parts += [
        f'<text x="{MARGIN}" y="{height - 12}" font-size="12" fill="#556270">{note}</text>',
        "</svg>",
        "",
    ]
    return "\n".join(parts)


def table() -> str:
    """The rooms with the first sentences of their docstrings, between the markers of the page."""
    rows = []
    for room in [room for level in levels(graph()[0]) for room in level]:
        tree = ast.parse((ROOT / "dreamlab" / room / "__init__.py").read_text())
        text = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
        rows.append(f"| `dreamlab/{room}` | {text} |")
    return "\n".join([BEGIN, "| room | what is in it |", "|---|---|", *rows, END])


def page() -> str:
    """docs/architecture.md with its table made anew. Raises ValueError where a marker is
    missing."""
    text = PAGE.read_text()
    return text[: text.index(BEGIN)] + table() + text[text.index(END) + len(END) :]


if __name__ == "__main__":
    PICTURE.write_text(picture())
    PAGE.write_text(page())
