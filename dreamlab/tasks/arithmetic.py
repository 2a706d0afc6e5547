"""Number formats fp32, bf16 and fp16: what a device supports and which is faster."""

from __future__ import annotations

import contextlib
import statistics

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


class PrecisionProbe:
    """Chooses fp32 or bf16 while the first training steps run, which take turns: two of each load
    kernels, then each pair of neighbours is one ratio, so that a machine that grows busy changes
    both sides alike. The median ratio decides; it does so early where all pairs so far are far on
    one side.

    An answer is kept in the cache for this kind of machine and network, so that later runs begin
    with it.
    """

    WARM_UP, FEWEST, MOST = 4, 4, 8
    """Steps that do not count; pairs before an early answer, and before any."""
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
        """What step 1, 2, ... of this process should use; in every other pair fp32 goes first."""
        return self.choice or ("bf16" if step % 4 in (0, 1) else "fp32")

    def record(self, step: int, seconds: float) -> None:
        """How long a step took; called for every step in turn."""
        if self.choice or step <= self.WARM_UP:
            return
        self._times.append(seconds)
        if len(self._times) % 2:
            return
        ratios = []
        for i in range(0, len(self._times), 2):
            first, second = self._times[i : i + 2]
            bf16_first = self.precision(self.WARM_UP + 1 + i) == "bf16"
            ratios.append(first / second if bf16_first else second / first)
        border = 1 - BF16_MUST_SAVE
        clear = max(ratios) < border - self.CLEAR or min(ratios) > border + self.CLEAR
        if len(ratios) >= self.MOST or (len(ratios) >= self.FEWEST and clear):
            self.choice = "bf16" if statistics.median(ratios) < border else "fp32"
            self._cache.put(self._key, bf16=torch.tensor(self.choice == "bf16").numpy())
