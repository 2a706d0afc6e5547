"""`python -m dreamlab.engine --runs DIR`: the engine process of a runs folder. Its log is
engine.log."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from dreamlab.engine.serving import LockHeld, serve
from dreamlab.store import RunError, RunStore
from dreamlab.store.process_ids import detach_session

LARGEST_LOG = 5 * 2**20


def main() -> int:
    """Serves the runs folder until it is no longer needed. The exit status is 3 if another engine
    serves the folder."""
    parser = argparse.ArgumentParser(
        prog="python -m dreamlab.engine", description="Executes the queued runs of a runs folder."
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="runs folder")
    parser.add_argument(
        "--linger", type=float, default=60.0, help="seconds until it ends when it is not needed"
    )
    args = parser.parse_args()
    try:
        store = RunStore(args.runs)
        store.prepare()
    except RunError as error:
        parser.error(str(error))
    detach_session()
    log_file = store.folders.engine / "engine.log"
    if log_file.exists() and log_file.stat().st_size > LARGEST_LOG:
        log_file.replace(log_file.with_suffix(".log.1"))
    descriptor = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    try:
        serve(store.folder, args.linger)
    except LockHeld as error:
        logging.getLogger("dreamlab.engine").info("%s", error)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
