"""The rules of the house, held by tests: layers, sizes, registries, documents."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from dreamlab.settings import KINDS, names, settings_of

ROOT = Path(__file__).resolve().parents[1]
FILES = [*sorted((ROOT / "dreamlab").rglob("*.py")), ROOT / "app.py"]

# room -> rooms that it may import (itself is always allowed)
COMMON = {"paths", "settings", "store", "data"}
PLANNING = COMMON | {"noise", "architecture", "stats", "studies", "experiments"}
MAY_IMPORT = {
    "paths": set(),
    "settings": set(),
    "noise": {"settings"},
    "store": {"paths", "settings"},
    "data": {"settings", "store"},
    "architecture": {"settings", "data"},
    "stats": set(),
    "studies": {"paths", "settings"},
    "experiments": COMMON | {"stats", "studies"},
    "checks": PLANNING,
    "estimates": PLANNING | {"engine"},
    "diffusion": {"settings", "architecture", "noise"},
    "classifiers": COMMON,
    "fidelity": COMMON | {"stats", "classifiers"},
    "tasks": PLANNING | {"checks", "diffusion", "classifiers", "fidelity"},
    "processes": COMMON | {"architecture", "tasks"},
    "engine": COMMON,
    "service": PLANNING | {"checks", "estimates", "engine"},
    "ui": PLANNING | {"checks", "service"},
    "cli": COMMON | {"checks", "estimates", "service", "ui"},
    "__main__": {"cli"},
    "app": {"cli"},
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


def test_the_command_line_leaves_gradio_and_pandas_to_those_who_need_them() -> None:
    code = (
        "import sys, dreamlab.cli as c; c.main(['studies', '--json']);"
        " sys.exit(str([m for m in ('gradio', 'pandas', 'torch') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.strip() == "[]"


def test_names_in_the_spec_are_the_names_of_the_registries() -> None:
    from dreamlab.classifiers import CLASSIFIERS
    from dreamlab.data.catalog import INFO
    from dreamlab.diffusion.optim import OPTIMIZERS
    from dreamlab.diffusion.samplers import SAMPLERS
    from dreamlab.noise.schedules import SCHEDULES
    from dreamlab.settings.presets import PRESETS
    from dreamlab.tasks import TASKS

    assert set(typing.get_args(names.DatasetName)) == set(INFO)
    assert set(typing.get_args(names.SamplerName)) == set(SAMPLERS)
    assert set(typing.get_args(names.ScheduleName)) == set(SCHEDULES)
    assert set(typing.get_args(names.OptimizerName)) == set(OPTIMIZERS)
    assert set(typing.get_args(names.PresetName)) == set(PRESETS)
    assert set(typing.get_args(names.ClassifierName)) == set(CLASSIFIERS)
    assert set(KINDS) == set(TASKS)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_setting_has_a_sentence_of_help_and_bounds(kind: str) -> None:
    leans_on_another = re.compile(
        r"(It|Its|They|Their|These|This|That|Also|Further|And|Or|Such)\b|.*\b(see|as) (above|below)\b"
    )
    for setting in settings_of(KINDS[kind]):
        help = setting.help
        assert 15 <= len(help) <= 60 and help.endswith("."), (setting.name, len(help))
        assert ". " not in help, f"{setting.name}: the help is more than one sentence"
        assert help[0].isupper(), f"{setting.name}: the help does not begin like a sentence"
        assert not leans_on_another.match(help), f"{setting.name}: the help does not stand alone"
        assert not setting.detail or setting.detail.endswith("."), f"{setting.name}: no full stop"
        if setting.type in ("int", "float"):
            assert setting.low is not None and setting.high is not None, (
                f"{setting.name} has no bounds"
            )


def test_the_readme_names_how_to_start_and_every_verb() -> None:
    readme = (ROOT / "README.md").read_text()
    for text in ("make run", "make test", *(f"dreamlab {kind}" for kind in KINDS)):
        assert text in readme, f"README does not name `{text}`"


def test_the_picture_and_the_table_of_rooms_are_what_the_code_says() -> None:
    from tests.make_architecture import PAGE, PICTURE, page, picture

    assert PAGE.read_text() == page(), "run `python -m tests.make_architecture`"
    assert PICTURE.read_text() == picture(), "run `python -m tests.make_architecture`"


@pytest.mark.parametrize("document", sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_documents_name_functions_that_are_there(document: Path) -> None:
    """`path/file.py: name` or `path/file.py: Class.method`."""
    for file, path in re.findall(r"`(dreamlab/[\w/]+\.py): ([\w.]+)`", document.read_text()):
        inside: ast.AST = ast.parse((ROOT / file).read_text())
        for name in path.split("."):
            inside = next((n for n in ast.walk(inside) if name in names_of(n)), None)
            assert inside, f"{document.name} names {path} in {file}, where it is not"


@pytest.mark.parametrize(
    "document",
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_documents_link_to_files_that_are_there(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / link).exists(), f"{document.name} links to {link}"


def names_of(node: ast.AST) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {t.id for t in targets if isinstance(t, ast.Name)}


def test_the_page_of_settings_is_what_the_specs_say() -> None:
    from tests.make_settings import PAGE, page

    assert PAGE.read_text() == page(), "run `python -m tests.make_settings`"
