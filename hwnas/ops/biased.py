"""Convolutions with bias: before a BatchNorm, as some published nets have them, and without any BatchNorm at all."""

from __future__ import annotations

from collections.abc import Sequence

from hwnas.errors import GenotypeError
from hwnas.ops.params import ACTIVATION, CHANNELS, DILATION, STRIDE, convolved, integer, whole
from hwnas.ops.rules import conv_macs, conv_weights
from hwnas.ops.spec import OPS, ModuleCall, OpSpec, Rule
from hwnas.shapes import Params, Shape

RULES: dict[str, Rule] = {
    "channels": CHANNELS,
    "stride": STRIDE,
    "dilation": DILATION,
    "groups": whole(1),
    "activation": ACTIVATION,
}


def _conv(name: str, kernel: int, *, normalised: bool) -> OpSpec:
    def infer_shape(shapes: Sequence[Shape], params: Params) -> Shape:
        channels, groups = integer(params, "channels"), integer(params, "groups")
        if shapes[0][0] % groups or channels % groups:
            raise GenotypeError(f"{groups} groups divide not both {shapes[0][0]} input and {channels} output channels")
        return convolved(shapes[0], channels, kernel, integer(params, "stride"), integer(params, "dilation"))

    def module(shapes: Sequence[Shape], params: Params) -> ModuleCall:
        kwargs = {"in_channels": shapes[0][0], "kernel": kernel, **params}
        return ModuleCall("ConvBNAct", {**kwargs, "bias": True}) if normalised else ModuleCall("ConvAct", kwargs)

    def weights(shapes: Sequence[Shape], params: Params) -> int:
        channels = integer(params, "channels")
        with_norm = conv_weights(shapes[0][0], channels, kernel, integer(params, "groups"))
        return with_norm + channels if normalised else with_norm - 2 * channels + (channels if params["bias"] else 0)

    return OpSpec(
        name=name,
        family="conv" if kernel > 1 else "pointwise",
        arity=1,
        defaults={
            "channels": None,
            "stride": 1,
            "dilation": 1,
            "groups": 1,
            "activation": "relu" if normalised else "none",
            **({} if normalised else {"bias": True}),
        },
        rules=RULES,
        infer_shape=infer_shape,
        module=module,
        macs=lambda shapes, params: conv_macs(
            infer_shape(shapes, params), shapes[0][0], kernel, integer(params, "groups")
        ),
        weights=weights,
        fan_in=("conv.weight",),
    )


for _kernel in (1, 3):
    for _name, _normalised in ((f"biased_conv_{_kernel}x{_kernel}", True), (f"bare_conv_{_kernel}x{_kernel}", False)):
        OPS.register(_name, _conv(_name, _kernel, normalised=_normalised))
