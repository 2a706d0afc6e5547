"""All numbers that determine the layers of a U-Net, taken from the settings of a training."""

from __future__ import annotations

import dataclasses

from dreamlab.data import catalog
from dreamlab.settings.names import ActivationName, WiringName
from dreamlab.settings.train import TrainSpec


@dataclasses.dataclass(frozen=True)
class Network:
    """All numbers that determine the layers of a U-Net. `classes` is 0 for an unconditional
    network. `low_size` above 0 makes it a super-resolution network: the upsampled low-resolution
    image is concatenated to its input, and the noise level of that image is a second timestep."""

    channels: int
    classes: int
    image_size: int
    num_train_timesteps: int
    base_width: int
    multipliers: tuple[int, ...]
    blocks_per_level: int
    stem_patch: int
    attention: tuple[int, ...]
    heads: int
    dropout: float
    time_activation: ActivationName
    wiring: WiringName
    learn_variance: bool
    low_size: int

    @property
    def in_channels(self) -> int:
        """Channels of the input: twice those of an image for a super-resolution network."""
        return self.channels * (2 if self.low_size else 1)

    @property
    def out_channels(self) -> int:
        """Channels of the output: twice those of an image if the variance is learned."""
        return self.channels * (2 if self.learn_variance else 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level."""
        return tuple(self.base_width * m for m in self.multipliers)

    @property
    def sides(self) -> tuple[int, ...]:
        """Side of the feature maps of each level, in positions."""
        return tuple(
            self.image_size // self.stem_patch // 2**i for i in range(len(self.multipliers))
        )


def network_of(spec: TrainSpec) -> Network:
    """The network that a spec trains. Raises DataError if the data set is not known."""
    data = catalog.info(spec.dataset)
    return network_on(spec, data.size, data.channels, len(data.classes))


def network_on(spec: TrainSpec, native_size: int, channels: int, classes: int) -> Network:
    """The network of a spec for square images of `native_size` pixels with this number of channels
    and classes."""
    return Network(
        channels=channels,
        classes=classes if spec.conditional else 0,
        image_size=spec.image_size or native_size,
        num_train_timesteps=spec.num_train_timesteps,
        base_width=spec.base_width,
        multipliers=spec.multipliers,
        blocks_per_level=spec.blocks_per_level,
        stem_patch=spec.stem_patch,
        attention=spec.attention,
        heads=spec.heads,
        dropout=spec.dropout,
        time_activation=spec.time_activation,
        wiring=spec.wiring,
        learn_variance=spec.learn_variance,
        low_size=spec.low_size,
    )
