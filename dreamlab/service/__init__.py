"""The functions that the dashboard and the command line call. It imports no torch and does no long
computation itself."""

from dreamlab.estimates.cost import Estimate
from dreamlab.service.library import LiveFrame, RunRow
from dreamlab.service.refused import NoEngine, Refused
from dreamlab.service.service import Service, Submitted

__all__ = ["Estimate", "LiveFrame", "NoEngine", "Refused", "RunRow", "Service", "Submitted"]
