"""Where the files that come with the code are: in a checkout, or in an installed package."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
"""The folder from which `import dreamlab` works."""
ASSETS = next(p for p in (PACKAGE / "assets", ROOT / "assets") if p.is_dir())
"""Styles, script, fonts and the demo. A wheel has them inside the package, a checkout beside it."""
DEMO = ASSETS / "demo.zip"
STUDIES = PACKAGE / "studies"


def python_path() -> str:
    """PYTHONPATH for a child process, so that it can import this package from any folder."""
    # an installed package is found without it; before the standard library it could only hide
    # things
    own = "" if ROOT.name in ("site-packages", "dist-packages") else str(ROOT)
    return os.pathsep.join(p for p in (own, os.environ.get("PYTHONPATH", "")) if p)


def program() -> str:
    """How a person calls the command line: `dreamlab` where that command is this installation's,
    else `python -m dreamlab`."""
    found = shutil.which("dreamlab")
    own = found is not None and Path(found).parent == Path(sys.executable).parent
    return "dreamlab" if own else "python -m dreamlab"
