"""The valid names of arms. `dreamlab.data.mixing.parse` turns a name into an `Arm`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from dreamlab.settings.base import SpecError

ARM_FORMS = (
    "real, synthetic, R/S in percent such as 50/50, real+Kx such as real+1x, real+N@C such as"
    " real+500@8+9 (N synthetic images for each of these classes), augmented, duplicated+Kx, or"
    " noise+Kx"
)
ARM = re.compile(
    r"(?P<word>real|synthetic|augmented)"
    r"|(?P<real>\d{1,3}(\.\d+)?)/(?P<synthetic>\d{1,3}(\.\d+)?)"
    r"|(?P<base>real|duplicated|noise)\+(?P<times>\d{1,3}(\.\d+)?)x"
    r"|real\+(?P<each>[1-9]\d{0,6})@(?P<classes>\d{1,4}(\+\d{1,4})*)"
)
"""Pattern of the valid names. The ranges of their numbers are checked in `check_arm`."""


def check_arm(arm: str) -> str:
    """Returns the name in lower case and without spaces. Raises SpecError if it is not valid."""
    name = arm.strip().lower().replace(" ", "")
    found = ARM.fullmatch(name)
    if found and found["real"]:
        shares = float(found["real"]), float(found["synthetic"])
        found = found if abs(sum(shares) - 100) < 1e-9 and min(shares) > 0 else None
    elif found and found["times"]:
        found = found if 0 < float(found["times"]) <= 100 else None
    if found is None:
        raise SpecError(f"Arm {arm!r} cannot be used; it must be {ARM_FORMS}.", "arms")
    return name


ArmName = Annotated[str, AfterValidator(check_arm)]
