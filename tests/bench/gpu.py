"""What one NVIDIA GPU makes of the generator, and in what is left of the time a CIFAR-10 generator
and S0's five arms with it.

python -m tests.bench.gpu pack CIFAR DIR
    CIFAR-10 as lossless sheets in DIR/0 and DIR/1, each below 64 MiB
python -m tests.bench.gpu all --minutes 10 --out DIR [--data DIR]
    measures, then trains (with --data) until the time is up
python -m tests.bench.gpu all --device cpu --smoke --out DIR
    the same commands in small, to see that they run

Training throughput is given as MFU: 3 (forward and backward) x 2 x multiply-adds of one image x
images/s, as a share of the card's own bf16 rate in an 8192 x 8192 matrix product.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from dreamlab.architecture.cost import multiply_adds, parameter_count
from dreamlab.architecture.network import network_of
from dreamlab.data import catalog, imageset
from dreamlab.settings import ClassifySpec, Spec, SynthesizeSpec, TrainSpec, make
from dreamlab.store import ArtefactCache, Record, Run, RunStore, checkpoints, write_json
from dreamlab.tasks import find_task
from dreamlab.tasks.context import TaskContext
from dreamlab.tasks.generator import load_generator
from dreamlab.tasks.synthesize.pipeline import Pipeline
from dreamlab.tasks.torch_device import prepare, synchronise
from dreamlab.tasks.torch_memory import peak_memory_bytes
from dreamlab.tasks.train.trainer import Trainer

SHEET, COLUMNS, SHARD = 2500, 50, 16 * 10**6
ARMS_SECONDS = 240
"""Kept for the synthetic set and fifteen classifiers."""
MODES: dict[str, dict[str, Any] | None] = {
    "eager": None,
    "compile": {},
    "compile, reduce-overhead": {"mode": "reduce-overhead"},
}
"""Settings of torch.compile; reduce-overhead records CUDA graphs."""
TRAININGS = {
    "S0 at 32x32": {"preset": "s0", "batch_size": 256, "optimizer": "adamw", "label_dropout": 0.1},
    "S4 at 128x128": {"preset": "s4", "batch_size": 32, "optimizer": "adamw"},
}
SMOKE: dict[str, Any] = {
    "base_width": 16,
    "multipliers": (1, 2),
    "attention": (),
    "heads": 4,
    "image_size": 8,
    "batch_size": 4,
}


def pack(source: str, folder: Path) -> None:
    """Training images as sheets of lossless WebP, half of them in each folder, with their
    labels."""
    data = catalog.load("cifar10", source)
    for half in (0, 1):
        part = folder / str(half)
        part.mkdir(parents=True, exist_ok=True)
        rows = np.arange(
            half * len(data.train_images) // 2, (half + 1) * len(data.train_images) // 2
        )
        np.save(part / "labels.npy", data.train_labels[rows].astype(np.uint8))
        for k, start in enumerate(range(0, len(rows), SHEET)):
            sheet = imageset.sheet(data.train_images[rows[start : start + SHEET]], COLUMNS)
            Image.fromarray(sheet).save(part / f"{k:03d}.webp", lossless=True, quality=80, method=4)
        print(f"{part}: {sum(f.stat().st_size for f in part.iterdir()) / 2**20:.1f} MiB")


def unpack(folder: Path, target: Path) -> Path:
    """The .npz that the catalog reads; the first 100 training images stand in for the test images,
    which nobody asks for."""
    images, labels = [], []
    for part in sorted(p for p in folder.iterdir() if p.is_dir()):
        own = np.load(part / "labels.npy").astype(np.int64)
        labels.append(own)
        cells = []
        for path in sorted(part.glob("*.webp")):
            sheet = np.asarray(Image.open(path).convert("RGB"))
            rows = sheet.shape[0] // 32
            cells.append(
                sheet.reshape(rows, 32, COLUMNS, 32, 3)
                .transpose(0, 2, 1, 3, 4)
                .reshape(-1, 32, 32, 3)
            )
        images.append(np.concatenate(cells)[: len(own)])
    x, y = np.concatenate(images), np.concatenate(labels)
    np.savez(target, x_train=x, y_train=y, x_test=x[:100], y_test=y[:100])
    return target


def noise_images(target: Path) -> Path:
    """Random images in the shape of CIFAR-10: speed does not depend on what they show."""
    x, y = (
        np.random.default_rng(0).integers(0, 256, (600, 32, 32, 3), dtype=np.uint8),
        np.arange(600) % 10,
    )
    np.savez(target, x_train=x[:500], y_train=y[:500], x_test=x[500:], y_test=y[500:])
    return target


def seconds_of(work: Callable[[], Any], device: torch.device, least: float) -> float:
    """Seconds that one call takes, from as many as fill `least` seconds; the first three compile
    and load."""
    for _ in range(3):
        work()
    synchronise(device)
    began, count = time.perf_counter(), 0
    while count < 3 or time.perf_counter() - began < least:
        work()
        count += 1
        if count % 4 == 0:
            synchronise(device)
    synchronise(device)
    return (time.perf_counter() - began) / count


def wrapped(network: torch.nn.Module, mode: str, smoke: bool) -> Any:
    """The network as a mode runs it; in small it is traced but no code is made, which takes a CPU
    minutes."""
    options = MODES[mode]
    if options is None:
        return network
    return torch.compile(network, backend="eager") if smoke else torch.compile(network, **options)


def matrix_rate(device: torch.device, smoke: bool) -> float:
    """Operations a second of a bf16 matrix product."""
    n = 512 if smoke else 8192
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * n**3 / seconds_of(lambda: a @ b, device, 0.1 if smoke else 1.0)


def measure(data: Path, device: torch.device, smoke: bool, say: Callable[..., None]) -> None:
    rate = matrix_rate(device, smoke)
    say("matrix product", bf16_tflops=rate / 1e12)
    loaded, least = catalog.load("cifar10", str(data)), 0.1 if smoke else 4.0
    for name, settings in TRAININGS.items():
        values = {
            **settings,
            "dataset": "cifar10",
            "data_dir": str(data),
            "steps": 10**6,
            **(SMOKE if smoke else {}),
        }
        spec = make(TrainSpec, values)
        work = 6 * multiply_adds(network_of(spec))
        for mode in MODES:
            trainer = Trainer(spec, loaded, device)
            trainer.forward = wrapped(trainer.network, mode, smoke)
            try:
                each = seconds_of(lambda t=trainer: t.step(0.5, "bf16"), device, least)
            except Exception as error:
                say(f"training, {name}, {mode}", failed=" ".join(str(error).split())[:200])
                continue
            speed = spec.batch_size / each
            say(
                f"training, {name}, {mode}",
                images_per_second=speed,
                mfu=work * speed / rate,
                peak_bytes=peak_memory_bytes(device),
            )
            if "S0" in name and not trainer.notes:
                sampling(trainer, mode, device, smoke, say)
            del trainer
            torch.compiler.reset()


def sampling(
    trainer: Trainer, mode: str, device: torch.device, smoke: bool, say: Callable[..., None]
) -> None:
    """50 steps with guidance; two forward passes of an image a step, in one batch."""
    n, steps = (4, 3) if smoke else (1000, 50)
    generator = trainer.generator
    whole, generator.network = generator.network, wrapped(generator.network, mode, smoke)
    settings = {
        "source": "x",
        "num_steps": steps,
        "guidance_weight": 1.0,
        "precision": "bf16",
        "batch_size": n,
    }
    pipeline = Pipeline(generator, make(SynthesizeSpec, settings))
    work = lambda: pipeline.images([i % 10 for i in range(n)], list(range(n)))  # noqa: E731
    work()
    began = time.perf_counter()
    work()
    say(
        f"sampling, S0 at 32x32, {mode}, {steps} steps, w = 1",
        images_per_second=n / (time.perf_counter() - began),
    )
    generator.network = whole


def generator(
    data: Path,
    device: torch.device,
    seconds: float,
    smoke: bool,
    out: Path,
    say: Callable[..., None],
) -> None:
    """A generator of S0's kind on CIFAR-10 with our recipe; its averaged
    weights go back in half precision in shards of 16 MB."""
    store = RunStore(out / "runs")
    store.prepare()
    values = {
        "preset": "s0",
        "dataset": "cifar10",
        "data_dir": str(data),
        "seconds": max(1.0, seconds),
        "batch_size": 256,
        "flip": True,
        "target": "v",
        "schedule": "cosine",
        "weighting": "simple",
        "optimizer": "muon",
        "learning_rate_schedule": "cosine",
        "learning_rate": 1e-3,
        "num_train_timesteps": 1000,
        "precision": "bf16",
        "compile": not smoke,
        **(SMOKE if smoke else {}),
    }
    spec = make(TrainSpec, values)
    run, result = done(store, spec, device)
    say("CIFAR-10 generator", **result)
    arms(store, run, data, device, smoke, say)
    small = {
        name: value.half() if value.is_floating_point() else value
        for name, value in load_file(run.path / checkpoints.LAST).items()
    }
    shards: list[dict[str, torch.Tensor]] = [{}]
    for name, value in small.items():
        if sum(v.nbytes for v in shards[-1].values()) + value.nbytes > SHARD and shards[-1]:
            shards.append({})
        shards[-1][name] = value.contiguous()
    for k, shard in enumerate(shards):
        save_file(shard, out / f"weights-{k:02d}.safetensors")
    (out / "spec.json").write_text(spec.model_dump_json(indent=1))
    settings = {"source": "x", "num_steps": 3 if smoke else 50, "guidance_weight": 0.5}
    pipeline = Pipeline(load_generator(run.path, device), make(SynthesizeSpec, settings))
    images = pipeline.images([c for c in range(10) for _ in range(10)], list(range(100)))
    (out / "samples.png").write_bytes(imageset.png(imageset.sheet(images, 10)))


def done(store: RunStore, spec: Spec, device: torch.device) -> tuple[Run, dict[str, Any]]:
    """A run of this spec, made in this process, and its result."""
    record = Record(
        id=store.new_id(spec.kind, "cifar10"),
        kind=spec.kind,
        name="cifar10",
        created="",
        hash=spec.content_hash(),
        spec=spec.model_dump(mode="json"),
    )
    run, cache = store.create(record), ArtefactCache(store.folders.cache)
    ctx = TaskContext(run, store, cache, threads=torch.get_num_threads(), device=str(device))
    result = next(e["values"] for e in find_task(spec.kind)(ctx) if e["type"] == "result")
    write_json(run.path / "result.json", result)
    return run, result


def arms(
    store: RunStore,
    source: Run,
    data: Path,
    device: torch.device,
    smoke: bool,
    say: Callable[..., None],
) -> None:
    """S0's five arms on CIFAR-10, three seeds each, with the strong recipe in fewer steps;
    synthetic only is the CAS."""
    drawing = {
        "source": source.id,
        "guidance_weight": 0.5,
        "num_steps": 3 if smoke else 20,
        "precision": "bf16",
    }
    made, result = done(
        store, make(SynthesizeSpec, {**drawing, "per_class": 20 if smoke else 5000}), device
    )
    say("synthetic set", **{k: result[k] for k in ("images", "seconds", "images_per_second")})
    real = {"dataset": "cifar10", "data_dir": str(data), "images_per_class": 20 if smoke else 5000}
    recipe = {"recipe": "strong", "steps": 4 if smoke else 4000, "seeds": 2 if smoke else 3}
    if smoke:
        recipe |= {"classifier": "small_cnn", "batch_size": 16}
    for arm in ("real", "90/10", "50/50", "10/90", "synthetic"):
        mixed = {} if arm == "real" else {"synthetic": made.id}
        _, found = done(store, make(ClassifySpec, {**real, **recipe, **mixed, "arm": arm}), device)
        say(
            f"S0 arm {arm}",
            interval=found["interval"],
            accuracies=found["accuracies"],
            seconds=found["seconds"],
        )


def everything(args: argparse.Namespace) -> int:
    ends = time.monotonic() + 60 * args.minutes - 20
    if args.device != "cpu" and not torch.cuda.is_available():
        print(
            "There is no NVIDIA GPU here that torch can use; --device cpu --smoke shows that the"
            " commands run.",
            file=sys.stderr,
        )
        return 1
    device = prepare("cpu" if args.device == "cpu" else "cuda:0")
    args.out.mkdir(parents=True, exist_ok=True)
    if args.smoke:
        torch.set_num_threads(1)  # nothing here is worth two

    def say(what: str, **values: Any) -> None:
        line = json.dumps({"what": what, **values})
        print(line, flush=True)
        with open(args.out / "gpu.jsonl", "a") as file:
            file.write(line + "\n")

    with tempfile.TemporaryDirectory() as folder:
        made = (
            unpack(args.data, Path(folder) / "data.npz")
            if args.data
            else noise_images(Path(folder) / "data.npz")
        )
        spec = make(TrainSpec, {"preset": "s0", "dataset": "cifar10", "data_dir": str(made)})
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        say(
            "machine",
            device=name,
            torch=torch.__version__,
            s0_parameters=parameter_count(network_of(spec)),
        )
        if not args.train_only:
            measure(made, device, args.smoke, say)
        if args.data or args.smoke:
            left = ends - time.monotonic() - ARMS_SECONDS
            generator(made, device, 2.0 if args.smoke else left, args.smoke, args.out, say)
        else:
            say("CIFAR-10 generator", skipped="no images: give --data, a folder made with pack")
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu")
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="CIFAR-10 as lossless sheets")
    packing.add_argument("source", help="a folder or .npz with CIFAR-10")
    packing.add_argument("folder", type=Path)
    running = commands.add_parser("all", help="measure, then train")
    running.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    running.add_argument("--minutes", type=float, default=10.0)
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--data", type=Path, help="a folder made with pack")
    running.add_argument("--smoke", action="store_true", help="everything in small")
    running.add_argument(
        "--train-only", action="store_true", help="all of the time for the generator"
    )
    args = parser.parse_args(argv)
    if args.command == "pack":
        pack(args.source, args.folder)
        return 0
    return everything(args)


if __name__ == "__main__":
    sys.exit(main())
