"""`python -m dreamlab`: the same as the command `dreamlab`."""

import sys

from dreamlab.cli import main

sys.exit(main())
