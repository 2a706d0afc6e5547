"""Optimisers that work on one flat buffer of all weights and one of all gradients, so that a step
takes few operations for any number of parameters.

AdamW, Adam, SGD and Adafactor are those of torch. Muon is implemented here: matrices of equal shape
are adjacent and are orthogonalised as one batch, in the precision of the weights. torch.optim.Muon
processes them one by one in bfloat16. docs/bench.md has timings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from dreamlab.settings.names import OptimizerName

BETAS, EPS, MUON_MOMENTUM, SGD_MOMENTUM = (0.9, 0.99), 1e-8, 0.95, 0.9
MUON_STEPS = 3
"""Newton-Schulz steps of Muon, unless a run sets them."""
SPARED = "spared"
"""Prefix of the state of parameters that weight decay spares."""
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic polynomial of Muon's Newton-Schulz iteration."""


def orthogonalise(g: torch.Tensor, steps: int = MUON_STEPS) -> torch.Tensor:
    """Newton-Schulz iteration of Muon (Jordan et al. 2024): moves the singular values of matrices
    (n, rows, columns) towards 1. Returns the same shape. Jordan et al. 2024 and Liu et al. 2025
    take 5 steps."""
    a, b, c = COEFFICIENTS
    tall = g.shape[-2] > g.shape[-1]
    x = g.mT if tall else g
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def is_matrix(name: str, p: nn.Parameter) -> bool:
    """Whether Muon trains this parameter: the matrices and convolutions of hidden layers. AdamW
    trains the first and last layer, the class embedding, and vectors."""
    return p.ndim >= 2 and not name.startswith(("stem.", "head.", "condition.classes."))


def decayed(network: nn.Module) -> set[str]:
    """Names of the parameters that weight decay applies to: weights of linear layers and
    convolutions. Biases, norms and embeddings are spared (Loshchilov & Hutter 2019 decay all; to
    spare these is usual since Devlin et al. 2019)."""
    embeddings = {
        f"{name}.weight" for name, m in network.named_modules() if isinstance(m, nn.Embedding)
    }
    return {n for n, p in network.named_parameters() if p.ndim > 1} - embeddings


Shape = tuple[int, int]
"""Rows and columns of a parameter seen as a matrix: (out, product of the other sizes); (0, size)
for a vector."""


class Rule(Protocol):
    """An update rule for adjacent parameters of the flat buffer. `weights` and `grad` are (P,)
    float32 and are shared with the network. `state` holds all tensors that are needed to resume."""

    state: dict[str, torch.Tensor]

    def __init__(
        self, weights: torch.Tensor, grad: torch.Tensor, shapes: list[Shape], weight_decay: float
    ): ...

    def step(self, step: int, learning_rate: float) -> None:
        """Updates `weights` in place. `step` is 1 for the first update."""


class AdamW:
    """torch's fused AdamW (Loshchilov & Hutter 2019, Algorithm 2) with betas 0.9 and `beta2`.

    It calls the functional form. Creating an object of `torch.optim` imports torch's compiler,
    which takes seconds in a new process.
    """

    decoupled = True
    beta2: float = BETAS[1]

    def __init__(
        self, weights: torch.Tensor, grad: torch.Tensor, shapes: list[Shape], weight_decay: float
    ):
        self.weights, self.grad, self.weight_decay = weights, grad, weight_decay
        self.state = {"first": torch.zeros_like(weights), "second": torch.zeros_like(weights)}

    def step(self, step: int, learning_rate: float) -> None:
        """Updates `weights` in place. `step` is 1 for the first update."""
        taken = torch.full((), step - 1.0, device=self.weights.device)  # torch adds 1
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
            beta2=self.beta2,
            lr=learning_rate,
            weight_decay=self.weight_decay,
            eps=EPS,
            maximize=False,
        )


class Adam(AdamW):
    """torch's fused Adam (Kingma & Ba 2015) with betas 0.9 and `beta2`. Weight decay is added to
    the gradient (L2)."""

    decoupled = False


class SGD:
    """torch's SGD with momentum 0.9 and no dampening (Sutskever et al. 2013). Weight decay is added
    to the gradient (L2)."""

    def __init__(
        self, weights: torch.Tensor, grad: torch.Tensor, shapes: list[Shape], weight_decay: float
    ):
        self.weights, self.grad, self.weight_decay = weights, grad, weight_decay
        self.state = {"momentum": torch.zeros_like(weights)}

    def step(self, step: int, learning_rate: float) -> None:
        """Updates `weights` in place."""
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
    """Muon (Jordan et al. 2024): Nesterov momentum 0.95, then each matrix is orthogonalised. It is
    only for matrices. Those of equal shape must be adjacent and form one batch. Decoupled weight
    decay is that of Liu et al. 2025. `steps` is that of `orthogonalise`."""

    def __init__(
        self, weights: torch.Tensor, grad: torch.Tensor, shapes: list[Shape], weight_decay: float
    ):
        self.weights, self.grad, self.weight_decay = weights, grad, weight_decay
        self.steps = MUON_STEPS
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
        """Updates `weights` in place."""
        momentum = self.state["momentum"].lerp_(self.grad, 1 - MUON_MOMENTUM)
        update = torch.lerp(self.grad, momentum, MUON_MOMENTUM)
        if self.weight_decay:
            self.weights.mul_(1 - learning_rate * self.weight_decay)
        for where, shape in self.batches:
            scale = math.sqrt(max(1.0, shape[1] / shape[2]))
            matrix = orthogonalise(update[where].view(shape), self.steps)
            self.weights[where].view(shape).add_(matrix, alpha=-learning_rate * scale)


class Adafactor:
    """torch.optim.Adafactor (Shazeer & Stern 2018). A convolution is seen as a matrix (out, in x
    height x width)."""

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
        """Updates `weights` in place."""
        self._optimizer.param_groups[0]["lr"] = learning_rate
        self._optimizer.step()  # type: ignore[no-untyped-call]


OPTIMIZERS: dict[OptimizerName, type[Rule]] = {
    "muon": Muon,
    "adamw": AdamW,
    "adam": Adam,
    "adafactor": Adafactor,
    "sgd": SGD,
}
"""Optimiser -> its update rule. With `muon`, the parameters that are not matrices of hidden layers
are trained with AdamW."""


class FlatOptimizer:
    """Optimises all parameters of a network that require gradients.

    It replaces them by views into one buffer `weights` (P,) float32, and their gradients by views
    into `grad` (P,). `buffer` holds `grad` followed by `extra` more numbers, so that data-parallel
    processes can sum both in one call. `beta2` is that of Adam and AdamW. With `spare`, weight
    decay applies to the parameters in `decayed` only. Raises ValueError if no parameter requires
    gradients.
    """

    def __init__(
        self,
        network: nn.Module,
        name: OptimizerName = "muon",
        weight_decay: float = 0.0,
        extra: int = 0,
        *,
        beta2: float = BETAS[1],
        spare: bool = True,
        muon_steps: int = MUON_STEPS,
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
        # without weight decay all are treated alike, as one group, which takes fewer operations
        kept = {n for n, _ in rest} - decayed(network) if spare and weight_decay else set[str]()
        spared = [(n, p) for n, p in rest if n in kept]
        rest = [(n, p) for n, p in rest if n not in kept]
        groups = first, rest, spared
        named = [pair for group in groups for pair in group]
        self.names = [n for n, _ in named]
        self._ordered = [p for _, p in named]
        total = sum(p.numel() for p in self._ordered)
        self.weights = torch.empty(total, device=self._ordered[0].device)
        self.buffer = torch.zeros(total + extra, device=self.weights.device)
        self.grad, self.extra = self.buffer[:total], self.buffer[total:]
        with torch.no_grad():
            for p, weights, grad in zip(
                self._ordered, self.views(self.weights), self.views(self.grad), strict=True
            ):
                weights.copy_(p)
                p.data, p.grad = weights, grad
        self._rules: dict[str, Rule] = {}
        other: OptimizerName = "adamw" if name == "muon" else name
        kinds: tuple[OptimizerName, ...] = (name, other, other)
        start = 0
        for kind, key, group in zip(kinds, (name, other, SPARED), groups, strict=True):
            if group:
                where = slice(start, start + sum(p.numel() for _, p in group))
                start, shapes = where.stop, [_shape(p) for _, p in group]
                decay = 0.0 if key == SPARED else weight_decay
                rule = OPTIMIZERS[kind](self.weights[where], self.grad[where], shapes, decay)
                if isinstance(rule, Muon):
                    rule.steps = muon_steps
                if isinstance(rule, AdamW):
                    rule.beta2 = beta2
                self._rules[key] = rule

    @property
    def state(self) -> dict[str, torch.Tensor]:
        """Name -> state tensor of the optimiser. They are saved in checkpoints; to resume, copy the
        saved values into them."""
        return {
            f"{kind}.{name}": value
            for kind, rule in self._rules.items()
            for name, value in rule.state.items()
        }

    def views(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """Cuts a flat buffer of the size of `weights` into tensors shaped like the parameters, in
        the order of `parameters`."""
        return list(_views(flat, self._ordered))

    def parameters(self) -> list[nn.Parameter]:
        """The parameters in the order of `views`."""
        return self._ordered

    @torch.no_grad()
    def clip(self, limit: float) -> torch.Tensor:
        """Scales the gradient in place so that its norm is at most `limit`; 0 does not scale.
        Returns the norm before scaling, a scalar tensor."""
        norm: torch.Tensor = self.grad.norm()
        if limit:
            self.grad.mul_((limit / (norm + 1e-6)).clamp(max=1.0))
        return norm

    @torch.no_grad()
    def step(self, step: int, learning_rate: float, muon_learning_rate: float) -> None:
        """Makes one update; `step` is 1 for the first. Matrices that Muon trains have their own
        learning rate. The gradient is not reset; call `zero` for that."""
        for kind, rule in self._rules.items():
            rule.step(step, muon_learning_rate if kind == "muon" else learning_rate)

    def zero(self) -> None:
        """Sets the gradient and the extra numbers to zero."""
        self.buffer.zero_()


def _shape(p: nn.Parameter) -> Shape:
    return (p.shape[0], p.numel() // p.shape[0]) if p.ndim >= 2 else (0, p.numel())


def _views(flat: torch.Tensor, parameters: list[nn.Parameter]) -> Iterator[torch.Tensor]:
    start = 0
    for p in parameters:
        part = flat[start : start + p.numel()]
        if p.ndim == 4:  # convolutions are fastest with channels-last weights
            o, i, h, w = p.shape
            yield part.view(o, h, w, i).permute(0, 3, 1, 2)
        else:
            yield part.view(p.shape)
        start += p.numel()


class LossScale:
    """Dynamic loss scaling for fp16 (Micikevicius et al. 2018, section 3.2). The loss is multiplied
    by `value`, so that small gradients do not underflow. An overflow of the gradient halves
    `value`; GROW_AFTER steps in a row without one double it."""

    FIRST, LARGEST, GROW_AFTER = 2.0**16, 2.0**24, 2000

    def __init__(self) -> None:
        self.value, self.good = self.FIRST, 0

    @torch.no_grad()
    def unscale(self, grad: torch.Tensor) -> bool:
        """Divides the gradient by the scale, in place, and adapts the scale. Returns False if the
        gradient has overflowed and the step must be skipped."""
        grad.mul_(1 / self.value)
        finite = bool(torch.isfinite(grad).all())
        self.good = self.good + 1 if finite else 0
        if not finite:
            self.value = max(self.value / 2, 1.0)
        elif self.good == self.GROW_AFTER:
            self.value, self.good = min(2 * self.value, self.LARGEST), 0
        return finite


def learning_rate_factor(progress: float, warmup: float = 0.05, schedule: str = "cosine") -> float:
    """Factor of the peak learning rate when the share `progress` (0 to 1) of the training is done:
    linear warm-up over the share `warmup`, then constant, or a cosine to 0.005."""
    if progress < warmup:
        return max(progress, 1e-3) / warmup
    return DECAYS[schedule](min((progress - warmup) / (1 - warmup), 1.0))


DECAYS: dict[str, Callable[[float], float]] = {
    "constant": lambda share: 1.0,
    "cosine": lambda share: 0.005 + 0.995 * 0.5 * (1 + math.cos(math.pi * share)),
}
"""Learning rate schedule -> factor of the peak rate, by the share of the time after the warm-up."""
