"""Locations of the files that come with the code, in a checkout and in an installed package."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
"""The folder that contains the package `dreamlab`."""
ASSETS = next(p for p in (PACKAGE / "assets", ROOT / "assets") if p.is_dir())
"""Style sheet, script, fonts and the demo. They are inside the package when it is installed from a
wheel, and beside it in a checkout."""
DEMO = ASSETS / "demo.zip"
STUDIES = PACKAGE / "studies"


def python_path() -> str:
    """PYTHONPATH for a child process, so that it can import this package from any folder."""
    # Python finds an installed package without PYTHONPATH; site-packages there would come before
    # the standard library and could hide its modules
    own = "" if ROOT.name in ("site-packages", "dist-packages") else str(ROOT)
    return os.pathsep.join(p for p in (own, os.environ.get("PYTHONPATH", "")) if p)


def program() -> str:
    """How the command line is called on this machine: `dreamlab` if that command belongs to this
    installation, else `python -m dreamlab`."""
    found = shutil.which("dreamlab")
    own = found is not None and Path(found).parent == Path(sys.executable).parent
    return "dreamlab" if own else "python -m dreamlab"
