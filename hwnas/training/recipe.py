"""A recipe: how a network is trained. Facts only; the files beside this one act on them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hwnas.errors import HwnasError
from hwnas.shapes import Value

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("poly", "cosine", "constant")
LOSSES = ("ce", "ohem", "lovasz", "dice")
BALANCES = ("none", "median", "enet")
PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained. Every field is checked; a bad one is an HwnasError that names it."""

    optimizer: Literal["sgd", "adamw"] = "adamw"
    lr: float = 1e-2
    """Peak learning rate (see schedule.py)."""
    weight_decay: float = 0.01
    """On convolution kernels only, not on BatchNorm and biases."""
    momentum: float = 0.9
    """Of SGD (with Nesterov)."""
    clip_norm: float = 5.0
    """Largest norm of the whole gradient; 0 turns clipping off."""
    schedule: Literal["poly", "cosine", "constant"] = "poly"
    warmup: float = 0.02
    power: float = 0.9
    """Of ``poly``; the other schedules have none."""
    batch: int = 8
    scale: tuple[float, float] = (0.5, 1.25)
    """Random zoom of the data's size, before the crop."""
    crop: float = 0.5
    """Height and width of the crop as a fraction of the data's size."""
    full_size: float = 0.0
    """The last fraction of the budget in which whole images are seen instead of crops."""
    loss: str = "ce"
    """``ce``, ``ohem``, ``lovasz``, ``dice``, or a sum of them: ``ce+lovasz``."""
    ohem_threshold: float = 0.7
    """Of ``ohem``: pixels whose class has at least this probability are easy, and left out."""
    ohem_kept: float = 1 / 16
    """Of ``ohem``: the part of the pixels that is kept at least, the hardest first."""
    balance: Literal["none", "median", "enet"] = "none"
    """Class weights from pixel frequencies, in ``ce`` and ``ohem``."""
    label_smoothing: float = 0.0
    """In ``ce`` and ``ohem``."""
    loss_stride: int = 2
    """Every how-many-th row and column of pixels the loss looks at; 2 takes a fifth off a CPU's step, and no mIoU."""
    auxiliary_weight: float = 0.4
    """Of the loss of each auxiliary output, as in NASNet and DARTS."""
    drop_path: float = 0.0
    """Probability in the end of dropping a branch of a cell; it rises linearly from 0 (see drop_path.py)."""
    distillation: float = 1.0
    """Weight of the divergence from a teacher's logits, where there is a teacher."""
    temperature: float = 1.0
    """Of distillation: what both logits are divided by."""
    ema: float = 0.0
    """Decay of the moving average of weights that is kept in the end; 0 keeps the last weights."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """What convolutions compute in; weights, moments and losses stay in fp32. ``fp16`` needs a GPU."""

    def __post_init__(self) -> None:
        for name, allowed in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("balance", BALANCES),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in allowed:
                raise HwnasError(
                    f"recipe: {name} cannot be {getattr(self, name)!r}", f"it can be: {', '.join(allowed)}"
                )
        _check_loss(self.loss)
        for name in ("lr", "temperature"):
            _check_range(self, name, above=0.0)
        _check_range(self, "batch", least=2)  # BatchNorm over a 1x1 map needs two images
        _check_range(self, "loss_stride", least=1)
        for name in ("weight_decay", "clip_norm", "power", "auxiliary_weight", "distillation"):
            _check_range(self, name, least=0.0)
        for name in ("momentum", "label_smoothing", "ema", "full_size", "warmup", "ohem_threshold", "ohem_kept"):
            _check_range(self, name, least=0.0, most=1.0)
        _check_range(self, "drop_path", least=0.0, most=0.95)
        _check_range(self, "crop", above=0.0, most=2.0)
        for name in ("batch", "loss_stride"):
            if not isinstance(getattr(self, name), int):
                raise HwnasError(f"recipe: {name} must be a whole number, not {getattr(self, name)!r}")
        if not _rising_pair(self.scale):
            raise HwnasError(f"recipe: scale must be two rising positive numbers, not {self.scale!r}")

    @property
    def losses(self) -> tuple[str, ...]:
        """The summands of ``loss``."""
        return tuple(self.loss.split("+"))

    def with_values(self, values: Mapping[str, Value]) -> Recipe:
        """This recipe with some fields replaced, for example those that a search decided."""
        known = {field.name for field in dataclasses.fields(self)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise HwnasError(f"recipe: there is no field {unknown[0]!r}", f"its fields are: {', '.join(sorted(known))}")
        changes: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """A JSON document; :meth:`with_values` reads it back (lists become tuples)."""
        return dataclasses.asdict(self)


def _check_loss(loss: object) -> None:
    names = loss.split("+") if isinstance(loss, str) else []
    if not names or len(set(names)) < len(names) or not set(names) <= set(LOSSES):
        raise HwnasError(
            f"recipe: loss cannot be {loss!r}", f"it can be: {', '.join(LOSSES)}, or a sum of them like ce+lovasz"
        )


def _rising_pair(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) != 2 or not all(isinstance(item, int | float) for item in value):
        return False
    return bool(0 < value[0] <= value[1] <= 8)


def _check_range(
    recipe: Recipe, name: str, *, least: float | None = None, above: float | None = None, most: float | None = None
) -> None:
    value = getattr(recipe, name)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or (least is not None and not value >= least)
        or (above is not None and not value > above)
        or (most is not None and not value <= most)
    ):
        bounds = [f"≥ {least}"] * (least is not None) + [f"> {above}"] * (above is not None)
        bounds += [f"≤ {most}"] * (most is not None)
        raise HwnasError(f"recipe: {name} must be a number {' and '.join(bounds)}, not {value!r}")
