"""AdamW, Adam and SGD written out, as they were before torch's took their place: what the tests and
the bench hold torch's against."""

from __future__ import annotations

import math

import torch

from dreamlab.diffusion.optim import BETAS, EPS, SGD_MOMENTUM, Shape


class WrittenAdamW:
    """Loshchilov & Hutter 2019, Algorithm 2, with the bias corrections folded into the step."""

    decoupled = True

    def __init__(
        self, weights: torch.Tensor, grad: torch.Tensor, shapes: list[Shape], weight_decay: float
    ):
        self.weights, self.grad, self.weight_decay = weights, grad, weight_decay
        self.state = {"first": torch.zeros_like(weights), "second": torch.zeros_like(weights)}

    def step(self, step: int, learning_rate: float) -> None:
        grad, first, second = self.grad, self.state["first"], self.state["second"]
        if self.weight_decay and self.decoupled:
            self.weights.mul_(1 - learning_rate * self.weight_decay)
        elif self.weight_decay:
            grad.add_(self.weights, alpha=self.weight_decay)
        first.lerp_(grad, 1 - BETAS[0])
        second.mul_(BETAS[1]).addcmul_(grad, grad, value=1 - BETAS[1])
        scale = math.sqrt(1 - BETAS[1] ** step)
        self.weights.addcdiv_(
            first,
            second.sqrt().add_(EPS * scale),
            value=-learning_rate * scale / (1 - BETAS[0] ** step),
        )


class WrittenAdam(WrittenAdamW):
    """Kingma & Ba 2015; weight decay is L2, part of the gradient."""

    decoupled = False


class WrittenSGD:
    """Momentum 0.9, not damped; weight decay is L2, part of the gradient."""

    def __init__(
        self, weights: torch.Tensor, grad: torch.Tensor, shapes: list[Shape], weight_decay: float
    ):
        self.weights, self.grad, self.weight_decay = weights, grad, weight_decay
        self.state = {"momentum": torch.zeros_like(weights)}

    def step(self, step: int, learning_rate: float) -> None:
        if self.weight_decay:
            self.grad.add_(self.weights, alpha=self.weight_decay)
        momentum = self.state["momentum"].mul_(SGD_MOMENTUM).add_(self.grad)
        self.weights.add_(momentum, alpha=-learning_rate)


WRITTEN = {"adamw": WrittenAdamW, "adam": WrittenAdam, "sgd": WrittenSGD}
