"""The rules of the house, held by tests: layers, sizes, registries, documents."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from dreamlab.settings import KINDS, settings_of

ROOT = Path(__file__).resolve().parents[1]
FILES = [*sorted((ROOT / "dreamlab").rglob("*.py")), ROOT / "app.py"]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]

# room -> rooms that it may import (itself is always allowed)
COMMON = {"paths", "settings", "store", "data"}
PLANNING = COMMON | {"noise", "architecture", "stats", "studies", "experiments"}
MAY_IMPORT = {
    "paths": set(),
    "settings": {"paths"},
    "noise": {"settings"},
    "store": {"paths", "settings"},
    "data": {"settings", "stats", "store"},
    "architecture": {"settings", "data"},
    "stats": set(),
    "studies": {"paths", "settings"},
    "experiments": COMMON | {"stats", "studies", "fidelity"},
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
    "cli": COMMON | {"checks", "estimates", "service", "ui"},
    "__main__": {"cli"},
    "app": {"cli"},
}
TORCH_ROOMS = {"diffusion", "classifiers", "fidelity", "tasks", "processes"}


LONGEST_FILE, LONGEST_TEST, LONGEST_FUNCTION = 400, 500, 60


def room_of(path: Path) -> str:
    """The first part of a module's place in the package."""
    if path == ROOT / "app.py":
        return "app"
    return path.relative_to(ROOT / "dreamlab").parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Every dotted name that a file imports, wherever it does so."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_room_has_its_place_and_no_two_need_each_other() -> None:
    assert {room_of(p) for p in FILES} - {"__init__"} == set(MAY_IMPORT)
    left = {room: set(below) for room, below in MAY_IMPORT.items()}
    while ground := {room for room, below in left.items() if not below}:
        left = {room: below - ground for room, below in left.items() if room not in ground}
    assert not left, f"these rooms need each other: {sorted(left)}"


def test_a_room_imports_only_rooms_below_it() -> None:
    offenders = []
    for path in FILES:
        room = room_of(path)
        names = [n.split(".") for n in imports_of(path) if n.startswith("dreamlab.")]
        above = {n[1] for n in names} - {"__version__", room} - MAY_IMPORT.get(room, set())
        if room != "__init__" and above:
            offenders.append(f"{shown(path)} imports {sorted(above)}")
    assert offenders == []


def test_only_the_computing_rooms_import_torch() -> None:
    heavy = {"torch", "torchvision", "torchmetrics", "torch_fidelity", "safetensors"}
    offenders = [
        f"{shown(path)} imports {sorted(found)}"
        for path in FILES
        if room_of(path) not in TORCH_ROOMS
        and (found := {n.split(".")[0] for n in imports_of(path)} & heavy)
    ]
    assert offenders == []


def test_no_two_modules_need_each_other() -> None:
    modules = {shown(p).removesuffix(".py").replace("/", "."): p for p in FILES}
    below = {
        name: {i for i in imports_of(p) if i in modules and i != name}
        for name, p in modules.items()
    }
    while ground := {name for name, needed in below.items() if not needed}:
        below = {n: needed - ground for n, needed in below.items() if n not in ground}
    assert not below, f"these modules import each other: {sorted(below)}"


def test_files_and_functions_are_short() -> None:
    tests = sorted((ROOT / "tests").rglob("*.py"))
    allowed = [(p, LONGEST_FILE) for p in FILES] + [(p, LONGEST_TEST) for p in tests]
    long = [shown(p) for p, most in allowed if p.read_text().count("\n") > most]
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long.append(f"{shown(path)}: {node.name} has {lines} lines")
    assert long == []


def test_no_line_is_kept_from_the_formatter() -> None:
    here = Path(__file__)
    marked = [shown(p) for p in FILES + sorted((ROOT / "tests").rglob("*.py")) if p != here]
    assert [p for p in marked if "fmt: " + "skip" in (ROOT / p).read_text()] == []


def test_pages_and_the_command_line_run_without_torch() -> None:
    modules = "dreamlab.service, dreamlab.cli, dreamlab.engine.client, dreamlab.ui.shell"
    heavy = "('torch', 'torchvision', 'torchmetrics')"
    code = f"import sys, {modules}; print([m for m in {heavy} if m in sys.modules])"
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


def test_of_the_rooms_with_torch_other_rooms_take_the_registries_alone() -> None:
    allowed = {"fidelity": ("metrics", "wording"), "classifiers": ("registry",)}
    offenders = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in FILES
        if room_of(path) not in TORCH_ROOMS
        for name in imports_of(path)
        if name.count(".") >= 2 and name.split(".")[1] in allowed
        if name.split(".")[2] not in allowed[name.split(".")[1]]
    ]
    assert not offenders, offenders


def test_every_setting_has_a_sentence_of_help_and_bounds() -> None:
    leans_on_another = re.compile(
        r"(It|Its|They|Their|These|This|That|Also|Further|And|Or|Such)\b|.*\b(see|as)"
        r" (above|below)\b"
    )
    for setting in (s for cls in KINDS.values() for s in settings_of(cls)):
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


def test_documents_name_functions_that_are_there() -> None:
    """`path/file.py: name` or `path/file.py: Class.method`."""
    absent = []
    for document in DOCUMENTS:
        for file, path in re.findall(r"`(dreamlab/[\w/]+\.py): ([\w.]+)`", document.read_text()):
            inside: ast.AST | None = ast.parse((ROOT / file).read_text())
            for name in path.split("."):
                inside = next((n for n in ast.walk(inside) if name in names_of(n)), None)
                if inside is None:
                    absent.append(f"{shown(document)} names {path} in {file}")
                    break
    assert absent == []


def test_documents_link_to_files_that_are_there() -> None:
    absent = [
        f"{shown(document)} links to {link}"
        for document in DOCUMENTS
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
        if not (document.parent / link).exists()
    ]
    assert absent == []


def names_of(node: ast.AST) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {t.id for t in targets if isinstance(t, ast.Name)}


def test_the_page_of_settings_is_what_the_specs_say() -> None:
    from tests.make_settings import PAGE, page

    assert PAGE.read_text() == page(), "run `python -m tests.make_settings`"
