"""How the engine handles an experiment. It takes no slot, its state is computed from its children,
and its own task runs when they are done."""

from __future__ import annotations

import time

from dreamlab.engine.entry import FINAL, Entry
from dreamlab.engine.transitions import GRACE, StateOf
from dreamlab.store import Run, RunError
from dreamlab.store.states import UNREADABLE
from dreamlab.store.status import RunStatus, group_state


def pass_on_stop(group: Entry, active: dict[str, Entry]) -> bool:
    """Passes a stop request for an experiment on to the children that were made for it. Returns
    whether any of them is active."""
    how = group.asked_to_stop()
    own = [e for e in active.values() if e.record.group == group.id]
    for child in own:
        if how is not None and child.asked_to_stop() not in (how, "now"):
            (child.run.path / "stop").write_text(how)
    return bool(own)


def derive(group: Entry, state_of: StateOf) -> tuple[str, str]:
    """(state, sentence) of an experiment whose own task has not started. The state is "ready" if it
    may start now."""
    states: dict[str, str] = {}
    for child in group.record.children:
        state = state_of(child)
        if state == "missing" and time.monotonic() - group.seen < GRACE:
            state = "queued"
        states[child] = state
    lost = {c: s for c, s in states.items() if s in ("missing", UNREADABLE)}
    if lost and all(s in FINAL for c, s in states.items() if c not in lost):
        child, state = next(iter(lost.items()))
        why = "does not exist any more" if state == "missing" else "cannot be read"
        return "failed", f"Its part {_part(group, child)} {why}."
    if all(state == "done" for state in states.values()):
        return "ready", ""
    state = group_state([s for c, s in states.items() if c not in lost], RunStatus(state="running"))
    if state not in FINAL:
        return ("queued" if all(s == "queued" for s in states.values()) else "running"), ""
    culprit = next(child for child in _causes_first(group, states) if states[child] == state)
    return state, _sentence(group, culprit, state)


def _causes_first(group: Entry, states: dict[str, str]) -> list[str]:
    """The children, with those that need a failed or stopped child last, so that the cause of a
    failure is named."""

    def needs(child: str) -> list[str]:
        try:
            return Run(group.run.path.parent / child).record.needs
        except RunError:
            return []

    return sorted(
        states,
        key=lambda child: any(states.get(need) in ("failed", "stopped") for need in needs(child)),
    )


def _part(group: Entry, child: str) -> str:
    return next(
        (f"{role} ({child})" for role, run in group.record.roles.items() if run == child), child
    )


def _sentence(group: Entry, child: str, state: str) -> str:
    if state == "stopped":
        return f"Its part {_part(group, child)} was stopped."
    error = Run(group.run.path.parent / child).status().error
    return (
        f"Its part {_part(group, child)} failed: {error}"
        if error
        else f"Its part {_part(group, child)} failed."
    )
