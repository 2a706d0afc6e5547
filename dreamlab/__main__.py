"""`python -m dreamlab`: the same verbs as the dashboard, from a terminal."""

import sys

from dreamlab.cli import main

sys.exit(main())
