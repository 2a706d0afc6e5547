"""Opens the dashboard from a checkout: `python app.py` is `python -m dreamlab ui`."""

import sys

from dreamlab.cli import main

if __name__ == "__main__":
    sys.exit(main(["ui", *sys.argv[1:]]))
