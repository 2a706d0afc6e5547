"""The training loss: targets, weights over noise levels, the learned variance, and how t is drawn.

The loss of one batch, where `output` (N, C, H, W) is that of the network (2 C channels if it learns
the variance):

    errors = squared_errors(output[:, :C], target_of(target, x0, eps, alpha_bar_t))      (N,)
    loss = (loss_weights(target, weighting, alpha_bar)[t] * errors).mean()
    x0_hat = predicted_x0.detach()
    loss = loss + VLB_WEIGHT * variance_loss(output[:, C:], x0_hat, x0, x_t, t, alpha_bar).mean()
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from dreamlab.diffusion.forward_process import TARGETS
from dreamlab.settings.names import TargetName, WeightingName

WEIGHT_MIN, WEIGHT_MAX = 0.1, 3.0
SNR_FLOOR = 0.01
"""For the eps target, an error of x0 is an error of eps divided by SNR, which grows without bound
as SNR goes to 0. Below this SNR, this SNR is used."""
MIN_SNR_GAMMA = 5.0
VLB_WEIGHT = 0.001
"""Weight of L_vlb in the hybrid loss (Nichol & Dhariwal 2021, Eq. 16)."""


def target_of(
    target: TargetName, x0: torch.Tensor, eps: torch.Tensor, alpha_bar_t: torch.Tensor
) -> torch.Tensor:
    """What the network should predict: x0, eps or v, of the shape of x0. `alpha_bar_t` broadcasts
    against the images."""
    wanted: torch.Tensor = TARGETS[target].of(x0, eps, alpha_bar_t)
    return wanted


def _simple(target: TargetName, alpha_bar: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(alpha_bar)


def _sqrt_snr(target: TargetName, alpha_bar: torch.Tensor) -> torch.Tensor:
    ratio = alpha_bar / (1 - alpha_bar)
    weight = ratio.sqrt().clamp(WEIGHT_MIN, WEIGHT_MAX)
    if target == "eps":
        return weight / ratio.clamp(min=SNR_FLOOR)
    return weight * (1 - alpha_bar) if target == "v" else weight


def _min_snr(target: TargetName, alpha_bar: torch.Tensor) -> torch.Tensor:
    ratio = alpha_bar / (1 - alpha_bar)
    if target == "eps":
        return (MIN_SNR_GAMMA / ratio).clamp(max=1.0)  # min(SNR, 5) / SNR, also where SNR is 0
    weight = ratio.clamp(max=MIN_SNR_GAMMA)
    return weight * (1 - alpha_bar) if target == "v" else weight


WEIGHTINGS: dict[WeightingName, Callable[[TargetName, torch.Tensor], torch.Tensor]] = {
    "simple": _simple,
    "sqrt_snr": _sqrt_snr,
    "min_snr": _min_snr,
}


def loss_weights(
    target: TargetName, weighting: WeightingName, alpha_bar: torch.Tensor
) -> torch.Tensor:
    """Weights (T,) of the squared error of the target, for alpha_bar (T,) in [0, 1).

    `simple`: 1 (Ho et al. 2020, Eq. 14). The others are defined as weights of the squared x0 error
    and converted to the target with x0 error = eps error / SNR = (1 - alpha_bar) v error.
    `sqrt_snr`: sqrt(SNR) clipped to [0.1, 3]. `min_snr`: min(SNR, 5) (Hang et al. 2023, section
    3.4).
    """
    return WEIGHTINGS[weighting](target, alpha_bar)


def squared_errors(output: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean squared error of each image: (N, C, H, W) to (N,) float32."""
    return (output.float() - wanted).square().flatten(1).mean(1)


def variance_loss(
    variance_raw: torch.Tensor,
    predicted_x0: torch.Tensor,
    x0: torch.Tensor,
    x_t: torch.Tensor,
    t: torch.Tensor,
    alpha_bar: torch.Tensor,
) -> torch.Tensor:
    """Estimates L_vlb from each image at its t, (N,) float32 in bits per dimension (Nichol &
    Dhariwal 2021, Eqs. 4 to 7): T times the KL divergence between the posterior and the reverse
    step. At t = 0 it is T times the negative log-likelihood of the 8-bit pixels.

    variance_raw (N, C, H, W): 2 f - 1, where f is the fraction of log beta in the log variance
    (Eq. 15). predicted_x0 must be detached, so that only the variance is trained by this loss
    (section 3.1). x0 (N, C, H, W) is in [-1, 1]; x_t has its shape; t (N,) int64; alpha_bar (T,),
    preferably float64.
    """
    at = alpha_bar.double()
    before = torch.cat([torch.ones_like(at[:1]), at[:-1]])
    beta = 1 - at / before
    posterior = beta * (1 - before) / (1 - at)
    posterior[0] = posterior[
        min(1, len(at) - 1)
    ]  # it is 0 at t = 0, and has no log; the value of t = 1 is used there
    clean, noisy = (
        before.sqrt() * beta / (1 - at),
        (at / before).sqrt() * (1 - before) / (1 - at),
    )  # Ho et al., Eq. 7

    def of(values: torch.Tensor) -> torch.Tensor:
        return values[t].float()[:, None, None, None]

    true_log_variance = of(posterior.log())
    fraction = (variance_raw.float() + 1) / 2
    log_variance = torch.lerp(
        true_log_variance.expand_as(fraction), of(beta.log()).expand_as(fraction), fraction
    )
    mean = of(clean) * predicted_x0.float() + of(noisy) * x_t
    kl = _kl(of(clean) * x0 + of(noisy) * x_t, true_log_variance, mean, log_variance)
    nll = -pixel_log_likelihood(x0, mean, 0.5 * log_variance)
    nats = torch.where(t == 0, nll.flatten(1).mean(1), kl.flatten(1).mean(1))
    return nats * (len(alpha_bar) / math.log(2))


def _kl(
    mean: torch.Tensor, log_variance: torch.Tensor, other: torch.Tensor, other_log: torch.Tensor
) -> torch.Tensor:
    """KL(N(mean, exp(log_variance)) || N(other, exp(other_log))) of each element, in nats."""
    spread = log_variance - other_log
    return 0.5 * (spread.exp() - 1 - spread + (mean - other).square() * torch.exp(-other_log))


def pixel_log_likelihood(
    x: torch.Tensor, mean: torch.Tensor, log_deviation: torch.Tensor
) -> torch.Tensor:
    """Log probability of each pixel x under a normal distribution that is rounded to 8-bit values,
    in nats. x is v / 127.5 - 1 for v = 0..255. The bins of 0 and 255 include the tails (Ho et al.
    2020, Eq. 13)."""
    centred, narrow = x - mean, torch.exp(-log_deviation)
    upper = torch.special.ndtr((centred + 1 / 255) * narrow)
    lower = torch.special.ndtr((centred - 1 / 255) * narrow)
    upper = torch.where(x > 0.999, torch.ones_like(upper), upper)
    lower = torch.where(x < -0.999, torch.zeros_like(lower), lower)
    return (upper - lower).clamp(min=1e-12).log()


def stratified_t(n: int, num_train_timesteps: int, generator: torch.Generator) -> torch.Tensor:
    """(n,) int64 timesteps, one from each of n equal parts of 0..T-1, in increasing order. It
    lowers the variance of the loss (Kingma et al. 2021, appendix I.1)."""
    u = torch.rand(n, generator=generator, device=generator.device, dtype=torch.float64)
    strata = torch.arange(n, device=generator.device, dtype=torch.float64)
    return ((strata + u) * (num_train_timesteps / n)).long().clamp(max=num_train_timesteps - 1)
