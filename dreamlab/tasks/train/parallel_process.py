"""`python -m dreamlab.tasks.train.parallel_process RUN_DIR ...`: one further process of a
data-parallel training; see `data_parallel`."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import IO

import torch

from dreamlab.settings import SpecError
from dreamlab.store import ArtefactCache, Run, RunError, RunStore
from dreamlab.tasks.context import TaskContext, TaskError
from dreamlab.tasks.train.data_parallel import EXIT_ALONE, Alone, Ranks
from dreamlab.tasks.train.task import make_trainer

PR_SET_PDEATHSIG = 1


def follow(ctx: TaskContext, ranks: Ranks, orders: IO[bytes], answers: IO[bytes]) -> None:
    """The work of a further process: takes the same steps with its own share of the images, one for
    each line of `orders`, until `orders` ends."""
    trainer = make_trainer(ctx, ranks)
    answers.write(b'{"ready": true}\n')
    answers.flush()
    ranks.connect(trainer.device)
    for line in orders:
        order = json.loads(line)
        trainer.step(order["progress"], order["precision"])


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status. 0: `orders` ended. 1: failed, with a sentence in `answers`.
    EXIT_ALONE: another process was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m dreamlab.tasks.train.parallel_process",
        description="A further process of a training.",
    )
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    for name in ("rank", "count", "port", "threads", "attempt"):
        parser.add_argument(f"--{name}", type=int, required=True)
    args = parser.parse_args(argv)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # stdout is redirected to the log, so that no library writes into the answers
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    torch.set_num_threads(args.threads)
    store = RunStore(args.run.parent)
    ctx = TaskContext(
        run=Run(args.run),
        store=store,
        cache=ArtefactCache(store.folders.cache),
        attempt=args.attempt,
        threads=args.threads,
        device=args.device,
    )
    ranks = Ranks(args.rank, args.count, args.port)
    try:
        follow(ctx, ranks, orders, answers)
    except Alone:
        return EXIT_ALONE
    except (TaskError, SpecError, RunError) as error:
        return _say(answers, str(error))
    except BaseException as error:
        logging.exception("process %d", args.rank)
        return _say(answers, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
    ranks.close()
    return 0


def _say(answers: IO[bytes], sentence: str) -> int:
    with contextlib.suppress(OSError):
        answers.write(json.dumps({"error": sentence}).encode() + b"\n")
        answers.flush()
    return 1


if __name__ == "__main__":
    sys.exit(main())
