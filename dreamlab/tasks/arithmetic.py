"""fp32, bf16 or fp16: what a device can do, and which is faster.

bf16 and fp32 are timed in turns. Two turns next to each other are a pair, so that a machine that
grows busy slows both sides alike; the median ratio of the pairs decides.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Sequence

import torch

from dreamlab.store import ArtefactCache

BF16_MUST_SAVE = 0.08
"""Share of a step that bf16 must save to be taken: below it, the rounding is not worth it."""


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 may be faster here. A CPU without bf16 instructions emulates it, five times
    slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[object]:
    """Mixed precision for `bf16` and `fp16`; nothing for `fp32`."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.float16 if precision == "fp16" else torch.bfloat16)


def turn(number: int) -> str:
    """What turn 1, 2, ... is computed in; in every other pair fp32 goes first."""
    return "bf16" if number % 4 in (0, 1) else "fp32"


def ratios(seconds: Sequence[float]) -> list[float]:
    """bf16's time as a share of fp32's in every full pair; `seconds` of turn 1, 2, ..."""
    found = []
    for first in range(0, len(seconds) - 1, 2):
        a, b = seconds[first], seconds[first + 1]
        found.append(a / b if turn(first + 1) == "bf16" else b / a)
    return found


def faster(shares: Sequence[float]) -> str:
    """bf16 where the median of these ratios saves enough, otherwise fp32."""
    return "bf16" if statistics.median(shares) < 1 - BF16_MUST_SAVE else "fp32"


class PrecisionProbe:
    """Chooses fp32 or bf16 while the first training steps run, which take turns. The first two
    pairs load kernels and do not count. The answer comes early where all pairs so far are far on
    one side.

    An answer is kept in the cache for this kind of machine and network, so that later runs begin
    with it. `choice` is empty as long as nothing is chosen.
    """

    WARM_UP, FEWEST, MOST = 2, 4, 8
    """Pairs that do not count; that count before an early answer, and before any."""
    CLEAR = 0.15
    """How far from the border every pair lies where the answer is early."""

    def __init__(self, wanted: str, device: torch.device, cache: ArtefactCache, network: str):
        kind = (
            torch.cuda.get_device_name(device)
            if device.type == "cuda"
            else torch.cpu.get_capabilities().get("cpu_name", "")
        )
        self._key = f"bf16-pairs/{torch.__version__}/{kind}/{torch.get_num_threads()}/{network}"
        self._cache, self._times = cache, list[float]()
        self.choice = wanted
        if wanted == "auto":
            self.choice = "" if has_fast_bf16(device) else "fp32"
            if device.type == "cuda" and not self.choice:
                self.choice = "bf16"
            known = cache.get(self._key) if not self.choice else None
            if known is not None:
                self.choice = "bf16" if bool(known["bf16"]) else "fp32"

    def precision(self, step: int) -> str:
        """What step 1, 2, ... of this process should use."""
        return self.choice or turn(step)

    def record(self, seconds: float) -> None:
        """How long a step took; called for every step in turn."""
        if self.choice:
            return
        self._times.append(seconds)
        found, border = ratios(self._times)[self.WARM_UP :], 1 - BF16_MUST_SAVE
        if len(self._times) % 2 or len(found) < self.FEWEST:
            return
        clear = max(found) < border - self.CLEAR or min(found) > border + self.CLEAR
        if len(found) >= self.MOST or clear:
            self.choice = faster(found)
            self._cache.put(self._key, bf16=torch.tensor(self.choice == "bf16").numpy())

    def settle(self) -> None:
        """Chooses from the pairs so far, where there are any after the first; nothing is
        remembered."""
        found = ratios(self._times)
        if not self.choice and len(found) >= self.WARM_UP:
            self.choice = faster(found[self.WARM_UP :] or found[-1:])
