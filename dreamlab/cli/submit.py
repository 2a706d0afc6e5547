"""One verb per kind of run: submits it, shows its estimated cost, and waits until it ends."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any, TextIO

from dreamlab.checks.machine import disk_warning
from dreamlab.cli import demo
from dreamlab.cli.options import AS_IF, DONE, FAILED, REFUSED, Answer, Parser, add_option
from dreamlab.estimates.cost import duration
from dreamlab.paths import program
from dreamlab.service import NoEngine, Refused, RunRow, Service, looking
from dreamlab.settings import EXPERIMENT_KINDS, Spec, command, settings_of
from dreamlab.store import EventReader
from dreamlab.store.states import ACTIVE

POLL = 0.1


def add_verb(verbs: Any, common: argparse.ArgumentParser, kind: str, cls: type[Spec]) -> None:
    """Adds the verb of a kind of run, with one option per setting."""
    verb: Parser = verbs.add_parser(
        kind,
        parents=[common],
        usage=f"%(prog)s [{kind} option ...]",
        help=cls.summary,
        description=cls.summary,
        allow_abbrev=False,
    )
    titles = dict.fromkeys(setting.section for setting in settings_of(cls))
    groups = {title: verb.add_argument_group(title or "settings") for title in titles}
    for setting in settings_of(cls):
        add_option(groups[setting.section], setting)
    group = verb.add_argument_group("this run")
    group.add_argument("--name", default="", help="name of the run")
    group.add_argument(
        "--fresh",
        action="store_true",
        help="compute again, even if a finished run has the same settings",
    )
    group.add_argument(
        "--dry-run", action="store_true", help="print the estimated cost and start nothing"
    )
    group.add_argument("--as-if", default="", metavar="MACHINE", help=f"with --dry-run: {AS_IF}")
    group.add_argument("--follow", action="store_true", help="print every event as it comes")
    group.add_argument(
        "--detach", action="store_true", help="return at once; the run continues in the background"
    )
    verb.set_defaults(call=_submit, cls=cls)


def _submit(service: Service, arguments: argparse.Namespace) -> Answer:
    given = vars(arguments)
    values = {k.name: given[k.name] for k in settings_of(arguments.cls) if k.name in given}
    for name, value in values.items():
        if isinstance(value, list):  # a repeated option is the same as a comma-separated list
            values[name] = ",".join(value)
    if of_demo := demo.named(arguments.cls, values):
        values |= of_demo
        with demo.looking(service) as there:
            spec = _checked(there, arguments, values)
            if arguments.dry_run:
                shown = demo.as_given(spec, of_demo)
                return _dry_run(there, spec, shown, arguments), DONE
        service.install_demo()
    else:
        spec = _checked(service, arguments, values)
        found = looking.settled(spec, service.store)
        if arguments.dry_run:
            if found and not arguments.json:
                print(looking.as_text(found))
            answer = _dry_run(service, spec, command(spec), arguments, found)
            return (answer | {"proposal": found} if found else answer), DONE
    return _start(service, spec, arguments)


def _checked(service: Service, arguments: argparse.Namespace, values: dict[str, Any]) -> Spec:
    if arguments.as_if and not arguments.dry_run:
        raise Refused(
            "Machine (--as-if): it can be used with --dry-run alone; a run is computed on this"
            " machine.",
            "as_if",
        )
    spec = service.check(arguments.cls.kind, values, service.described(arguments.as_if))
    if not arguments.as_if and (sentence := service.warning(spec)):
        print(sentence, file=sys.stderr)
    return spec


def _start(service: Service, spec: Spec, arguments: argparse.Namespace) -> Answer:
    before = service.estimate(spec)
    out = sys.stderr
    _warn_of_disk(service, before.disk_bytes)
    if not arguments.json:
        print(f"{spec.kind}: {before.text}" if before.text else spec.kind, file=out)
    submitted = service.submit(spec, name=arguments.name, fresh=arguments.fresh)
    try:
        service.start()
    except NoEngine as error:
        return {**answer_of(service, submitted.run), "error": str(error)}, FAILED
    if submitted.reused and service.row(submitted.run).state == "done":
        print(
            f"A finished run has the same settings: {submitted.run} (--fresh computes it again).",
            file=out,
        )
        return answer_of(service, submitted.run, reused=True), DONE
    print(f"{submitted.run} in {service.store.folder}", file=out)
    if arguments.detach:
        return answer_of(service, submitted.run, reused=submitted.reused), DONE
    return wait(
        service,
        submitted.run,
        sys.stderr if arguments.json else sys.stdout,
        arguments.follow,
        submitted.reused,
    )


def _dry_run(
    service: Service,
    spec: Spec,
    shown: str,
    arguments: argparse.Namespace,
    proposal: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Prints and returns the settings and the estimated cost of a run. Nothing is left behind."""
    machine, device = service.described(arguments.as_if), getattr(spec, "device", "auto")
    estimated = service.dry_run(spec, machine, proposal, arguments.fresh)
    found = estimated.as_dict()
    result = {"estimate": found, "command": shown, "spec": spec.model_dump(mode="json")}
    if not arguments.as_if:
        _warn_of_disk(service, found["disk_bytes"])
    if sentence := machine.memory_warning(estimated.memory_bytes or 0, device):
        print(sentence, file=sys.stderr)
    if not arguments.json:
        print(f"{result['command']}\n")
        for name, value in found.items():
            value = estimated.origin if name == "source" else value
            if value is not None and name != "machine":
                print(f"  {name.replace('_', ' '):<20} {_amount(name, value)}")
        print("\nNothing was started.", file=sys.stderr)
    return {"run": None, "state": "dry-run", "result": result, "error": None}


def _warn_of_disk(service: Service, needed: int | None) -> None:
    if full := disk_warning(service.store, needed or 0):
        print(full, file=sys.stderr)


def _amount(name: str, value: Any) -> str:
    if name.startswith("seconds"):
        return duration(value)
    if name.endswith("_bytes"):
        return f"{value / 1e6:,.0f} MB"
    if name == "gpu_hours":
        return f"{value:.2g}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)


def answer_of(service: Service, run_id: str, reused: bool = False) -> dict[str, Any]:
    """The JSON object on a run."""
    row = service.row(run_id)
    run = service.find(run_id)
    return {
        "run": run_id,
        "state": row.state,
        "result": run.result(),
        "error": row.error or None,
        "reused": reused,
        "kind": row.kind,
        "path": str(run.path),
    }


def wait(service: Service, run_id: str, out: TextIO, follow: bool, reused: bool = False) -> Answer:
    """Shows a run until it ends. The first Ctrl-C stops the run and keeps what is done; a second
    one returns and leaves the run to the engine."""
    show = _EventPrinter(service, run_id, out) if follow else _Line(service, run_id)
    asked = False
    while True:
        try:
            service.keep_engine()
            row = service.row(run_id, disk=False)
            show.tick(row)
            if row.state not in ACTIVE:
                break
            time.sleep(POLL)
        except KeyboardInterrupt:
            if asked:
                print(
                    f"\n{run_id} continues; `{program()} runs stop {run_id}` stops it.",
                    file=sys.stderr,
                )
                return answer_of(service, run_id, reused), FAILED
            asked = True
            print(
                "\nThe run stops and keeps what is done; press Ctrl-C again to leave it running.",
                file=sys.stderr,
            )
            service.stop(run_id)
    show.end()
    answer = answer_of(service, run_id, reused)
    shown = answer["error"] if out is sys.stdout else ""  # `main` prints it
    if not follow:
        for sentence in _messages(service, run_id):
            if sentence not in (shown or ""):
                print(sentence, file=sys.stderr)
    if refusal := _refusal(service, run_id, answer["error"] or ""):
        return {**answer, "error": refusal}, REFUSED
    if out is sys.stdout and not follow:
        print(f"{answer['state']}: {service.row(run_id).headline or run_id}", file=out)
    return answer, DONE if answer["state"] == "done" else FAILED


def _refusal(service: Service, run_id: str, error: str) -> str:
    """The sentence with which the settings of a failed run are refused now, if that is why it
    failed: what its checks read, such as near-copies of test images, was still to be searched when
    it was submitted. Empty otherwise."""
    run = service.find(run_id)
    if not error or run.problem():
        return ""
    try:
        service.check(run.kind, run.spec.model_dump())
    except Refused as refusal:
        return str(refusal) if str(refusal) in error else ""
    return ""


def _messages(service: Service, run_id: str) -> list[str]:
    """What a run said, each sentence once: all of an import, and only warnings of other runs."""
    every = service.row(run_id).kind == "import"
    said = service.status(run_id).messages
    return list(dict.fromkeys(m["text"] for m in said if every or m["level"] == "warning"))


class _Line:
    """A progress line that is overwritten on a terminal. If the output is not a terminal, only
    changes of state are printed."""

    def __init__(self, service: Service, run_id: str):
        self._last, self._state, self._live = "", "", sys.stderr.isatty()

    def tick(self, row: RunRow) -> None:
        """Prints what has changed."""
        if self._live:
            left = f", {duration(row.eta_seconds)} left" if row.eta_seconds else ""
            text = (
                f"{row.state} {row.text} {row.step:,} of {row.total:,} {row.unit}{left}"
                if row.total
                else f"{row.state} {row.text}"
            )
            if text != self._last:
                print(f"\r{text:<79}", end="", file=sys.stderr, flush=True)
                self._last = text
        elif row.state != self._state:
            print(row.state, file=sys.stderr, flush=True)
        self._state = row.state

    def end(self) -> None:
        """Ends the line."""
        if self._live:
            print(file=sys.stderr)


class _EventPrinter:
    """Prints the events of a run, and of the children of an experiment, as JSON lines."""

    def __init__(self, service: Service, run_id: str, out: TextIO):
        run = service.get(run_id)
        names = [*run.record.children, run_id] if run.kind in EXPERIMENT_KINDS else [run_id]
        self._readers = {
            name: EventReader(service.get(name).path / "events.jsonl") for name in names
        }
        self._out = out

    def tick(self, row: RunRow) -> None:
        """Prints new events."""
        for name, reader in self._readers.items():
            for event in reader.read():
                print(json.dumps({"run": name, **event}), file=self._out, flush=True)

    def end(self) -> None:
        """Prints the last events."""
        self.tick(None)  # type: ignore[arg-type]
