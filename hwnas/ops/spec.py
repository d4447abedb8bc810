"""What an op is: a named building block with a shape rule, cost rules and a PyTorch module. Imports no torch.

Ops are fused blocks (convolution + BatchNorm + ReLU is one), since engines fuse. Units: ``macs`` counts one multiply in
a convolution or linear layer and nothing else; ``weights`` counts trainable parameters (BatchNorm's weight and bias
included, running statistics not).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hwnas.errors import GenotypeError
from hwnas.registry import Registry
from hwnas.shapes import Params, Shape, Value

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModuleCall:
    """How an op's PyTorch module is made: a class of ``hwnas.ops.modules`` and its keyword arguments.

    The compiler calls it; the source writer prints it. So the module that is trained and the module that is written out
    as code are the same.
    """

    class_name: str
    kwargs: Mapping[str, Value]

    def build(self) -> nn.Module:
        """Instantiate the module (imports torch)."""
        modules: Any = importlib.import_module("hwnas.ops.modules")
        module: nn.Module = getattr(modules, self.class_name)(**self.kwargs)
        return module


@dataclass(frozen=True)
class OpSpec:
    """One op of the vocabulary.

    ``arity`` is the number of inputs (``None``: one or more); ``defaults`` names every parameter with its default
    (``None``: required). All rules get the input shapes and the complete parameters.
    """

    name: str
    family: str
    arity: int | None
    defaults: Mapping[str, Value | None]
    infer_shape: Callable[[Sequence[Shape], Params], Shape]
    module: Callable[[Sequence[Shape], Params], ModuleCall]
    macs: Callable[[Sequence[Shape], Params], int] = field(default=lambda shapes, params: 0)
    weights: Callable[[Sequence[Shape], Params], int] = field(default=lambda shapes, params: 0)
    commutative: bool = False
    per_channel: bool = False
    """Channel i of the output depends on channel i of the inputs only (resize, pooling, identity, add)."""

    def complete(self, params: Params) -> dict[str, Value]:
        """``params`` with defaults filled in, sorted; unknown, missing or ill-typed ones are a GenotypeError."""
        unknown = sorted(set(params) - set(self.defaults))
        if unknown:
            known = ", ".join(self.defaults) or "none"
            raise GenotypeError(f"op {self.name} has no parameter {unknown[0]!r}", f"its parameters are: {known}")
        full: dict[str, Value] = {}
        for name in sorted(self.defaults):
            value = params.get(name, self.defaults[name])
            if value is None:
                raise GenotypeError(f"op {self.name} needs parameter {name!r}")
            full[name] = value
        return full


OPS: Registry[OpSpec] = Registry("op", "hwnas.ops")
