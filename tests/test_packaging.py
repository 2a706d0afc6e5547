"""What an installation needs: every dependency is named, the files made from pyproject.toml are
current, and the wheel holds everything."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from dreamlab import __version__, paths
from tests.conftest import ROOT
from tests.make_requirements import declared, listed, pages

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_requirements_are_what_the_project_says() -> None:
    for path, text in pages().items():
        assert path.read_text() == text, "run `python -m tests.make_requirements`"
    plain, dev = declared()
    assert [line.split("#")[0].strip() for line in listed("dependencies")] == plain
    assert [line.split("#")[0].strip() for line in listed("dev")] == dev


def name_of(requirement: str) -> str:
    return re.split(r"[<>=\[]", requirement)[0].lower().replace("_", "-")


def test_every_package_that_is_imported_is_named_and_has_a_bound() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    needed = [
        *declared()[0],
        *extras["parquet"],
        *extras["hf"],
        *extras["heic"],
        *extras["features"],
    ]
    assert all(re.search(r">=|==", line) for line in needed)
    named = {name_of(line) for line in needed}
    also = {"pydantic-core"}  # a part of pydantic
    known = packages_distributions()
    for path in (ROOT / "dreamlab").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module]
            for top in {m.split(".")[0] for m in modules} - sys.stdlib_module_names - {"dreamlab"}:
                owners = {name_of(d) for d in known.get(top, [top])}
                assert owners & (named | also), f"{path.name} imports {top}"


def test_make_installs_anew_when_the_project_changes() -> None:
    rules = (ROOT / "Makefile").read_text()
    assert "/.ready: requirements.txt pyproject.toml" in rules
    assert "/.ready-dev: requirements-dev.txt pyproject.toml" in rules


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert versions[0] == __version__


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel of the tracked files, built as `pip install .` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    files = subprocess.run(
        [
            "git",
            "ls-files",
            "-z",
            "dreamlab",
            "assets",
            "*.toml",
            "setup.py",
            "README.md",
            "LICENSE",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, files):
        target = folder / "src" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(ROOT / name)
    build = "from setuptools import build_meta as b; b.build_wheel('../out')"
    subprocess.run(
        [sys.executable, "-c", build], cwd=folder / "src", capture_output=True, check=True
    )
    return zipfile.ZipFile(next((folder / "out").glob("*.whl")))


def test_a_wheel_holds_every_file(wheel: zipfile.ZipFile) -> None:
    held = set(wheel.namelist())
    wanted = {
        str(p.relative_to(ROOT))
        for p in (ROOT / "dreamlab").rglob("*")
        if p.suffix in (".py", ".toml", ".html", ".typed") and "assets" not in p.parts
    }
    wanted |= {f"dreamlab/{p.relative_to(ROOT)}" for p in paths.ASSETS.rglob("*") if p.is_file()}
    assert wanted <= held, sorted(wanted - held)
    assert not any(name.startswith("tests/") for name in held)


def test_a_wheel_brings_the_command_and_the_dependencies(wheel: zipfile.ZipFile) -> None:
    info = f"dreamlab-{__version__}.dist-info"
    assert "dreamlab = dreamlab.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
    said = wheel.read(f"{info}/METADATA").decode()
    for need in declared()[0]:
        assert f"Requires-Dist: {name_of(need)}" in said
    assert "Provides-Extra: parquet" in said


def test_a_wheel_that_is_unpacked_finds_its_own_files(
    wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    wheel.extractall(tmp_path / "site-packages")
    code = (
        "from dreamlab import paths, studies; print(paths.DEMO, len(studies.names()),"
        " repr(paths.python_path()))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(tmp_path / "site-packages")},
    ).stdout.split()
    inside = tmp_path / "site-packages" / "dreamlab"
    assert out[0] == str(inside / "assets" / "demo.zip") and int(out[1]) == 17
    assert out[2] == repr(str(inside.parent)), "nothing is put before the standard library"
