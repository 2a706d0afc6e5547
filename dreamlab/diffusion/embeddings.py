"""The conditioning vector: timestep, noise level of a low-resolution image, and class."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from dreamlab.architecture.network import Network
from dreamlab.settings.names import ActivationName

ACTIVATIONS: dict[ActivationName, Callable[[torch.Tensor], torch.Tensor]] = {
    "silu": F.silu,
    "gelu": F.gelu,
}


def sinusoidal(t: torch.Tensor, dim: int, max_period: float = 10_000.0) -> torch.Tensor:
    """Sinusoidal embedding (Vaswani et al. 2017, section 3.5): t (N,) in 0..1000 to (N, dim)
    float32, cosines first and then sines."""
    half = dim // 2
    frequency = torch.exp(
        torch.arange(half, device=t.device, dtype=torch.float32) * (-math.log(max_period) / half)
    )
    angle = t.float()[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class Condition(nn.Module):
    """The conditioning vector (N, 4 * base_width): SiLU of the sum of an MLP of the sinusoids of t,
    a learned vector per class, and, for super-resolution, an MLP of the noise level of the
    low-resolution image (Ho et al. 2022, section 4).

    t is scaled to 0..1000 for every T. Label `classes` is the null class. A network without classes
    ignores the labels.
    """

    def __init__(self, network: Network):
        super().__init__()
        dim = 4 * network.base_width
        # Ho et al. 2020 have base_width sinusoids and widen them in the MLP; the compact layout has
        # as many as the MLP is wide
        self.sinusoids = network.base_width if network.wiring == "ddpm" else dim
        self.scale, self.activation = (
            1000 / network.num_train_timesteps,
            ACTIVATIONS[network.time_activation],
        )
        self.time_in, self.time_out = nn.Linear(self.sinusoids, dim), nn.Linear(dim, dim)
        self.classes = nn.Embedding(network.classes + 1, dim) if network.classes else None
        if network.low_size:
            self.low_in, self.low_out = nn.Linear(self.sinusoids, dim), nn.Linear(dim, dim)
        self.low = bool(network.low_size)

    def forward(
        self, t: torch.Tensor, labels: torch.Tensor, low_t: torch.Tensor | None = None
    ) -> torch.Tensor:
        """t (N,) in 0..T-1, labels (N,) int64 and low_t (N,) or None to (N, 4 * base_width). Raises
        ValueError if a super-resolution network gets no low_t."""
        h = self.time_out(self.activation(self.time_in(sinusoidal(t * self.scale, self.sinusoids))))
        if self.classes is not None:
            h = h + self.classes(labels)
        if self.low:
            if low_t is None:
                raise ValueError(
                    "A super-resolution network needs low_t, the noise level of the low-resolution"
                    " image."
                )
            h = h + self.low_out(
                self.activation(self.low_in(sinusoidal(low_t * self.scale, self.sinusoids)))
            )
        return F.silu(h)
