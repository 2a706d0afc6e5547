"""The number of CPU threads: of a training while other programs use the CPU, and of small
matrices."""

from __future__ import annotations

import statistics
from collections import deque

import torch


class ThreadChoice:
    """Uses one thread instead of all while other programs use the CPU. The threads of oneDNN wait
    for each other in a busy loop: a busy browser slows a training with all threads three- to
    tenfold, but hardly affects a training with one thread.

    One thread is tried once early, and again whenever steps become slower. While one thread is
    used, all threads are tried again from time to time.
    """

    FIRST, WORSE, BETTER, RETRY = 12, 1.5, 0.85, (2.0, 30.0)

    def __init__(self, threads: int):
        self.full, self.now = threads, threads
        self._step, self._trial, self._next, self._wait = 0, 0, 0.0, self.RETRY[0]
        self._recent: deque[float] = deque(maxlen=8)
        self._best = float("inf")

    def record(self, seconds: float, clock: float) -> None:
        """Call this after every step with its duration in seconds and the time of a monotonic
        clock. It sets the number of threads of torch."""
        if self.full == 1:
            return
        self._step += 1
        if self._trial:
            self._finish_trial(seconds, clock)
            return
        self._recent.append(seconds)
        if self.now == self.full and len(self._recent) == self._recent.maxlen:
            self._best = min(self._best, statistics.median(self._recent))
        if self._step == self.FIRST or (
            self._step > self.FIRST and clock >= self._next and self._suspicious()
        ):
            self._trial = 2
            self._use(1 if self.now == self.full else self.full)

    def restore(self) -> None:
        """Sets the number of threads back to all."""
        if self.now != self.full:
            self._use(self.full)

    def _suspicious(self) -> bool:
        return self.now == 1 or statistics.median(self._recent) > self.WORSE * self._best

    def _finish_trial(self, seconds: float, clock: float) -> None:
        usual = statistics.median(self._recent)
        self._trial -= 1
        if self._trial and seconds < usual:
            return  # one fast step may be chance, so a second one is tried
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


SMALL = 512
"""Dimensions of features up to which one thread is faster."""


def for_features(dimensions: int, threads: int) -> int:
    """Threads for the linear algebra of features (n, dimensions), of those that a worker has. Small
    matrices take longer with several: on two busy cores a Vendi score of 64 features took 1.5 s
    with two threads and 0.03 s with one."""
    return threads if dimensions > SMALL else 1
