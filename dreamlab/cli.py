"""The command line: a verb per kind of run, made from the spec fields, and `runs` to look after what is there.

Exit status 0: done; 1: failed or stopped; 2: refused, nothing started. With --json the last line on stdout is one JSON
object with at least run, state, result and error; everything else goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

from dreamlab import __version__
from dreamlab.service import Refused, RunRow, Service
from dreamlab.service.cautions import caution
from dreamlab.service.estimate import duration
from dreamlab.spec import ACTIVE, GROUPS, KINDS, Knob, Spec, command, knobs
from dreamlab.store import EventReader, Run

DONE, FAILED, REFUSED = 0, 1, 2
POLL = 0.1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message[0].upper()}{message[1:]}. `{self.prog} --help` lists what there is.")


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    words = sys.argv[1:] if argv is None else argv
    as_json = "--json" in words
    service: Service | None = None
    try:
        arguments = _parser().parse_args(words)
        service = Service(arguments.runs)
        answer, status = arguments.call(service, arguments)
    except Refused as refusal:
        answer, status = {"run": None, "state": "refused", "result": None, "error": str(refusal)}, REFUSED
    except BrokenPipeError:
        return FAILED
    finally:
        if service is not None:
            service.close()
    if as_json:
        print(json.dumps(answer), flush=True)
    elif answer.get("error"):
        print(answer["error"], file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--runs", default="runs", metavar="DIR", help="folder of the runs (default: runs)")
    common.add_argument(
        "--json", action="store_true", help="end with one JSON object on stdout; the rest goes to stderr"
    )
    parser = _Parser(
        prog="python -m dreamlab", description="Does synthetic data from a diffusion model help my classifier?"
    )
    parser.add_argument("--version", action="version", version=f"DreamLab {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    for kind, cls in KINDS.items():
        verb = verbs.add_parser(
            kind, parents=[common], usage=f"%(prog)s [{kind} option ...]", help=cls.summary, description=cls.summary, allow_abbrev=False
        )  # fmt: skip
        titles = dict.fromkeys(knob.section for knob in knobs(cls))
        groups = {title: verb.add_argument_group(title or "settings") for title in titles}
        for knob in knobs(cls):
            _add_option(groups[knob.section], knob)
        _add_run_options(verb)
        verb.set_defaults(call=_submit, cls=cls)
    _add_runs(verbs, common)
    return parser


def _add_run_options(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("this run")
    group.add_argument("--name", default="", help="name shown on the pages")
    group.add_argument("--fresh", action="store_true", help="compute anew even where the same spec has a finished run")
    group.add_argument("--dry-run", action="store_true", help="say what it would cost and start nothing")
    group.add_argument("--follow", action="store_true", help="print every event as it comes")
    group.add_argument("--detach", action="store_true", help="return at once; the engine goes on in the background")


def _add_option(verb: argparse._ArgumentGroup, knob: Knob) -> None:
    """One option per spec field. Values stay text here: the spec validates them, in one place, with one sentence."""
    notes = [knob.range, "required" if knob.required else f"default: {_shown(knob.default)}"]
    text = f"{knob.help} ({'; '.join(n for n in notes if n)})".replace("%", "%%")
    if knob.type == "bool":
        verb.add_argument(
            knob.flag, dest=knob.name, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
        )
    else:
        metavar = (
            "RUN"
            if knob.run_kind
            else knob.unit.upper() or {"int": "N", "float": "X", "list": "LIST"}.get(knob.type, "TEXT")
        )
        action = "append" if knob.run_kind and knob.type == "list" else "store"
        verb.add_argument(
            knob.flag, dest=knob.name, action=action, default=argparse.SUPPRESS, metavar=metavar, help=text
        )


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or "none"
    return str(default) if default != "" else "none"


def _add_runs(verbs: Any, common: argparse.ArgumentParser) -> None:
    runs = verbs.add_parser(
        "runs", help="List, show, stop, resume, delete and restore runs, and ask them for pictures."
    )
    actions = runs.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=_Parser)
    table: dict[str, tuple[str, Callable[[Service, argparse.Namespace], tuple[dict[str, Any], int]]]] = {
        "list": ("every run, newest first", _list),
        "show": ("one run: state, settings, lineage, result", _show),
        "stop": ("finish the step, save and keep everything", _stop),
        "preview": ("draw a preview grid with the next step", _ask),
        "snapshot": ("keep the checkpoint of the next step", _ask),
        "resume": ("go on from the last checkpoint", _resume),
        "delete": ("move to the trash", _delete),
        "restore": ("bring back from the trash", _restore),
    }
    for name, (text, call) in table.items():
        action = actions.add_parser(name, parents=[common], help=text, description=text, allow_abbrev=False)
        if name == "list":
            action.add_argument("--kind", default="", choices=["", *KINDS], help="only runs of this kind")
            action.add_argument("--all", action="store_true", help="also the runs that were made for a mix or a sweep")
        else:
            action.add_argument("run", metavar="RUN", help="id of a run, or any part of it that fits one run only")
        if name == "stop":
            action.add_argument("--now", action="store_true", help="kill its processes instead of letting them save")
        if name in ("stop", "resume"):
            action.add_argument("--detach", action="store_true", help="return at once instead of waiting")
        action.set_defaults(call=call, action=name)


# ---- runs of a spec


def _submit(service: Service, arguments: argparse.Namespace) -> tuple[dict[str, Any], int]:
    given = vars(arguments)
    values = {k.name: given[k.name] for k in knobs(arguments.cls) if k.name in given}
    for name, value in values.items():
        if isinstance(value, list):  # repeated options and comma-separated ones are the same
            values[name] = ",".join(value)
    service.start(engine=False)  # a refusal starts nothing, not even an engine
    spec = service.check(arguments.cls.kind, values)
    if sentence := caution(spec):
        print(sentence, file=sys.stderr)
    if arguments.dry_run:
        return _dry_run(service, spec, arguments.json), DONE
    before = service.estimate(spec)
    out = sys.stderr
    if not arguments.json:
        print(f"{spec.kind}: {before.text}" if before.text else spec.kind, file=out)
    submitted = service.submit(spec, name=arguments.name, fresh=arguments.fresh)
    service.start()
    if submitted.reused and service.row(submitted.run).state == "done":
        print(f"The same settings have a finished run: {submitted.run} (--fresh computes anew).", file=out)
        return _answer(service, submitted.run, reused=True), DONE
    print(f"{submitted.run} in {service.store.folder}", file=out)
    if arguments.detach:
        return _answer(service, submitted.run, reused=submitted.reused), DONE
    return _wait(
        service, submitted.run, sys.stderr if arguments.json else sys.stdout, arguments.follow, submitted.reused
    )


def _dry_run(service: Service, spec: Spec, as_json: bool) -> dict[str, Any]:
    """What a run would be and cost; nothing is left behind."""
    found = service.dry_run(spec)
    result = {"estimate": found, "command": command(spec), "spec": spec.model_dump(mode="json")}
    if not as_json:
        print(f"{result['command']}\n")
        for name, value in found.items():
            if value is not None:
                print(f"  {name.replace('_', ' '):<20} {_amount(name, value)}")
        print("\nNothing was started.", file=sys.stderr)
    return {"run": None, "state": "dry-run", "result": result, "error": None}


def _amount(name: str, value: Any) -> str:
    if name == "seconds":
        return duration(value)
    if name.endswith("_bytes"):
        return f"{value / 1e6:,.0f} MB"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)


def _answer(service: Service, run_id: str, reused: bool = False) -> dict[str, Any]:
    row = service.row(run_id)
    run = service.get(run_id)
    return {"run": run_id, "state": row.state, "result": run.result(), "error": row.error or None, "reused": reused, "kind": row.kind,
            "path": str(run.path)}  # fmt: skip


def _wait(service: Service, run_id: str, out: TextIO, follow: bool, reused: bool = False) -> tuple[dict[str, Any], int]:
    """Shows a run until it ends. Ctrl-C asks it to stop and keep; a second one leaves it to the engine."""
    show = _Follower(service, run_id, out) if follow else _Line(service, run_id)
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
                print(f"\n{run_id} goes on; `python -m dreamlab runs stop {run_id}` stops it.", file=sys.stderr)
                return _answer(service, run_id, reused), FAILED
            asked = True
            print("\nStopping and keeping what is done; Ctrl-C again leaves it running.", file=sys.stderr)
            service.stop(run_id)
    show.end()
    answer = _answer(service, run_id, reused)
    if out is sys.stdout and not follow:
        print(f"{answer['state']}: {service.row(run_id).headline or answer['error'] or run_id}", file=out)
    return answer, DONE if answer["state"] == "done" else FAILED


class _Line:
    """One line on a terminal that is written again and again; silent elsewhere but for changes of state."""

    def __init__(self, service: Service, run_id: str):
        self._last, self._state, self._live = "", "", sys.stderr.isatty()

    def tick(self, row: RunRow) -> None:
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
        if self._live:
            print(file=sys.stderr)


class _Follower:
    """Prints the events of a run, and of a group's children, as JSON lines."""

    def __init__(self, service: Service, run_id: str, out: TextIO):
        run = service.get(run_id)
        names = [*run.record.children, run_id] if run.kind in GROUPS else [run_id]
        self._readers = {name: EventReader(service.get(name).path / "events.jsonl") for name in names}
        self._out = out

    def tick(self, row: RunRow) -> None:
        for name, reader in self._readers.items():
            for event in reader.read():
                print(json.dumps({"run": name, **event}), file=self._out, flush=True)

    def end(self) -> None:
        self.tick(None)  # type: ignore[arg-type]


# ---- looking after runs


def _list(service: Service, arguments: argparse.Namespace) -> tuple[dict[str, Any], int]:
    rows = service.rows(arguments.kind, top_level=not arguments.all, disk=True)
    if not arguments.json:
        for r in rows:
            print(f"{r.id:<48} {r.state:<11} {(r.disk_bytes or 0) / 1e6:>8.1f} MB  {r.headline or r.error or r.text}")
        if not rows:
            print(f"No runs in {service.store.folder}.", file=sys.stderr)
    listed = [{"run": r.id, "kind": r.kind, "name": r.name, "state": r.state, "created": r.created, "seconds": r.seconds, "disk_bytes": r.disk_bytes,
               "headline": r.headline, "error": r.error or None, "demo": r.demo, "group": r.group or None, "parents": r.parents} for r in rows]  # fmt: skip
    return {"run": None, "state": "done", "result": {"runs": listed}, "error": None}, DONE


def _show(service: Service, arguments: argparse.Namespace) -> tuple[dict[str, Any], int]:
    run = service.get(arguments.run)
    answer = _answer(service, run.id)
    answer["spec"], answer["command"] = run.record.spec, run.record.command
    answer["lineage"] = [
        {"how": how, "run": row.id, "kind": row.kind, "state": row.state} for how, row in service.lineage(run.id)
    ]
    answer["checkpoints"] = service.checkpoints(run.id)
    if not arguments.json:
        _print_run(run, run.spec, service.row(run.id), answer)
    return answer, DONE


def _print_run(run: Run, spec: Spec, row: RunRow, answer: dict[str, Any]) -> None:
    print(f"{row.name} ({run.id})\n{row.state}  {row.headline or row.error or row.text}\n\n{run.record.command}\n")
    for knob in knobs(type(spec)):
        print(f"  {knob.label:<28} {_shown(getattr(spec, knob.name))} {knob.unit}")
    if answer["checkpoints"]:
        print(f"  {'Kept checkpoints':<28} {', '.join(answer['checkpoints'])}")
    for line in answer["lineage"]:
        print(f"  {line['how']:<28} {line['run']} ({line['state']})")


def _stop(service: Service, arguments: argparse.Namespace) -> tuple[dict[str, Any], int]:
    run_id = service.get(arguments.run).id
    service.stop(run_id, now=arguments.now)
    service.start()
    if not arguments.detach:
        _wait(service, run_id, sys.stderr, follow=False)
    return _answer(service, run_id), DONE


def _ask(service: Service, arguments: argparse.Namespace) -> tuple[dict[str, Any], int]:
    run_id = service.get(arguments.run).id
    service.ask(run_id, arguments.action)
    return _answer(service, run_id), DONE


def _resume(service: Service, arguments: argparse.Namespace) -> tuple[dict[str, Any], int]:
    run_id = service.get(arguments.run).id
    service.resume(run_id)
    service.start()
    while (service.get(run_id).path / "resume").exists():  # until the engine has taken it, the old state still shows
        time.sleep(POLL)
    if arguments.detach:
        return _answer(service, run_id), DONE
    return _wait(service, run_id, sys.stderr if arguments.json else sys.stdout, follow=False)


def _delete(service: Service, arguments: argparse.Namespace) -> tuple[dict[str, Any], int]:
    gone = service.delete(service.get(arguments.run).id)
    if not arguments.json:
        print(f"Deleted {', '.join(gone)}; `python -m dreamlab runs restore {gone[0]}` brings it back.")
    return {"run": gone[0], "state": "deleted", "result": {"deleted": gone}, "error": None}, DONE


def _restore(service: Service, arguments: argparse.Namespace) -> tuple[dict[str, Any], int]:
    service.restore(arguments.run)
    return _answer(service, arguments.run), DONE
