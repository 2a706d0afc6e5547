"""The verb `runs`: list, show, stop, resume, delete, restore and rename runs, and request previews
and checkpoints."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from dreamlab.cli import demo
from dreamlab.cli.options import DONE, Answer, Parser, shown
from dreamlab.cli.submit import POLL, answer_of, wait
from dreamlab.data import near_copies, near_copies_report
from dreamlab.paths import program
from dreamlab.service import Refused, RunRow, Service
from dreamlab.settings import KINDS, ImportSpec, Spec, settings_of
from dreamlab.store import Run


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Adds `runs` with one action for everything that can be done with a run."""
    runs = verbs.add_parser(
        "runs", help="List, show, stop, resume, delete and rename runs, and request previews."
    )
    actions = runs.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=Parser
    )
    table: dict[str, tuple[str, Callable[[Service, argparse.Namespace], Answer]]] = {
        "list": ("list all runs, newest first", _list),
        "show": ("show one run: state, settings, related runs, result", _show),
        "stop": ("finish the current step, save and stop", _stop),
        "preview": ("make preview images after the next step", _ask),
        "snapshot": ("keep a checkpoint after the next step", _ask),
        "resume": ("continue from the last checkpoint", _resume),
        "delete": ("move a run to the trash", _delete),
        "restore": ("restore a run from the trash", _restore),
        "rename": ("give a run another name or a description", _rename),
    }
    for name, (text, call) in table.items():
        action = actions.add_parser(
            name, parents=[common], help=text, description=text, allow_abbrev=False
        )
        if name == "list":
            action.add_argument(
                "--kind", default="", choices=["", *KINDS], help="only runs of this kind"
            )
            action.add_argument(
                "--all",
                action="store_true",
                help="also list runs that were made for a mix, a sweep or a study",
            )
        else:
            action.add_argument(
                "run",
                metavar="RUN",
                help="id of a run, a part of it that matches only one run, or demo",
            )
            call = demo.allowed(call, unpack=name in ("show", "delete", "rename"))
        if name == "stop":
            action.add_argument(
                "--now", action="store_true", help="kill its processes instead of letting them save"
            )
        if name == "rename":
            action.add_argument("--to", help="its new name; empty brings the first one back")
            action.add_argument("--description", help="a text about it; empty removes it")
        if name in ("stop", "resume"):
            action.add_argument(
                "--detach", action="store_true", help="return at once instead of waiting"
            )
        action.set_defaults(call=call, action=name)


def _list(service: Service, arguments: argparse.Namespace) -> Answer:
    rows = service.rows(top_level=not arguments.all, disk=True)
    rows = [r for r in rows if arguments.kind in ("", r.kind)]
    if not arguments.json:
        for r in rows:
            print(
                f"{r.id:<48} {r.state:<11} {(r.disk_bytes or 0) / 1e6:>8.1f} MB "
                f" {r.headline or r.error or r.text}"
            )
        if not rows:
            print(f"No runs in {service.store.folder}.", file=sys.stderr)
    listed = [
        {
            "run": r.id,
            "kind": r.kind,
            "name": r.name,
            "state": r.state,
            "created": r.created,
            "seconds": r.seconds,
            "disk_bytes": r.disk_bytes,
            "headline": r.headline,
            "error": r.error or None,
            "demo": r.demo,
            "group": r.group or None,
            "parents": r.parents,
        }
        for r in rows
    ]
    return {"run": None, "state": "done", "result": {"runs": listed}, "error": None}, DONE


def _show(service: Service, arguments: argparse.Namespace) -> Answer:
    run = service.find(arguments.run)
    answer = answer_of(service, run.id)
    if run.problem():
        return answer, DONE
    answer["spec"], answer["command"] = run.record.spec, run.record.command
    answer["name"], answer["description"] = run.record.name, run.about.text
    answer["lineage"] = [
        {"how": how, "run": row.id, "kind": row.kind, "state": row.state}
        for how, row in service.lineage(run.id)
    ]
    answer["checkpoints"] = service.checkpoints(run.id)
    if not arguments.json:
        _print_run(run, run.spec, service.row(run.id), answer)
    return answer, DONE


def _print_run(run: Run, spec: Spec, row: RunRow, answer: dict[str, Any]) -> None:
    print(
        f"{row.name} ({run.id})\n{row.state} "
        f" {row.headline or row.error or row.text}\n\n{run.record.command}\n"
    )
    if run.about.text:
        print(f"{run.about.text}\n")
    for setting in settings_of(type(spec)):
        print(f"  {setting.label:<28} {shown(getattr(spec, setting.name))} {setting.unit}")
    if answer["checkpoints"]:
        print(f"  {'Kept checkpoints':<28} {', '.join(answer['checkpoints'])}")
    if found := near_copies.load(run.path):
        real = isinstance(spec, ImportSpec) and spec.role == "real"
        said = near_copies_report.of_data(found) if real else near_copies_report.of_set(found)
        print(f"  {'Near-copies':<28} {said}")
    for line in answer["lineage"]:
        print(f"  {line['how']:<28} {line['run']} ({line['state']})")


def _stop(service: Service, arguments: argparse.Namespace) -> Answer:
    run_id = service.find(arguments.run).id
    service.stop(run_id, now=arguments.now)
    service.start()
    if not arguments.detach:
        wait(service, run_id, sys.stderr, follow=False)
    return answer_of(service, run_id), DONE


def _ask(service: Service, arguments: argparse.Namespace) -> Answer:
    run_id = service.get(arguments.run).id
    service.ask(run_id, arguments.action)
    return answer_of(service, run_id), DONE


def _resume(service: Service, arguments: argparse.Namespace) -> Answer:
    run_id = service.find(arguments.run).id
    service.resume(run_id)
    service.start()
    while (
        service.get(run_id).path / "resume"
    ).exists():  # until the engine has read the request, the state is still the old one
        time.sleep(POLL)
    if arguments.detach:
        return answer_of(service, run_id), DONE
    return wait(service, run_id, sys.stderr if arguments.json else sys.stdout, follow=False)


def _delete(service: Service, arguments: argparse.Namespace) -> Answer:
    gone = service.delete(service.find(arguments.run).id)
    if not arguments.json:
        print(f"Deleted {', '.join(gone)}; `{program()} runs restore {gone[0]}` brings it back.")
    return {"run": gone[0], "state": "deleted", "result": {"deleted": gone}, "error": None}, DONE


def _restore(service: Service, arguments: argparse.Namespace) -> Answer:
    service.restore(arguments.run)
    return answer_of(service, arguments.run), DONE


def _rename(service: Service, arguments: argparse.Namespace) -> Answer:
    if arguments.to is None and arguments.description is None:
        raise Refused("Nothing was given: use --to NAME, --description TEXT, or both.", "to")
    run = service.get(arguments.run)
    about = service.describe(run.id, arguments.to, arguments.description)
    result = {"name": run.record.name, "description": about.text}
    if not arguments.json:
        print(f"{run.id} is called {result['name']}.")
    return {
        "run": run.id,
        "state": service.row(run.id).state,
        "result": result,
        "error": None,
    }, DONE
