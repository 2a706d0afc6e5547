"""Chooses between fp32 and bf16 for precision `auto`. The choice is made once per machine, version
of torch and shape of network, before the first step, and kept in the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from dreamlab.store.cache import user_cache
from dreamlab.tasks.torch_device import synchronise

BF16_GAIN = 1.3
"""bf16 is chosen if it is at least this many times as fast. Less is not worth its rounding."""
WARM_UP, FEWEST, MOST = 1, 3, 8
"""Number of timed pairs that do not count, because they load kernels; that an early end needs; and
that are timed at most."""
CLEAR = 1.25
"""The timing ends early if all pairs are on one side of BF16_GAIN, by at least this factor."""
LONGEST = 4.0
"""Seconds after which one pair that counts is enough."""


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


def choose(
    key: str,
    device: torch.device,
    work: Callable[[str], object],
    accurate: Callable[[], bool] = lambda: True,
) -> str:
    """Returns "bf16" if `work("bf16")` is at least BF16_GAIN times as fast as `work("fp32")` and
    `accurate()` holds, else "fp32".

    `key` names the work and the shape of the network. The first answer for a key on a machine is
    kept, and later calls return it without timing anything; of two processes that time at once, the
    first one decides for both.
    """
    if not has_fast_bf16(device):
        return "fp32"
    cache, key = user_cache(), f"precision/{torch.__version__}/{_machine(device)}/{key}"
    known = cache.get(key)
    if known is None:
        bf16 = is_faster(work, device) and accurate()
        known = cache.add(key, bf16=np.asarray(bf16))
    return "bf16" if bool(known["bf16"]) else "fp32"


def is_faster(work: Callable[[str], object], device: torch.device) -> bool:
    """Whether `work` is at least BF16_GAIN times as fast in bf16, by the median of pairs. Both of a
    pair run one after the other, so that other load on the machine affects both in the same way."""
    gains, began = list[float](), time.perf_counter()
    for pair in range(WARM_UP + MOST):
        order = ("fp32", "bf16") if pair % 2 else ("bf16", "fp32")
        seconds = {precision: _seconds(work, precision, device) for precision in order}
        if pair >= WARM_UP:
            gains.append(seconds["fp32"] / seconds["bf16"])
        late = bool(gains) and time.perf_counter() - began > LONGEST
        clear = min(gains, default=0.0) >= BF16_GAIN * CLEAR
        clear = clear or max(gains, default=np.inf) <= BF16_GAIN / CLEAR
        if late or (clear and len(gains) >= FEWEST):
            break
    return statistics.median(gains) >= BF16_GAIN


def _seconds(work: Callable[[str], object], precision: str, device: torch.device) -> float:
    synchronise(device)
    began = time.perf_counter()
    work(precision)
    synchronise(device)
    return time.perf_counter() - began


def _machine(device: torch.device) -> str:
    """The model of the GPU, or a hash of what torch knows about the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    known = json.dumps(dict(torch.cpu.get_capabilities()), sort_keys=True)
    return hashlib.sha256(known.encode()).hexdigest()[:16]
