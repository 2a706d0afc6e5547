"""The rules of the house, held by tests: layers, sizes, registries, documents."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from dreamlab.settings import KINDS, settings_of

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "dreamlab").rglob("*.py")) + [ROOT / "app.py"]

# room -> rooms that it may import (itself is always allowed)
COMMON = {"settings", "store", "data"}
PLANNING = COMMON | {"noise", "architecture", "stats", "studies", "experiments"}
MAY_IMPORT = {
    "settings": set(),
    "noise": {"settings"},
    "store": {"settings"},
    "data": {"settings", "store"},
    "architecture": {"settings", "data"},
    "stats": set(),
    "studies": {"settings"},
    "experiments": COMMON | {"stats", "studies", "checks", "fidelity"},
    "checks": PLANNING,
    "estimates": PLANNING | {"engine", "classifiers"},
    "diffusion": {"settings", "architecture", "noise"},
    "classifiers": COMMON,
    "fidelity": COMMON | {"stats", "classifiers"},
    "tasks": PLANNING | {"checks", "diffusion", "classifiers", "fidelity"},
    "processes": COMMON | {"architecture", "tasks"},
    "engine": COMMON,
    "service": PLANNING | {"checks", "estimates", "engine", "fidelity"},
    "ui": PLANNING | {"checks", "service", "classifiers", "fidelity"},
    "cli": COMMON | {"checks", "estimates", "service"},
    "__main__": {"cli"},
    "app": COMMON | {"service", "ui"},
}
TORCH_ROOMS = {"diffusion", "classifiers", "fidelity", "tasks", "processes"}


def room_of(path: Path) -> str:
    return (
        "app"
        if path.name == "app.py" and path.parent == ROOT
        else path.relative_to(ROOT / "dreamlab").parts[0].removesuffix(".py")
    )


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    assert room in MAY_IMPORT, f"{room} is a new room: give it its place in MAY_IMPORT"
    rooms = {
        name.split(".")[1]
        for name in imports_of(path)
        if name.startswith("dreamlab.") and name.count(".")
    }
    rooms -= {"__version__", room}
    assert rooms <= MAY_IMPORT[room], f"{path.name} imports {sorted(rooms - MAY_IMPORT[room])}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_torch_lives_on_its_side(path: Path) -> None:
    heavy = {n.split(".")[0] for n in imports_of(path)} & {
        "torch",
        "torchvision",
        "torchmetrics",
        "torch_fidelity",
        "safetensors",
    }
    assert room_of(path) in TORCH_ROOMS or not heavy, f"{path} imports {heavy}"


@pytest.mark.parametrize(
    "path", FILES + sorted((ROOT / "tests").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_no_file_is_longer_than_500_lines(path: Path) -> None:
    assert path.read_text().count("\n") <= 500


@pytest.mark.parametrize(
    "module",
    [
        "dreamlab.service",
        "dreamlab.cli",
        "dreamlab.engine.client",
        "dreamlab.ui.shell",
        "dreamlab.noise.schedules",
    ],
)
def test_the_page_side_leaves_torch_out(module: str) -> None:
    code = (
        f"import sys, {module}; print([m for m in ('torch', 'torchvision', 'torchmetrics') if m in"
        " sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_setting_has_a_sentence_of_help_and_bounds(kind: str) -> None:
    for setting in settings_of(KINDS[kind]):
        assert setting.help.endswith(".") and len(setting.help) > 15, setting.name
        if setting.type in ("int", "float"):
            assert setting.low is not None and setting.high is not None, (
                f"{setting.name} has no bounds"
            )


def test_the_readme_names_every_room_and_command() -> None:
    readme = (ROOT / "README.md").read_text()
    for room in MAY_IMPORT:
        assert room in readme or room == "__main__", f"README does not name {room}"
    for text in ("make run", "make test", *(f"dreamlab {kind}" for kind in KINDS)):
        assert text in readme, f"README does not name `{text}`"


def test_the_page_of_settings_is_what_the_specs_say() -> None:
    from tests.make_settings import PAGE, README, page, readme

    assert PAGE.read_text() == page(), "run `python -m tests.make_settings`"
    assert README.read_text() == readme(), "run `python -m tests.make_settings`"
