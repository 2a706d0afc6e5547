"""Training and guided sampling against denoising-diffusion-pytorch and diffusers: the same widths,
image size and batch.

python -m tests.bench peers               about 5 minutes on two cores without other load
python -m tests.bench.peers --full        about 20: eleven rounds instead of five

Every round measures every contender once, in turn, so that whatever else the machine does meets
them all; a figure is the median of the rounds after the first. Ours goes through Trainer.step and
Pipeline, with EMA and the reading of uint8 images; a peer does what its own tutorial or trainer
does. Memory is what a process of its own gains from the moment that the network is built to the end
of three training steps (largest resident size; Linux).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dreamlab.engine.launcher import THREADING

os.environ["TQDM_DISABLE"] = "1"
# as our workers set it, for all: threads that spin while they wait lose most to whatever else runs
os.environ |= THREADING
# four networks in two precisions are more kernels than oneDNN keeps: without this each is generated
# anew in every round
os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = "20000"

import numpy as np  # noqa: E402
import torch  # noqa: E402

from dreamlab.architecture.cost import parameter_count  # noqa: E402
from dreamlab.architecture.network import Network, network_on  # noqa: E402
from dreamlab.data import catalog  # noqa: E402
from dreamlab.settings import SynthesizeSpec, TrainSpec, make  # noqa: E402
from dreamlab.tasks.synthesize.pipeline import Pipeline  # noqa: E402
from dreamlab.tasks.train.trainer import Trainer  # noqa: E402

DDPM = {
    "wiring": "ddpm",
    "stem_patch": 1,
    "blocks_per_level": 2,
    "target": "eps",
    "weighting": "simple",
    "schedule": "linear",
    "optimizer": "adamw",
    "learning_rate": 1e-4,
}
SMALL = {**DDPM, "base_width": 32, "multipliers": (1, 2, 2), "attention": (8,), "heads": 8}
CASES: dict[str, dict[str, Any]] = {
    "CPU network, 16x16": {
        "spec": {**SMALL, "image_size": 16, "batch_size": 32},
        "compact": {"multipliers": (1, 2)},
    },
    "CPU network, 32x32": {
        "spec": {**SMALL, "image_size": 32, "batch_size": 32},
        "compact": {"multipliers": (1, 2)},
    },
    "S0 network, 32x32": {
        "spec": {"preset": "s0", "optimizer": "adamw", "learning_rate": 1e-4, "batch_size": 8},
        # Muon's iteration does not pay for a batch of eight
        "compact": {
            "multipliers": (1, 2, 4),
            "blocks_per_level": 2,
            "optimizer": "adamw",
            "learning_rate": 1e-4,
        },
    },
}
STEPS, WEIGHT = 2, 1.0
PRECISIONS = ("fp32", "bf16")


def colour_images(folder: Path) -> Path:
    """A file of random images in the shape of CIFAR-10: speed does not depend on what they show."""
    chance = np.random.default_rng(0)
    x = chance.integers(0, 256, (600, 32, 32, 3), dtype=np.uint8)
    y = np.arange(600) % 10
    np.savez(
        folder / "colour.npz", x_train=x[:500], y_train=y[:500], x_test=x[500:], y_test=y[500:]
    )
    return folder / "colour.npz"


class Ours:
    """Trainer.step and Pipeline."""

    def __init__(self, settings: dict[str, Any], data: Path):
        self.spec = make(
            TrainSpec, {**settings, "dataset": "cifar10", "data_dir": str(data), "steps": 1000}
        )
        self.trainer = Trainer(self.spec, catalog.load("cifar10", str(data)), torch.device("cpu"))
        self.parameters = sum(p.numel() for p in self.trainer.network.parameters())

    def train(self, precision: str) -> int:
        float(self.trainer.step(0.5, precision))
        return self.spec.batch_size

    def sample(self, precision: str) -> int:
        settings = {
            "source": "x",
            "num_steps": STEPS,
            "sampler": "ddim",
            "guidance_weight": WEIGHT,
            "precision": precision,
        }
        n = self.spec.batch_size
        Pipeline(self.trainer.generator, make(SynthesizeSpec, settings)).images(
            [i % 10 for i in range(n)], list(range(n))
        )
        return n * STEPS


class Peer:
    """What both peers are measured on."""

    def __init__(self, network: Network, batch_size: int):
        self.batch_size = batch_size
        self.images = torch.rand(batch_size, 3, network.image_size, network.image_size)
        self.labels = torch.arange(batch_size) % 10

    def autocast(self, precision: str) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")


class Diffusers(Peer):
    """UNet2DModel, DDPMScheduler, fused AdamW and clipping as in its tutorial on training; guidance
    in one batch."""

    def __init__(self, network: Network, batch_size: int):
        super().__init__(network, batch_size)
        from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel

        kinds = ["Attn" if side in network.attention else "" for side in network.sides]
        self.model = UNet2DModel(
            sample_size=network.image_size,
            block_out_channels=network.widths,
            layers_per_block=network.blocks_per_level,
            down_block_types=tuple(f"{k}DownBlock2D" for k in kinds),
            up_block_types=tuple(f"{k}UpBlock2D" for k in kinds[::-1]),
            num_class_embeds=network.classes + 1,
        )
        self.noise, self.sampler = (
            DDPMScheduler(num_train_timesteps=1000),
            DDIMScheduler(num_train_timesteps=1000),
        )
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)
        self.parameters, self.null = self.model.num_parameters(), network.classes

    def train(self, precision: str) -> int:
        clean = self.images * 2 - 1
        noise, t = torch.randn_like(clean), torch.randint(0, 1000, (len(clean),))
        labels = self.labels.masked_fill(torch.rand(len(clean)) < 0.1, self.null)
        with self.autocast(precision):
            found = self.model(self.noise.add_noise(clean, noise, t), t, labels, return_dict=False)[
                0
            ]
        torch.nn.functional.mse_loss(found.float(), noise).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return len(clean)

    @torch.inference_mode()
    def sample(self, precision: str) -> int:
        x = torch.randn_like(self.images)
        labels = torch.cat([self.labels, torch.full_like(self.labels, self.null)])
        self.sampler.set_timesteps(STEPS)
        for t in self.sampler.timesteps:
            with self.autocast(precision):
                both = self.model(torch.cat([x, x]), t, labels, return_dict=False)[0].float()
            with_class, without = both.chunk(2)
            x = self.sampler.step(with_class + WEIGHT * (with_class - without), t, x).prev_sample
        return len(x) * STEPS


class Lucidrains(Peer):
    """denoising-diffusion-pytorch, classifier_free_guidance: its Unet, GaussianDiffusion, Adam and
    DDIM sampling."""

    def __init__(self, network: Network, batch_size: int):
        super().__init__(network, batch_size)
        from denoising_diffusion_pytorch.classifier_free_guidance import GaussianDiffusion, Unet

        model = Unet(
            dim=network.base_width,
            dim_mults=network.multipliers,
            num_classes=10,
            cond_drop_prob=0.1,
        )
        self.diffusion = GaussianDiffusion(
            model, image_size=network.image_size, timesteps=1000, sampling_timesteps=STEPS
        )
        self.optimizer = torch.optim.Adam(model.parameters(), lr=8e-5, betas=(0.9, 0.99))
        self.parameters = sum(p.numel() for p in model.parameters())

    def train(self, precision: str) -> int:
        with self.autocast(precision):
            loss = self.diffusion(self.images, classes=self.labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.diffusion.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return len(self.images)

    def sample(self, precision: str) -> int:
        with self.autocast(precision):
            self.diffusion.sample(self.labels, cond_scale=1 + WEIGHT)
        return len(self.images) * STEPS


def contenders(case: str, data: Path) -> dict[str, Callable[[], Any]]:
    """Makers of what is compared in a case, by name."""
    settings, compact = CASES[case]["spec"], CASES[case]["compact"]
    network = network_on(make(TrainSpec, settings), 32, 3, 10)
    size, batch = network.image_size, make(TrainSpec, settings).batch_size
    equal = _of_equal_size(
        {**compact, "image_size": size, "batch_size": batch}, parameter_count(network)
    )
    return {
        "denoising-diffusion-pytorch": lambda: Lucidrains(network, batch),
        "diffusers": lambda: Diffusers(network, batch),
        "ours, ddpm layout": lambda: Ours(settings, data),
        "ours, compact": lambda: Ours(equal, data),
    }


def _of_equal_size(settings: dict[str, Any], wanted: int) -> dict[str, Any]:
    def miss(base: int) -> int:
        spec = make(TrainSpec, {**settings, "base_width": base})
        return abs(parameter_count(network_on(spec, 32, 3, 10)) - wanted)

    return {**settings, "base_width": min(range(16, 400, 8), key=miss)}


def speeds(case: str, data: Path, rounds: int) -> dict[tuple[str, str, str], float]:
    """Units a second by (contender, work, precision): images in training, images x steps in
    sampling."""
    made = {name: make_one() for name, make_one in contenders(case, data).items()}
    times: dict[tuple[str, str, str], list[float]] = {}
    for number in range(rounds + 1):
        for precision in PRECISIONS:
            for work in ("train", "sample"):
                for name, one in made.items():
                    began = time.perf_counter()
                    done = getattr(one, work)(precision)
                    if number:  # the first round loads kernels
                        times.setdefault((name, work, precision), []).append(
                            done / (time.perf_counter() - began)
                        )
    found = {key: statistics.median(values) for key, values in times.items()}
    return found | {(name, "parameters", ""): one.parameters for name, one in made.items()}


def memory(case: str, name: str, precision: str = "fp32") -> int:
    """Bytes, measured in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.peers", "--memory", case, name, precision]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(said.split()[-1])


def _gain(case: str, name: str, precision: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        one = contenders(case, colour_images(Path(folder)))[name]()
        Path("/proc/self/clear_refs").write_text(
            "5"
        )  # the peak so far, of the imports, is forgotten
        before = _kilobytes("VmRSS")
        for _ in range(3):
            one.train(precision)
        return 1024 * (_kilobytes("VmHWM") - before)


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def table(full: bool) -> None:
    """Prints one Markdown table; a ratio says how many times as fast as diffusers at the same
    precision."""
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads,"
        f" {'eleven' if full else 'five'} rounds; DDIM, w = {WEIGHT:g}\n"
    )
    print(
        "| case | contender | parameters | training images/s fp32 | bf16 | guided images x steps/s"
        " fp32 | bf16 | training memory, fp32 |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        data = colour_images(Path(folder))
        for case in CASES:
            found = speeds(case, data, 11 if full else 5)
            for name in contenders(case, data):
                cells = [
                    f"{found[name, work, p]:.1f}"
                    f" ({found[name, work, p] / found['diffusers', work, p]:.2f})"
                    for work in ("train", "sample")
                    for p in PRECISIONS
                ]
                held = (
                    f"{memory(case, name) / 1e6:.0f} MB"
                    if full or case.startswith("CPU network, 32")
                    else "with --full"
                )
                print(
                    f"| {case} | {name} | {found[name, 'parameters', '']:,} | {' | '.join(cells)} |"
                    f" {held} |",
                    flush=True,
                )


def main() -> None:
    table(full=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers")
    parser.add_argument(
        "--full", action="store_true", help="eleven rounds instead of five, memory of every case"
    )
    parser.add_argument(
        "--memory", nargs=3, metavar=("CASE", "NAME", "PRECISION"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.memory:
        print(_gain(*arguments.memory))
    else:
        table(arguments.full)
