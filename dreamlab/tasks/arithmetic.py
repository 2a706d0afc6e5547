"""Chooses between fp32, bf16 and fp16: what a device supports, and which is faster.

Steps in bf16 and in fp32 alternate and are timed. Two consecutive steps form a pair, so that other
load on the machine affects both in the same way. The median ratio of the pairs decides.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Sequence

import torch

from dreamlab.store import ArtefactCache

BF16_MUST_SAVE = 0.08
"""Share of the time of a step that bf16 must save to be chosen. Less is not worth the rounding
error."""


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 may be faster on this device. A CPU without bf16 instructions emulates it, five
    times slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[object]:
    """A context for mixed precision with `bf16` or `fp16`; it does nothing for `fp32`."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.float16 if precision == "fp16" else torch.bfloat16)


def turn(number: int) -> str:
    """The number format of step 1, 2, ... The order within a pair alternates: fp32 first, then bf16
    first."""
    return "bf16" if number % 4 in (0, 1) else "fp32"


def ratios(seconds: Sequence[float]) -> list[float]:
    """Time in bf16 divided by time in fp32, for each complete pair. `seconds` are the times of
    steps 1, 2, ..."""
    found = []
    for first in range(0, len(seconds) - 1, 2):
        a, b = seconds[first], seconds[first + 1]
        found.append(a / b if turn(first + 1) == "bf16" else b / a)
    return found


def faster(shares: Sequence[float]) -> str:
    """ "bf16" if the median of these ratios is low enough, else "fp32"."""
    return "bf16" if statistics.median(shares) < 1 - BF16_MUST_SAVE else "fp32"


class PrecisionProbe:
    """Chooses fp32 or bf16 during the first training steps, which alternate between the two. The
    first two pairs do not count, because they load kernels. The choice is made early if all pairs
    are clear.

    The choice is cached for this kind of machine and network, and later runs start with it.
    `choice` is empty until it is made.
    """

    WARM_UP, FEWEST, MOST = 2, 4, 8
    """Number of pairs that do not count, that an early choice needs, and that any other choice
    needs."""
    CLEAR = 0.15
    """Distance of the ratio of every pair from the threshold for an early choice."""

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
        """The number format for step 1, 2, ... of this process."""
        return self.choice or turn(step)

    def record(self, seconds: float) -> None:
        """Call this after every step, in order, with its time in seconds."""
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
        """Chooses from the pairs so far, if there are enough. This choice is not cached."""
        found = ratios(self._times)
        if not self.choice and len(found) >= self.WARM_UP:
            self.choice = faster(found[self.WARM_UP :] or found[-1:])
