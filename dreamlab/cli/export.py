"""The verb `export`, and the list of studies."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dreamlab.cli import demo
from dreamlab.cli.options import AS_IF, DONE, Answer
from dreamlab.service import Refused, Service


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Adds `export RUN --to TARGET` and `studies`."""
    text = (
        "Export an import, a synthetic set or a mix as class folders, .zip or .npz, or the table of"
        " a mix or a study as .csv, .tex or .parquet."
    )
    verb = verbs.add_parser(
        "export", parents=[common], help=text, description=text, allow_abbrev=False
    )
    verb.add_argument(
        "run", metavar="RUN", help="id of a run, a part of it that matches only one run, or demo"
    )
    verb.add_argument(
        "--to",
        required=True,
        metavar="TARGET",
        help="folder, or file that ends in .zip, .npz, .csv, .tex or .parquet",
    )
    verb.add_argument(
        "--format",
        default="",
        metavar="FORMAT",
        help="imagefolder: a folder or .zip that load_dataset of Hugging Face reads (default: class"
        " folders)",
    )
    verb.add_argument(
        "--arm", default="", help="for a mix: the arm to export (default: the arm of the verdict)"
    )
    verb.add_argument(
        "--seed",
        default="0",
        metavar="N",
        help="for a mix: the images that the classifier with seed N was trained on (default: 0)",
    )
    verb.set_defaults(call=demo.allowed(_export))
    text = "List the published studies: id, scales and question."
    verb = verbs.add_parser(
        "studies", parents=[common], help=text, description=text, allow_abbrev=False
    )
    verb.add_argument(
        "--costs", action="store_true", help="also print what each costs at each scale"
    )
    verb.add_argument(
        "--data-dir",
        action="append",
        default=[],
        metavar="PATH",
        help="with --costs: a folder or file that holds a data set; may be given several times",
    )
    verb.add_argument("--as-if", default="", metavar="MACHINE", help=f"with --costs: {AS_IF}")
    verb.set_defaults(call=_studies)


def _seed(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise Refused(
            f"Seed (--seed): {word!r} cannot be used; it must be a whole number, the seed of a"
            " classifier of the mix."
        ) from None


def _export(service: Service, arguments: argparse.Namespace) -> Answer:
    run = service.get(arguments.run)
    said = service.export(
        run.id,
        Path(arguments.to).expanduser(),
        arm=arguments.arm,
        seed=_seed(arguments.seed),
        form=arguments.format,
    )
    if not arguments.json:
        print(said["text"])
    return {"run": run.id, "state": "done", "result": said, "error": None}, DONE


def _studies(service: Service, arguments: argparse.Namespace) -> Answer:
    found = [
        {
            "id": s.id,
            "study": s.study,
            "title": s.title,
            "question": s.question,
            "scales": list(s.scales),
        }
        for s in service.studies()
    ]
    if not arguments.costs and (arguments.as_if or arguments.data_dir):
        raise Refused("--as-if and --data-dir say what a study costs: add --costs.", "costs")
    if not arguments.json:
        for s in found:
            print(f"{s['id']:<16} {', '.join(s['scales']):<34} {s['question']}")
    result: dict[str, Any] = {"studies": found}
    if arguments.costs:
        result["costs"] = _costs(service, arguments)
    return {"run": None, "state": "done", "result": result, "error": None}, DONE


def _costs(service: Service, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Prints and returns the cost of every study at every scale."""
    listed = []
    for cost in service.study_costs(arguments.data_dir, service.described(arguments.as_if)):
        if not arguments.json:
            said = cost.estimate.text if cost.estimate else cost.needs
            print(f"{cost.study:<16} {cost.scale:<10} {said}")
            if cost.needs and cost.estimate:
                print(f"{'':<27} {cost.needs}")
        estimate = cost.estimate.as_dict() if cost.estimate else None
        listed.append(
            {"study": cost.study, "scale": cost.scale, "estimate": estimate, "needs": cost.needs}
        )
    return listed
