"""The rules of the house, held by tests: layers, sizes, registries, documents."""

from __future__ import annotations

import ast
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from dreamlab.spec import KINDS, knobs
from dreamlab.spec import base as names

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "dreamlab").rglob("*.py")) + [ROOT / "app.py"]

# room -> rooms that it may import (itself is always allowed)
COMMON = {"spec", "store", "data"}
MAY_IMPORT = {
    "spec": set(),
    "store": {"spec"},
    "data": {"spec", "store"},
    "stats": set(),
    "studies": {"spec"},
    "groups": COMMON | {"stats", "studies"},
    "diffusion": COMMON,
    "classifiers": COMMON,
    "fidelity": COMMON | {"stats", "classifiers"},
    "tasks": COMMON | {"stats", "groups", "diffusion", "classifiers", "fidelity"},
    "worker": COMMON | {"tasks"},
    "live": COMMON | {"tasks"},
    "probe": COMMON | {"tasks"},
    "forkserver": COMMON | {"tasks", "worker", "live"},
    "engine": COMMON,
    "service": COMMON | {"stats", "studies", "groups", "engine"},
    "ui": COMMON | {"stats", "studies", "groups", "service"},
    "cli": COMMON | {"service"},
    "__main__": {"cli"},
    "app": COMMON | {"service", "ui"},
}
# the one module of its room that is common ground: pages draw schedules
SCHEDULE_MODULES = {"dreamlab.diffusion", "dreamlab.diffusion.schedules"}
TORCH_ROOMS = {"diffusion", "classifiers", "fidelity", "tasks", "worker", "live", "probe", "forkserver"}


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
    modules = imports_of(path) - (SCHEDULE_MODULES if room in ("ui", "service") else set())
    rooms = {name.split(".")[1] for name in modules if name.startswith("dreamlab.") and name.count(".")}
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


@pytest.mark.parametrize("path", FILES + sorted((ROOT / "tests").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert path.read_text().count("\n") <= 400


@pytest.mark.parametrize(
    "module",
    ["dreamlab.service", "dreamlab.cli", "dreamlab.engine.client", "dreamlab.ui.shell", "dreamlab.diffusion.schedules"],
)
def test_the_page_side_leaves_torch_out(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('torch', 'torchvision', 'torchmetrics') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout.strip() == "[]"


def test_names_in_the_spec_are_the_names_of_the_registries() -> None:
    from dreamlab.classifiers import CLASSIFIERS
    from dreamlab.data.catalog import INFO
    from dreamlab.diffusion.optim import OPTIMIZERS
    from dreamlab.diffusion.samplers import SAMPLERS
    from dreamlab.diffusion.schedules import SCHEDULES
    from dreamlab.spec.presets import PRESETS
    from dreamlab.tasks import TASKS

    assert set(typing.get_args(names.DatasetName)) == set(INFO)
    assert set(typing.get_args(names.SamplerName)) == set(SAMPLERS)
    assert set(typing.get_args(names.ScheduleName)) == set(SCHEDULES)
    assert set(typing.get_args(names.OptimizerName)) == set(OPTIMIZERS)
    assert set(typing.get_args(names.PresetName)) == set(PRESETS)
    assert set(typing.get_args(names.ClassifierName)) == set(CLASSIFIERS)
    assert set(KINDS) == set(TASKS)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_knob_has_a_sentence_of_help_and_bounds(kind: str) -> None:
    for knob in knobs(KINDS[kind]):
        assert knob.help.endswith(".") and len(knob.help) > 15, knob.name
        if knob.type in ("int", "float"):
            assert knob.low is not None and knob.high is not None, f"{knob.name} has no bounds"


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
