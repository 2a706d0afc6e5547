"""The weights of a classifier that a run keeps."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from dreamlab.classifiers.base import Classifier
from dreamlab.classifiers.networks import build
from dreamlab.classifiers.registry import UnknownClassifier
from dreamlab.data import catalog
from dreamlab.settings import ClassifySpec
from dreamlab.store import Run, write_bytes
from dreamlab.store.run_files import WEIGHTS
from dreamlab.tasks.context import TaskError


def kept_file(run: Run) -> Path:
    """Where a classify run keeps the weights of its first seed."""
    return run.path / WEIGHTS


def keep(run: Run, network: Classifier, spec: ClassifySpec, data: catalog.Info) -> None:
    """Writes the weights, with the name of the network, the data set, and channels, side in pixels
    and classes of its images. Raises OSError if the disk is full."""
    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    about = {
        "classifier": spec.classifier,
        "dataset": spec.dataset,
        "channels": str(data.channels),
        "size": str(data.size),
        "classes": json.dumps(list(data.classes)),
    }
    write_bytes(kept_file(run), save(state, about))


def kept_classifier(run: Run, device: str) -> tuple[Classifier, int]:
    """The classifier that a run kept, and the side of its images in pixels. Raises TaskError if
    there is none, or if its file is not whole."""
    file = kept_file(run)
    try:
        with safe_open(file, "pt") as held:
            about, state = held.metadata(), {k: held.get_tensor(k) for k in held.keys()}
        size, classes = int(about["size"]), len(json.loads(about["classes"]))
        network = build(about["classifier"], int(about["channels"]), size, classes)
        network.load_state_dict(state)
    except (
        OSError,
        SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        UnknownClassifier,
    ) as error:
        raise TaskError(
            f"Own classifier (--classifier): {file} cannot be read ({str(error)[:100]}); run the"
            " classifier anew with --keep-weights."
        ) from None
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval(), size
