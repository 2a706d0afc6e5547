"""Inception features of images of 32x32 pixels: ours against torchmetrics (torch-fidelity) and
pytorch-fid, which is left out where it is not installed.

python -m tests.bench extractors
python -m tests.bench.extractors --weights FILE --images 64 --rounds 5 --device cpu

Without --weights the file is looked for where torch-fidelity puts it, below $TORCH_HOME. Every
round measures every contender once, in turn; a figure is the median of the rounds after the first.
Time of the CPU is said beside the time of the clock, because another load changes it less; "ours
is faster" compares the former on a CPU, and the latter on a GPU.
pytorch-fid resizes with half pixels and normalises a little differently, so its features are
compared on the input of ours; its time holds its own resize.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from dreamlab.fidelity.inception import INCEPTION_FILE, SIDE, InceptionExtractor

BATCHES = {"cpu": 32, "cuda": 256}
"""Images in a batch of the others."""
Contender = Callable[[np.ndarray], np.ndarray]


def contenders(weights: str, device: str) -> tuple[dict[str, Contender], dict[str, Contender]]:
    """Name -> function of images uint8 (N, H, W, 3) that is timed; and one whose features must be
    ours, where it is another."""
    from torch_fidelity.interpolate_compat_tensorflow import (
        interpolate_bilinear_2d_like_tensorflow1x,
    )
    from torchmetrics.image.fid import NoTrainInceptionV3

    ours, batch = InceptionExtractor(weights, device), BATCHES[device]
    metrics = NoTrainInceptionV3("inception", ["2048"], weights, antialias=False).to(device)

    def batches(images: np.ndarray, of: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
        found = []
        with torch.inference_mode():
            for start in range(0, len(images), batch):
                part = torch.from_numpy(images[start : start + batch]).to(device)
                part = part.permute(0, 3, 1, 2).contiguous()  # as ToTensor of torchvision gives
                found.append(of(part).flatten(1).cpu().numpy())
        return np.concatenate(found)

    timed: dict[str, Contender] = {
        "ours": lambda images: np.concatenate(list(ours.batches(images))),
        "torchmetrics": lambda images: batches(images, metrics),
    }
    same = dict(timed)
    try:
        from pytorch_fid import inception
    except ImportError:
        print("pytorch-fid is not installed (pip install pytorch-fid), so it is left out.")
        return timed, same
    state = torch.load(weights, weights_only=True)
    with mock.patch.object(inception, "load_state_dict_from_url", lambda *a, **k: state):
        theirs = inception.InceptionV3([3]).eval().to(device)
        bare = inception.InceptionV3([3], resize_input=False, normalize_input=False)
        bare = bare.eval().to(device)

    def prepared(x: torch.Tensor) -> torch.Tensor:
        size = (SIDE, SIDE)
        large = interpolate_bilinear_2d_like_tensorflow1x(x.float(), size, align_corners=False)
        return bare((large - 128) / 128)[0]

    timed["pytorch-fid"] = lambda images: batches(images, lambda x: theirs(x / 255)[0])
    same["pytorch-fid"] = lambda images: batches(images, prepared)
    return timed, same


def table(weights: str, images: int, rounds: int, device: str) -> None:
    """Prints one Markdown table."""
    x = np.random.default_rng(0).integers(0, 256, (images, 32, 32, 3), np.uint8)
    timed, same = contenders(weights, device)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in timed}
    for number in range(rounds + 1):
        for name, extract in timed.items():
            began = time.perf_counter(), time.process_time()
            extract(x)
            if number:
                took = time.perf_counter() - began[0], time.process_time() - began[1]
                times[name].append(took)
    few = x[: min(images, BATCHES[device])]
    features = {name: extract(few) for name, extract in same.items()}
    scale = np.abs(features["ours"]).max()
    where = device if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"torch {torch.__version__}, {where}, {images} images\n")
    print("| extractor | images/s | CPU ms an image | ours is faster | largest difference |")
    print("|---|---|---|---|---|")
    for name, rows in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*rows, strict=True))
        which = 0 if device == "cuda" else 1
        each = [a[which] / b[which] for a, b in zip(rows, times["ours"], strict=True)]
        apart = np.abs(features[name] - features["ours"]).max() / scale
        print(
            f"| {name} | {images / wall:.2f} | {1000 * cpu / images:.0f} |"
            f" {statistics.median(each):.2f} | {apart:.1e} |"
        )


def main(weights: str = "", images: int = 64, rounds: int = 5, device: str = "cpu") -> None:
    file = Path(weights or Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE)
    if not file.is_file():
        print(f"{file} is not there; name {INCEPTION_FILE} with --weights.")
        return
    table(str(file), images, rounds, device)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.extractors")
    parser.add_argument("--weights", default="", help=f"the file {INCEPTION_FILE}")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=tuple(BATCHES), default="cpu")
    main(**vars(parser.parse_args()))
