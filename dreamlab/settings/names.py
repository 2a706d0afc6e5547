"""The allowed values of each choice. A test compares them with the tables of functions
(registries)."""

from __future__ import annotations

from typing import Literal

DatasetName = Literal["mnist5k", "digits", "shapes", "mnist", "mnist32", "fashion_mnist", "cifar10"]
TorchvisionName = Literal["mnist", "fashion_mnist", "cifar10", "flowers102"]
"""Data sets that an import can download with torchvision, written torchvision:NAME."""
LayoutName = Literal["auto", "top", "joined", "leaf", "table", "unlabelled"]
ScheduleName = Literal["cosine", "linear", "linear_scaled", "quadratic", "sigmoid"]
TargetName = Literal["x0", "eps", "v"]
WeightingName = Literal["sqrt_snr", "simple", "min_snr"]
OptimizerName = Literal["muon", "adamw", "adam", "adafactor", "sgd"]
OPTIMIZER_NUMBERS: dict[OptimizerName, float] = {
    "muon": 1.3,
    "adamw": 2.0,
    "adam": 2.0,
    "sgd": 1.0,
    "adafactor": 0.1,
}
"""Size of an optimiser's state in numbers per parameter, for memory estimates. It is approximate
for Muon and Adafactor."""
LearningRateName = Literal["cosine", "constant"]
WiringName = Literal["compact", "ddpm"]
ActivationName = Literal["silu", "gelu"]
PartName = Literal["stem", "condition", "down", "middle", "up", "head"]
PresetName = Literal["small", "tiny", "medium", "s0", "s2", "s2-1222", "s2-112244", "s4"]
SamplerName = Literal["dpmpp_2m", "ddim", "ddpm", "heun"]
NoiseName = Literal["philox", "pcg64"]
VarianceName = Literal["posterior", "beta", "interpolated", "learned"]
ClipName = Literal["static", "dynamic", "none"]
ClassifierName = Literal[
    "small_cnn",
    "cnn",
    "mlp",
    "unet_encoder",
    "unet_encoder_small",
    "resnet18",
    "resnet50",
    "resnet101",
    "resnet152",
    "vgg16",
    "vit_s",
    "vit_b",
    "vit_l",
    "swin_t",
]
RecipeName = Literal["fast", "strong", "s0", "s2", "s3", "s4"]
ControlName = Literal["duplicated", "augmented", "synthetic", "noise"]
StudyName = Literal[
    "s0-mnist",
    "s0-cifar",
    "s0-guidance",
    "s1-cas",
    "s1-models",
    "s1-scaling",
    "s1-fid",
    "s2-mlp",
    "s2-cnn",
    "s2-schedules",
    "s2-epochs",
    "s3-tail",
    "s3-targeted",
    "s3-replacement",
    "s3-background",
    "s4-tsweep",
    "s4-classify",
]
ScaleName = Literal["laptop", "middle", "corrected", "paper"]
ExtractorName = Literal["classifier", "inception", "dinov2", "clip", "own"]
AxisName = Literal[
    "guidance_weight",
    "num_steps",
    "num_train_timesteps",
    "sampler",
    "checkpoint",
    "per_class",
    "logvar_coefficient",
    "eta",
]
"""Settings that a sweep varies."""
ImageMeasureName = Literal[
    "fd", "kid", "prdc", "vendi", "spread", "fd_infinite", "inception_score", "memory"
]
"""What is measured of the images of a set."""
MeasureName = Literal[ImageMeasureName, "cas"]
DeviceName = Literal["auto", "cpu", "cuda"]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
