"""The verb `export`, and the list of studies."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dreamlab.cli import demo
from dreamlab.cli.options import DONE, Answer
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
    if not arguments.json:
        for s in found:
            print(f"{s['id']:<16} {', '.join(s['scales']):<34} {s['question']}")
    return {"run": None, "state": "done", "result": {"studies": found}, "error": None}, DONE
