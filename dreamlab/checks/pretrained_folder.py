"""Whether a folder can hold DINOv2 or CLIP, as far as it shows without torch and without loading
the weights."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dreamlab.settings import SpecError
from dreamlab.store.files import read_json

MOST_HEADER = 100 * 2**20
"""Largest header of a safetensors file, in bytes, that its format allows."""


class Model(NamedTuple):
    """What a folder of an extractor must hold."""

    title: str
    types: tuple[str, ...]
    """`model_type` in config.json."""
    fetch: str
    """A repository of huggingface.co, with licence and size."""
    token: str
    """End of the name of a weight with `hidden_size` numbers."""
    layer: str
    """Part of the names of weights of a layer, before its number."""


MODELS = {
    "dinov2": Model(
        "DINOv2",
        ("dinov2",),
        "facebook/dinov2-base (Apache-2.0, 350 MB) or facebook/dinov2-small (88 MB)",
        "embeddings.cls_token",
        "encoder.layer.",
    ),
    "clip": Model(
        "CLIP",
        ("clip", "clip_vision_model"),
        "openai/clip-vit-base-patch32 (MIT, 605 MB)",
        "embeddings.class_embedding",
        "vision_model.encoder.layers.",
    ),
}


def check_folder(extractor: str, folder: str) -> None:
    """Raises SpecError if the package for these extractors is missing, or if a folder cannot hold
    the extractor: files are missing, not whole, of another network, or pickles only."""
    if importlib.util.find_spec("transformers") is None:
        raise SpecError(
            f"Extractor (--extractor): {extractor} needs the package transformers: run `pip install"
            " 'dreamlab[features]'`.",
            "extractor",
        )
    model, path = MODELS[extractor], Path(folder).expanduser()
    try:
        why = _why_not(model, path) if folder else "is not a folder"
    except (OSError, ValueError, RecursionError) as error:
        why = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    if why:
        raise SpecError(
            f"Extractor folder (--extractor-dir): {folder!r} {why}; give a folder with config.json"
            f" and model.safetensors of {model.title}, for example of {model.fetch} on"
            " huggingface.co.",
            "extractor_dir",
        )


def _why_not(model: Model, path: Path) -> str:
    """Why a folder cannot hold a model; empty if it may."""
    if not path.is_dir():
        return "is not a folder"
    if not (path / "config.json").is_file():
        return "has no config.json"
    config = read_json(path / "config.json")
    if not isinstance(config, dict):
        return "has a config.json that is not a JSON object"
    if config.get("model_type") not in model.types:
        return f"holds a model of type {config.get('model_type')!r}, not {model.title}"
    if not (path / "model.safetensors").is_file():
        if any(p.suffix in (".bin", ".pt", ".pth", ".ckpt") for p in path.iterdir()):
            return "has its weights only as a pickle, which can run code"
        return "has no model.safetensors"
    return _weights(model, config, path / "model.safetensors")


def _weights(model: Model, config: Mapping[str, Any], file: Path) -> str:
    """Why a file cannot hold the weights of a configuration; empty if it may."""
    header = _header(file)
    if isinstance(header, str):
        return f"has a model.safetensors that {header}"
    vision = config.get("vision_config")
    config = vision if isinstance(vision, dict) else config
    tokens = [about["shape"] for name, about in header.items() if name.endswith(model.token)]
    if not tokens:
        return f"has a model.safetensors without {model.token}, a weight of {model.title}"
    layers = {n.partition(model.layer)[2].partition(".")[0] for n in header if model.layer in n}
    # configurations name only what differs from the base model
    said = (int(config.get("hidden_size", 768)), int(config.get("num_hidden_layers", 12)))
    if (held := (int(tokens[0][-1]), len(layers))) != said:
        return (
            f"has a config.json for {said[1]} layers of width {said[0]}, but a model.safetensors"
            f" with {held[1]} of width {held[0]}"
        )
    return ""


def _header(file: Path) -> dict[str, Any] | str:
    """Name -> dtype, shape and place of each weight in a safetensors file, or what is wrong with
    it."""
    size = file.stat().st_size
    with open(file, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > min(MOST_HEADER, size - 8):
            return "is not a whole safetensors file"
        try:
            header = json.loads(stream.read(length))
            header.pop("__metadata__", None)
            needed = 8 + length + max((a["data_offsets"][1] for a in header.values()), default=0)
        except (ValueError, AttributeError, KeyError, TypeError, IndexError):
            return "is not a safetensors file"
    if size != needed:
        return f"has {size:,} bytes instead of {needed:,} and must be incomplete"
    return dict(header)
