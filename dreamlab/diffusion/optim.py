"""Optimisers on one flat buffer: a handful of operations a step, whatever the number of parameters.

The gradients live in one buffer too. AdamW, Adam, SGD and Adafactor are torch's. Muon is our own:
matrices of one shape lie side by side and are orthogonalised as one batch, in the precision of the
weights, where torch.optim.Muon takes them one by one in bfloat16. docs/bench.md has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from dreamlab.settings.names import OptimizerName

BETAS, EPS, MUON_MOMENTUM, MUON_STEPS, SGD_MOMENTUM = (0.9, 0.99), 1e-8, 0.95, 3, 0.9
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalise(g: torch.Tensor, steps: int = MUON_STEPS) -> torch.Tensor:
    """Newton-Schulz iteration of Muon (Jordan et al. 2024): (n, rows, columns) matrices with their
    singular values pushed towards 1, a batch at once."""
    a, b, c = COEFFICIENTS
    tall = g.shape[-2] > g.shape[-1]
    x = g.mT if tall else g
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def is_matrix(name: str, p: nn.Parameter) -> bool:
    """Whether Muon takes it: hidden layers only; the first and last layer and the class table stay
    with AdamW."""
    return p.ndim >= 2 and not name.startswith(("stem.", "head.", "condition.classes."))


Shape = tuple[int, int]
"""Rows and columns of a parameter as a matrix, (out, all the rest); (0, numbers) of a vector."""


class Rule(Protocol):
    """How parameters, a stretch of the flat buffer, follow their gradient. `state` is all that a
    resumed run needs."""

    state: dict[str, torch.Tensor]

    def __init__(
        self, weights: torch.Tensor, grad: torch.Tensor, shapes: list[Shape], weight_decay: float
    ): ...

    def step(self, step: int, learning_rate: float) -> None:
        """Update number `step` (1, 2, ...) of `weights`."""


class AdamW:
    """torch's fused AdamW (Loshchilov & Hutter 2019, Algorithm 2); betas 0.9 and 0.99.

    Its functional form, because an object of `torch.optim` imports torch's compiler when it is
    made: seconds in a fresh process.
    """

    decoupled = True

    def __init__(
        self, weights: torch.Tensor, grad: torch.Tensor, shapes: list[Shape], weight_decay: float
    ):
        self.weights, self.grad, self.weight_decay = weights, grad, weight_decay
        self.state = {"first": torch.zeros_like(weights), "second": torch.zeros_like(weights)}

    def step(self, step: int, learning_rate: float) -> None:
        taken = torch.full((), step - 1.0, device=self.weights.device)  # torch adds this one
        adam(
            [self.weights],
            [self.grad],
            [self.state["first"]],
            [self.state["second"]],
            [],
            [taken],
            fused=True,
            decoupled_weight_decay=self.decoupled,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=learning_rate,
            weight_decay=self.weight_decay,
            eps=EPS,
            maximize=False,
        )


class Adam(AdamW):
    """torch's fused Adam (Kingma & Ba 2015); weight decay is L2, part of the gradient."""

    decoupled = False


class SGD:
    """torch's SGD with momentum 0.9, not damped (Sutskever et al. 2013); weight decay is L2, part
    of the gradient."""

    def __init__(
        self, weights: torch.Tensor, grad: torch.Tensor, shapes: list[Shape], weight_decay: float
    ):
        self.weights, self.grad, self.weight_decay = weights, grad, weight_decay
        self.state = {"momentum": torch.zeros_like(weights)}

    def step(self, step: int, learning_rate: float) -> None:
        sgd(
            [self.weights],
            [self.grad],
            [self.state["momentum"]],
            foreach=False,
            weight_decay=self.weight_decay,
            momentum=SGD_MOMENTUM,
            lr=learning_rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )


class Muon:
    """Jordan et al. 2024: Nesterov momentum 0.95, then orthogonalised matrix by matrix; takes
    matrices alone. Neighbours of one shape are one batch."""

    def __init__(
        self, weights: torch.Tensor, grad: torch.Tensor, shapes: list[Shape], weight_decay: float
    ):
        self.weights, self.grad, self.weight_decay = weights, grad, weight_decay
        self.state = {"momentum": torch.zeros_like(weights)}
        counts: dict[Shape, int] = {}
        for shape in shapes:
            counts[shape] = counts.get(shape, 0) + 1
        self.batches: list[tuple[slice, tuple[int, int, int]]] = []
        start = 0
        for shape, n in counts.items():
            size = n * shape[0] * shape[1]
            self.batches.append((slice(start, start + size), (n, *shape)))
            start += size

    def step(self, step: int, learning_rate: float) -> None:
        momentum = self.state["momentum"].lerp_(self.grad, 1 - MUON_MOMENTUM)
        update = torch.lerp(self.grad, momentum, MUON_MOMENTUM)
        if self.weight_decay:
            self.weights.mul_(1 - learning_rate * self.weight_decay)
        for where, shape in self.batches:
            scale = math.sqrt(max(1.0, shape[1] / shape[2]))
            matrix = orthogonalise(update[where].view(shape))
            self.weights[where].view(shape).add_(matrix, alpha=-learning_rate * scale)


class Adafactor:
    """torch.optim.Adafactor (Shazeer & Stern 2018), convolutions as matrices (out, in x height x
    width)."""

    def __init__(
        self, weights: torch.Tensor, grad: torch.Tensor, shapes: list[Shape], weight_decay: float
    ):
        self._parameters = []
        start = 0
        for rows, columns in shapes:
            size = max(rows, 1) * columns
            p = nn.Parameter(
                weights[start : start + size].view(rows, columns)
                if rows
                else weights[start : start + size]
            )
            p.grad = grad[start : start + size].view(p.shape)
            self._parameters.append(p)
            start += size
        self._optimizer = torch.optim.Adafactor(
            self._parameters, weight_decay=weight_decay, foreach=False
        )
        self.state: dict[str, torch.Tensor] = {}
        for i, p in enumerate(self._parameters):
            own: dict[str, Any] = {"step": torch.tensor(0.0)}
            if p.ndim > 1:
                own |= {
                    "row_var": p.new_zeros(p.shape[0], 1),
                    "col_var": p.new_zeros(1, p.shape[1]),
                }
            else:
                own["variance"] = torch.zeros_like(p.data)
            self._optimizer.state[p] = own
            self.state |= {f"{i}.{name}": value for name, value in own.items()}

    def step(self, step: int, learning_rate: float) -> None:
        self._optimizer.param_groups[0]["lr"] = learning_rate
        self._optimizer.step()  # type: ignore[no-untyped-call]


OPTIMIZERS: dict[OptimizerName, type[Rule]] = {
    "muon": Muon,
    "adamw": AdamW,
    "adam": Adam,
    "adafactor": Adafactor,
    "sgd": SGD,
}
"""Optimiser by name; beside Muon, which takes matrices alone, AdamW takes the rest."""


class FlatOptimizer:
    """Owns the parameters of a network that require gradients: they become views into `weights`
    (float32, P numbers), their gradients into `grad`. `extra` numbers of a step lie behind the
    gradient in `buffer`, so that several processes add up both at once. ValueError where nothing
    requires gradients."""

    def __init__(
        self,
        network: nn.Module,
        name: OptimizerName = "muon",
        weight_decay: float = 0.0,
        extra: int = 0,
    ):
        named = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
        if not named:
            raise ValueError("no parameter of the network requires gradients")
        matrices: dict[Shape, list[tuple[str, nn.Parameter]]] = {}
        rest: list[tuple[str, nn.Parameter]] = []
        for n, p in named:
            if name == "muon" and is_matrix(n, p):
                matrices.setdefault(_shape(p), []).append((n, p))
            else:
                rest.append((n, p))
        first = [pair for group in matrices.values() for pair in group]
        self.names = [n for n, _ in first + rest]
        self._ordered = [p for _, p in first + rest]
        split, total = (sum(p.numel() for _, p in part) for part in (first, first + rest))
        self.weights = torch.empty(total, device=self._ordered[0].device)
        self.buffer = torch.zeros(total + extra, device=self.weights.device)
        self.grad, self.extra = self.buffer[:total], self.buffer[total:]
        with torch.no_grad():
            for p, weights, grad in zip(
                self._ordered, self.views(self.weights), self.views(self.grad), strict=True
            ):
                weights.copy_(p)
                p.data, p.grad = weights, grad
        self._rules: dict[OptimizerName, Rule] = {}
        parts: list[tuple[OptimizerName, list[tuple[str, nn.Parameter]], slice]] = [
            (name, first, slice(0, split)),
            ("adamw" if name == "muon" else name, rest, slice(split, total)),
        ]
        for kind, part, where in parts:
            if part:
                shapes = [_shape(p) for _, p in part]
                self._rules[kind] = OPTIMIZERS[kind](
                    self.weights[where], self.grad[where], shapes, weight_decay
                )

    @property
    def state(self) -> dict[str, torch.Tensor]:
        """The optimiser's own numbers by name, to be saved, and copied into on resume."""
        return {
            f"{kind}.{name}": value
            for kind, rule in self._rules.items()
            for name, value in rule.state.items()
        }

    def views(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """A flat buffer like `weights` cut into tensors shaped like the parameters, in this class's
        order."""
        return list(_views(flat, self._ordered))

    def parameters(self) -> list[nn.Parameter]:
        """The parameters in the order of `views`."""
        return self._ordered

    @torch.no_grad()
    def clip(self, limit: float) -> torch.Tensor:
        """Scales the gradient to a norm of at most `limit` (0: only measures); returns the norm
        before, a scalar."""
        norm: torch.Tensor = self.grad.norm()
        if limit:
            self.grad.mul_((limit / (norm + 1e-6)).clamp(max=1.0))
        return norm

    @torch.no_grad()
    def step(self, step: int, learning_rate: float, muon_learning_rate: float) -> None:
        """Update number `step` (1, 2, ...); Muon's matrices have a learning rate of their own. The
        gradient stays as it is: see `zero`."""
        for kind, rule in self._rules.items():
            rule.step(step, muon_learning_rate if kind == "muon" else learning_rate)

    def zero(self) -> None:
        """Gradient and extra numbers to zero."""
        self.buffer.zero_()


def _shape(p: nn.Parameter) -> Shape:
    return (p.shape[0], p.numel() // p.shape[0]) if p.ndim >= 2 else (0, p.numel())


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


class LossScale:
    """Dynamic loss scaling for fp16 (Micikevicius et al. 2018, section 3.2): the loss is multiplied
    by `value` so that small gradients survive; a gradient that overflows halves it, GROW_AFTER good
    steps in a row double it."""

    FIRST, LARGEST, GROW_AFTER = 2.0**16, 2.0**24, 2000

    def __init__(self) -> None:
        self.value, self.good = self.FIRST, 0

    @torch.no_grad()
    def unscale(self, grad: torch.Tensor) -> bool:
        """Divides the gradient by the scale, in place, and adapts the scale; False where this step
        must be left out."""
        grad.mul_(1 / self.value)
        finite = bool(torch.isfinite(grad).all())
        self.good = self.good + 1 if finite else 0
        if not finite:
            self.value = max(self.value / 2, 1.0)
        elif self.good == self.GROW_AFTER:
            self.value, self.good = min(2 * self.value, self.LARGEST), 0
        return finite


def learning_rate_factor(progress: float, warmup: float = 0.05, schedule: str = "cosine") -> float:
    """Linear warm-up over a share of the run, then constant, or a cosine to almost 0; `progress` is
    the share of the run that is done, 0..1."""
    if progress < warmup:
        return max(progress, 1e-3) / warmup
    if schedule == "constant":
        return 1.0
    return 0.005 + 0.995 * 0.5 * (
        1 + math.cos(math.pi * min((progress - warmup) / (1 - warmup), 1.0))
    )
