"""Everything that the dashboard and the command line may call. Imports no torch; computes nothing
itself."""

from dreamlab.checks.submission import Refused
from dreamlab.estimates.estimate import Estimate
from dreamlab.service.library import LiveFrame, RunRow
from dreamlab.service.service import NoEngine, Service, Submitted

__all__ = ["Estimate", "LiveFrame", "NoEngine", "Refused", "RunRow", "Service", "Submitted"]
