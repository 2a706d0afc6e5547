"""Settings of a training: the generator, its optimisation, the run that it starts from, and what is
measured and kept on the way."""

from __future__ import annotations

from typing import Any, ClassVar, get_args

from pydantic import model_validator

from dreamlab.settings.base import SpecError, budget_given
from dreamlab.settings.names import DeviceName, PartName, PrecisionName
from dreamlab.settings.optimisation import Optimisation
from dreamlab.settings.presets import PRESETS
from dreamlab.settings.real_data import DEVICE_DETAIL, DEVICE_HELP
from dreamlab.settings.setting import setting

STAGES, PROBE, MACHINE = "Stages", "Probe", "Machine"


class TrainSpec(Optimisation):
    """Settings of a training."""

    kind: ClassVar[str] = "train"
    summary: ClassVar[str] = (
        "Train a diffusion model, by default a class-conditional DDPM with label dropout."
    )

    init_from: str = setting(
        "",
        "Trained generator to start from (fine-tuning).",
        detail="The settings of its network and noise are used.",
        label="Fine-tune",
        run_kind="train",
        section=STAGES,
    )
    freeze: tuple[PartName, ...] = setting(
        (),
        "Parts of the network that are not trained.",
        detail="A list. Used only for fine-tuning.",
        label="Frozen parts",
        section=STAGES,
    )
    low_size: int = setting(
        0,
        "Input size of a super-resolution model; 0: none.",
        detail="Such a model is the second stage of a cascade. With 0, an ordinary generator is"
        " trained.",
        label="Super-resolution from",
        unit="pixels",
        ge=0,
        le=512,
        log=True,
        section=STAGES,
    )
    low_noise: float = setting(
        0.3,
        "Most noise added to the low-resolution image.",
        detail="As a share of T. Used only when a super-resolution model is trained.",
        label="Conditioning noise",
        ge=0,
        le=1,
        step=0.01,
        section=STAGES,
    )

    probe_every: int = setting(
        0,
        "Steps between two probes of the generator; 0: none.",
        detail="A probe samples images with the averaged weights, and measures KID on the features"
        " of the judge, a classifier trained on the real images, and the share of the images that"
        " the judge recognises as their class. Its time is not part of the training's, and the"
        " weights are the same without it. The last step is probed as well.",
        unit="steps",
        ge=0,
        le=10_000_000,
        log=True,
        section=PROBE,
        added=0,
    )
    probe_images: int = setting(
        500,
        "Number of images that a probe samples.",
        detail="The same classes and the same noise in every probe.",
        unit="images",
        ge=200,
        le=5000,
        log=True,
        section=PROBE,
        added=500,
    )

    precision: PrecisionName = setting(
        "auto",
        "Number format of the computation.",
        detail="auto takes bf16 if it is at least 1.3 times as fast on this machine, else fp32. It"
        " is measured once per network, before the first step, and kept for later runs.",
        section=MACHINE,
    )
    compile: bool = setting(
        False,
        "Compile the network first (torch.compile).",
        detail="It takes minutes and makes the steps faster. Worth it for long trainings on a GPU.",
        section=MACHINE,
        affects_result=False,
    )
    device: DeviceName = setting(
        "auto", DEVICE_HELP, detail=DEVICE_DETAIL, section=MACHINE, affects_result=False
    )
    devices: int = setting(
        1,
        "Number of devices that share every batch.",
        detail="Data-parallel training on several GPUs, or in several processes on the CPU.",
        ge=1,
        le=64,
        log=True,
        section=MACHINE,
        affects_result=False,
    )
    preview_every: float = setting(
        5.0,
        "Time between two grids of preview images.",
        unit="s",
        ge=1,
        le=3600,
        log=True,
        section=MACHINE,
        affects_result=False,
    )
    checkpoint_every: float = setting(
        30.0,
        "Time between two checkpoints.",
        detail="The first one is written within 5 s.",
        unit="s",
        ge=1,
        le=3600,
        log=True,
        section=MACHINE,
        affects_result=False,
    )
    snapshots: int = setting(
        0,
        "Number of intermediate checkpoints to keep.",
        detail="They are spread evenly over the training. Use them for autoguidance, or to sample"
        " from earlier stages of the training.",
        ge=0,
        le=20,
        section=MACHINE,
        affects_result=False,
    )
    snapshot_epochs: float = setting(
        0.0,
        "Epochs between two checkpoints that are kept; 0: none.",
        detail="It needs a budget in steps or epochs, and at most 100 checkpoints may be kept. With"
        " 5 and 50 epochs, nine are kept, and the last weights as always.",
        label="Snapshot every",
        unit="epochs",
        ge=0,
        le=1_000_000,
        log=True,
        section=MACHINE,
        affects_result=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        given = budget_given(values, "steps", "epochs", "seconds")
        return {**PRESETS.get(values.get("preset", ""), {}), **given}

    @model_validator(mode="after")
    def _fits_together(self) -> TrainSpec:
        if self.stem_patch == 3:
            raise SpecError(
                "Stem patch (--stem-patch): 3 cannot be used; it must be 1, 2 or 4.", "stem_patch"
            )
        if self.steps and self.epochs:
            raise SpecError(
                f"Epochs (--epochs): {self.epochs:g} cannot be used beside {self.steps} steps; set"
                " one of the two to 0.",
                "epochs",
            )
        if self.snapshot_epochs and self.snapshots:
            raise SpecError(
                f"Snapshot every (--snapshot-epochs): {self.snapshot_epochs:g} epochs cannot be"
                f" used beside {self.snapshots} snapshots; set one of the two to 0.",
                "snapshot_epochs",
            )
        if self.snapshot_epochs and not (self.steps or self.epochs):
            raise SpecError(
                f"Snapshot every (--snapshot-epochs): {self.snapshot_epochs:g} epochs cannot be"
                " used with a budget in seconds; give --steps or --epochs, or keep a number of"
                " checkpoints with --snapshots.",
                "snapshot_epochs",
            )
        if self.zero_terminal_snr and self.target == "eps":
            raise SpecError(
                "Target (--target): eps cannot be used with zero terminal SNR, because x_T is"
                " pure noise and eps says nothing about the image; use v or x0.",
                "target",
            )
        if self.accumulate > self.batch_size:
            raise SpecError(
                f"Gradient accumulation (--accumulate): {self.accumulate} parts of"
                f" {self.batch_size} images cannot be made; it must be 1 to {self.batch_size}.",
                "accumulate",
            )
        if self.devices > self.batch_size:
            raise SpecError(
                f"Devices (--devices): {self.devices} cannot share a batch of {self.batch_size}"
                f" images; use at most {self.batch_size}.",
                "devices",
            )
        if self.freeze and not self.init_from:
            raise SpecError(
                "Frozen parts (--freeze): only the parts of a trained network can be frozen; name"
                " its run with --init-from.",
                "freeze",
            )
        if set(self.freeze) == set(get_args(PartName)):
            raise SpecError(
                "Frozen parts (--freeze): all parts cannot be frozen, since nothing would be"
                " trained; leave one out.",
                "freeze",
            )
        return self

    def baseline(self) -> dict[str, Any]:
        """The default values, with those of the preset in place."""
        return {**super().baseline(), **PRESETS[self.preset]}


INHERITED = (
    "conditional",
    "wiring",
    "base_width",
    "multipliers",
    "blocks_per_level",
    "stem_patch",
    "attention",
    "heads",
    "time_activation",
    "learn_variance",
    "num_train_timesteps",
    "schedule",
    "zero_terminal_snr",
    "target",
    "low_size",
)
"""Settings that a fine-tuned model takes over from the run that it starts from (`init_from`)."""


def can_be_guided(trained: TrainSpec) -> bool:
    """Whether classifier-free guidance is possible: the generator has classes and was trained with
    label dropout."""
    return trained.conditional and trained.label_dropout > 0
