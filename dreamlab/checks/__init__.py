"""All checks that can refuse a spec before it starts: one module per kind of run.

The dashboard, the command line, experiments (for their parts) and workers call the same functions.
These read what is known of the runs and the machine from one record (`Known`), and raise SpecError
with one sentence.
"""

from dreamlab.checks.check import CHECKS, check
from dreamlab.checks.known import Known

__all__ = ["CHECKS", "Known", "check"]
