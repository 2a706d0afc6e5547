"""Everything that refuses a spec before it starts: a module per kind of run.

A page, the command line, an experiment for its parts and a worker ask the same functions. They get
one record of what is known (`Known`) and raise SpecError with one sentence.
"""

from dreamlab.checks.check import CHECKS, check
from dreamlab.checks.known import Known

__all__ = ["CHECKS", "Known", "check"]
