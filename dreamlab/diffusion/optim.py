"""Muon for the matrices and AdamW for the rest, on one flat buffer: a handful of operations a step, whatever the
number of parameters, and no import of torch.optim's machinery (seconds in a fresh process).

The gradients live in one buffer too. Matrices of one shape lie side by side and are orthogonalised as one batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn

BETAS, EPS, MUON_MOMENTUM, MUON_STEPS = (0.9, 0.99), 1e-8, 0.95, 3
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalise(g: torch.Tensor, steps: int = MUON_STEPS) -> torch.Tensor:
    """Newton-Schulz iteration of Muon (Jordan et al. 2024): (n, rows, columns) matrices with their singular values
    pushed towards 1, a batch at once."""
    a, b, c = COEFFICIENTS
    tall = g.shape[-2] > g.shape[-1]
    x = g.mT if tall else g
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def is_matrix(name: str, p: nn.Parameter) -> bool:
    """Whether Muon takes it: hidden layers only; the first and last layer and the class table stay with AdamW."""
    return p.ndim >= 2 and not name.startswith(("stem.", "head.", "condition.classes."))


class FlatOptimizer:
    """Owns the parameters of a network: they become views into `weights` (float32, P numbers), gradients into `grad`.

    With `matrices` False AdamW takes everything. Only `weights`, `first` (momentum) and `second` (AdamW's second
    moment, of the rest only) are state, with the number of steps.
    """

    def __init__(self, network: nn.Module, matrices: bool, weight_decay: float = 0.0):
        named = list(network.named_parameters())
        self.weight_decay = weight_decay
        shapes: dict[tuple[int, int], list[nn.Parameter]] = {}
        rest: list[nn.Parameter] = []
        for name, p in named:
            if matrices and is_matrix(name, p):
                shapes.setdefault((p.shape[0], p.numel() // p.shape[0]), []).append(p)
            else:
                rest.append(p)
        ordered = [p for group in shapes.values() for p in group] + rest
        self.split = sum(p.numel() for group in shapes.values() for p in group)
        self.weights = torch.empty(sum(p.numel() for p in ordered), device=ordered[0].device)
        self.grad = torch.zeros_like(self.weights)
        self.first, self.second = torch.zeros_like(self.weights), torch.zeros_like(self.weights[self.split :])
        self.groups: list[tuple[slice, tuple[int, int, int]]] = []
        start = 0
        for shape, group in shapes.items():
            size = len(group) * shape[0] * shape[1]
            self.groups.append((slice(start, start + size), (len(group), *shape)))
            start += size
        with torch.no_grad():
            for p, weights, grad in zip(
                ordered, _views(self.weights, ordered), _views(self.grad, ordered), strict=True
            ):
                weights.copy_(p)
                p.data, p.grad = weights, grad
        by_id = {id(p): name for name, p in named}
        self._ordered, self.names = ordered, [by_id[id(p)] for p in ordered]

    def views(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """A flat buffer like `weights` cut into tensors shaped like the parameters, in this class's order."""
        return list(_views(flat, self._ordered))

    def parameters(self) -> list[nn.Parameter]:
        """The parameters in the order of `views`."""
        return self._ordered

    @torch.no_grad()
    def step(self, step: int, learning_rate: float, muon_learning_rate: float) -> None:
        """Update number `step` (1, 2, ...), then gradients to zero."""
        cut = self.split
        if cut:
            momentum, grad = self.first[:cut], self.grad[:cut]
            momentum.lerp_(grad, 1 - MUON_MOMENTUM)
            update = torch.lerp(grad, momentum, MUON_MOMENTUM)  # Nesterov
            for where, shape in self.groups:
                scale = math.sqrt(max(1.0, shape[1] / shape[2]))
                matrix = orthogonalise(update[where].view(shape))
                self.weights[where].view(shape).add_(matrix, alpha=-muon_learning_rate * scale)
        grad, first, second = self.grad[cut:], self.first[cut:], self.second
        first.lerp_(grad, 1 - BETAS[0])
        second.mul_(BETAS[1]).addcmul_(grad, grad, value=1 - BETAS[1])
        if self.weight_decay:
            self.weights[cut:].mul_(1 - learning_rate * self.weight_decay)
        scale = math.sqrt(1 - BETAS[1] ** step)  # Loshchilov & Hutter 2019, Algorithm 2, bias corrections folded
        self.weights[cut:].addcdiv_(
            first, second.sqrt().add_(EPS * scale), value=-learning_rate * scale / (1 - BETAS[0] ** step)
        )
        self.grad.zero_()


def _views(flat: torch.Tensor, parameters: list[nn.Parameter]) -> Iterator[torch.Tensor]:
    start = 0
    for p in parameters:
        part = flat[start : start + p.numel()]
        if p.ndim == 4:  # channels-last, as convolutions want their weights
            o, i, h, w = p.shape
            yield part.view(o, h, w, i).permute(0, 3, 1, 2)
        else:
            yield part.view(p.shape)
        start += p.numel()


def learning_rate_factor(progress: float, warmup: float = 0.05) -> float:
    """Linear warm-up, then a cosine to almost 0; `progress` is the share of the run that is done, 0..1."""
    if progress < warmup:
        return max(progress, 1e-3) / warmup
    return 0.005 + 0.995 * 0.5 * (1 + math.cos(math.pi * min((progress - warmup) / (1 - warmup), 1.0)))
