"""A worker without torch for tests of the engine: does what `plan.json` in its run directory
says."""

import json
import os
import signal
import sys
import time
from pathlib import Path

path, attempt = Path(sys.argv[1]), int(sys.argv[2])
plan = json.loads((path / "plan.json").read_text()) if (path / "plan.json").exists() else {}


def write(type: str, **fields: object) -> None:
    with open(path / "events.jsonl", "ab", buffering=0) as file:
        file.write(
            json.dumps({"t": time.time(), "attempt": attempt, "type": type, **fields}).encode()
            + b"\n"
        )


signal.signal(signal.SIGTERM, signal.SIG_IGN)
write("state", state="running", error="", pid=os.getpid())
if plan.get("child"):  # a process of its own, which must not outlive a stop now
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    (path / "child.pid").write_text(str(child))
for step in range(plan.get("steps", 1)):
    write(
        "progress",
        step=step + 1,
        total=plan.get("steps", 1),
        unit="steps",
        eta_seconds=None,
        text="",
    )
    if step + 1 == plan.get("die_at", {}).get(str(attempt)):
        os.kill(os.getpid(), signal.SIGKILL)
    if "exit" in plan:
        os._exit(plan["exit"])
    if (path / "stop").exists() and not plan.get("deaf"):
        write("state", state="stopped", error="")
        sys.exit(2)
    time.sleep(plan.get("delay", 0.0))
if plan.get("fail"):
    write("state", state="failed", error=plan["fail"])
    sys.exit(1)
write("state", state="done", error="")
