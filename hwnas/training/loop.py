"""The one training loop. What a step does (a network's, a supernet's, a gradient method's) is given to it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch.amp import GradScaler
from torch.optim import Optimizer

from hwnas.errors import HwnasError
from hwnas.progress import Progress, Silent
from hwnas.training.logs import Log
from hwnas.training.schedule import Budget, Schedule, Spent

Batch = TypeVar("Batch")

Step = Callable[[Batch], Mapping[str, float]]
"""Computes the loss of a batch, leaves the gradient in the parameters, and returns figures; ``"loss"`` is one."""


class DivergedError(HwnasError):
    """The loss or the gradient is no longer finite."""


@dataclass(frozen=True)
class Fitted:
    """What a training did. ``losses`` are (step, mean loss since the previous entry)."""

    spent: Spent
    losses: tuple[tuple[int, float], ...]

    @property
    def last_loss(self) -> float:
        return self.losses[-1][1] if self.losses else math.nan


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What else happens: before each step (with the fraction of the budget that is spent), after it (a moving
    average), and every ``checkpoint_seconds`` and at the end.

    ``checkpoint`` takes the state and returns what writes it. That is called when the next step has found a finite
    loss: a state that would diverge does not replace a good one.
    """

    before_step: Callable[[Spent, float], None] | None = None
    after_step: Callable[[Spent], None] | None = None
    checkpoint: Callable[[Spent], Callable[[], None]] | None = None
    checkpoint_seconds: float = 30.0


def fit(
    step: Step[Batch],
    batches: Iterable[Batch],
    optimizer: Optimizer,
    *,
    budget: Budget,
    until: float = 1.0,
    schedule: Schedule | None = None,
    clip_norm: float = 0.0,
    scaler: GradScaler | None = None,
    spent: Spent | None = None,
    hooks: Hooks | None = None,
    log: Log | None = None,
    progress: Progress | None = None,
    label: str = "training",
    clock: Callable[[], float] = time.monotonic,
) -> Fitted:
    """Take steps on ``batches`` until the budget is spent (or they end), the learning rate falling to 0 with it.

    ``until`` ends this call at that fraction of the budget; a later call goes on. ``spent`` is what earlier calls, or
    an earlier life of this training, used of the same budget. ``scaler`` is fp16's: where it finds that gradients have
    overflown, it leaves out the update. Raises DivergedError when the loss or the gradient stops being finite; the
    parameters are then those before that step.
    """
    schedule, hooks, log = schedule or Schedule(), hooks or Hooks(), log or Log()
    spent = spent or Spent()
    start = last_checkpoint = clock() - spent.seconds
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    write_state = _written_already
    with (progress or Silent()).task(label, 1.0) as task:
        source = iter(batches)
        while (fraction := budget.fraction(spent)) < until:
            batch = next(source, None)
            if batch is None:
                break
            if hooks.before_step:
                hooks.before_step(spent, fraction)
            lr = _set_lr(optimizer, schedule.factor(fraction))
            optimizer.zero_grad(set_to_none=True)
            figures = step(batch)
            if scaler:
                scaler.unscale_(optimizer)
            norm = _clip(parameters, clip_norm)
            if not (math.isfinite(figures["loss"]) and (math.isfinite(norm) or scaler)):
                raise DivergedError(
                    f"{label} diverged at step {spent.steps + 1}: loss {figures['loss']:.4g}, gradient norm {norm:.4g}",
                    f"lower the learning rate (it was {lr:.3g})",
                )
            write_state()
            write_state = _written_already
            _update(optimizer, scaler)
            spent = Spent(spent.steps + 1, clock() - start)
            log.add(spent, figures, lr=lr)
            if hooks.after_step:
                hooks.after_step(spent)
            if hooks.checkpoint and clock() - last_checkpoint >= hooks.checkpoint_seconds:
                write_state = hooks.checkpoint(spent)
                last_checkpoint = clock()
            task.update(budget.fraction(spent), f"step {spent.steps}, loss {figures['loss']:.3f}")
    log.flush(spent, lr=float(optimizer.param_groups[0]["lr"]))
    if hooks.checkpoint:
        hooks.checkpoint(spent)()
    return Fitted(spent, tuple(log.losses))


def _written_already() -> None:
    """There is no state to be written."""


def _set_lr(optimizer: Optimizer, factor: float) -> float:
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
    lr: float = optimizer.param_groups[0]["lr"]
    return lr


def _update(optimizer: Optimizer, scaler: GradScaler | None) -> None:
    if scaler is None:
        optimizer.step()
        return
    scaler.step(optimizer)
    scaler.update()


def _clip(parameters: list[Any], clip_norm: float) -> float:
    """The gradient's norm before clipping; 0 does not clip, and the norm still tells whether it is finite."""
    return float(torch.nn.utils.clip_grad_norm_(parameters, clip_norm or math.inf, foreach=True))
