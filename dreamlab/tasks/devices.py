"""Where and how to compute: nothing here touches a device before a task asks for it."""

from __future__ import annotations

import contextlib
import statistics
import sys
from collections import deque

import torch

from dreamlab.store import ArtefactCache

BF16_MUST_SAVE = 0.08
"""Share of a step that bf16 must save to be taken: below it, the rounding is not worth it."""


def prepare(name: str) -> torch.device:
    """The device of a task ("cpu", "cuda:0" or "auto"), set up for speed."""
    if name == "auto":
        name = "cuda:0" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    return device


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 may pay here. A CPU without these instructions emulates it, five times slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[object]:
    """Mixed precision for `bf16` and `fp16`, nothing for `fp32`."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.float16 if precision == "fp16" else torch.bfloat16)


class PrecisionProbe:
    """Chooses fp32 or bf16 while the first training steps run, which take turns: two of each load kernels, then each pair
    of neighbours is one ratio, so that a machine that grows busy changes both sides alike. The median ratio decides; it
    does so early where all pairs so far are far on one side.

    An answer is kept in the cache for this kind of machine and network, so that later runs begin with it.
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


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of a device's or the host's allocator says that there is too little memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    # of cuBLAS, cuDNN and the allocators of the CPU
    said = (
        "out of memory",
        "can't allocate memory",
        "not enough memory",
        "ALLOC_FAILED",
        "could not create a memory object",
    )
    return isinstance(error, RuntimeError) and any(words in text for words in said)


def release_memory(device: torch.device) -> None:
    """Gives blocks that the allocator holds for later back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


class ThreadChoice:
    """Uses fewer threads while others want the cores: oneDNN's threads wait for each other by spinning, so that a busy
    browser beside a training with all threads slows it three- to tenfold, one thread hardly at all.

    One thread is tried once early, then whenever steps take longer than they did; all of them again after a while.
    """

    FIRST, WORSE, BETTER, RETRY = 12, 1.5, 0.85, (2.0, 30.0)

    def __init__(self, threads: int):
        self.full, self.now = threads, threads
        self._step, self._trial, self._next, self._wait = 0, 0, 0.0, self.RETRY[0]
        self._recent: deque[float] = deque(maxlen=8)
        self._best = float("inf")

    def record(self, seconds: float, clock: float) -> None:
        """After every step: how long it took, and the time by a monotonic clock; sets torch's number of threads."""
        if self.full == 1:
            return
        self._step += 1
        if self._trial:
            self._finish_trial(seconds, clock)
            return
        self._recent.append(seconds)
        if self.now == self.full and len(self._recent) == self._recent.maxlen:
            self._best = min(self._best, statistics.median(self._recent))
        if self._step == self.FIRST or (self._step > self.FIRST and clock >= self._next and self._suspicious()):
            self._trial = 2
            self._use(1 if self.now == self.full else self.full)

    def restore(self) -> None:
        """All threads again, for what follows in this process."""
        if self.now != self.full:
            self._use(self.full)

    def _suspicious(self) -> bool:
        return self.now == 1 or statistics.median(self._recent) > self.WORSE * self._best

    def _finish_trial(self, seconds: float, clock: float) -> None:
        usual = statistics.median(self._recent)
        self._trial -= 1
        if self._trial and seconds < usual:
            return  # a first good step may be chance: one more
        self._trial = 0
        if seconds < self.BETTER * usual:
            self._recent.clear()
            self._recent.append(seconds)
            self._wait = self.RETRY[0]
        else:
            self._use(1 if self.now == self.full else self.full)
            self._wait = min(2 * self._wait, self.RETRY[1])
        self._next = clock + self._wait

    def _use(self, threads: int) -> None:
        self.now = threads
        torch.set_num_threads(threads)


def synchronise(device: torch.device) -> None:
    """Waits for queued CUDA work; nothing on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory held so far: of the CUDA device's allocator, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on Windows, where this project runs inside WSL

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
