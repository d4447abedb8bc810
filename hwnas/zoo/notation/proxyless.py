"""ProxylessNAS's notation: the ``net.config`` of its ImageNet nets, a JSON document of layers and their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.shapes import Params, Value
from hwnas.zoo.notation.chains import Block, chain_genotype

KERNELS = (3, 5, 7)


def proxyless_genotype(document: object, name: str) -> Genotype:
    """The genotype of a ``net.config``: an ImageNet classifier."""
    wanted = ("first_conv", "blocks", "feature_mix_layer", "classifier")
    if not isinstance(document, Mapping) or not all(key in document for key in wanted):
        raise GenotypeError(f"{name}: ProxylessNAS's notation is a JSON object with {', '.join(wanted)}")
    stem = _conv(document["first_conv"], 3, f"{name}: first_conv")
    mix = document["feature_mix_layer"]
    tail = _conv(mix, 1, f"{name}: feature_mix_layer") if mix is not None else None
    bias = bool(document["classifier"].get("bias", True))
    params: dict[str, Value] = {"head": "classify"}
    if not bias:
        params["classifier_bias"] = False
    return chain_genotype(name, stem, _blocks(document["blocks"], stem.channels, name), tail, params)


def _conv(layer: Mapping[str, Value], kernel: int, where: str) -> Block:
    if layer.get("kernel_size") != kernel:
        raise GenotypeError(f"{where}: its kernel must be {kernel}, not {layer.get('kernel_size')!r}")
    params: Params = {"activation": str(layer.get("act_func") or "none")}
    return Block(f"conv_{kernel}x{kernel}", _number(layer, "out_channels", where), int(str(layer["stride"])), params)


def _blocks(rows: object, channels: int, name: str) -> Iterator[Block]:
    if not isinstance(rows, Sequence):
        raise GenotypeError(f"{name}: blocks must be a list, not {rows!r}")
    for place, row in enumerate(rows):
        where = f"{name}: block {place}"
        layer = row.get("mobile_inverted_conv") if isinstance(row, Mapping) else None
        if not isinstance(layer, Mapping):
            raise GenotypeError(f"{where} has no mobile_inverted_conv")
        if layer.get("name") == "ZeroLayer":
            yield Block("skip_connect", channels, 1, {})
            continue
        kernel, stride = _number(layer, "kernel_size", where), _number(layer, "stride", where)
        width, expansion = _number(layer, "out_channels", where), _number(layer, "expand_ratio", where)
        if layer.get("name") != "MBInvertedConvLayer" or kernel not in KERNELS or stride not in (1, 2):
            raise GenotypeError(f"{where}: {layer.get('name')!r} with kernel {kernel} and stride {stride} is not known")
        if (row.get("shortcut") is not None) != (stride == 1 and width == channels):
            raise GenotypeError(f"{where}: a shortcut belongs to blocks that keep the shape, and to no others")
        yield Block(f"inverted_residual_{kernel}x{kernel}", width, stride, {"expansion": expansion})
        channels = width


def _number(layer: Mapping[str, Value], key: str, where: str) -> int:
    value = layer.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise GenotypeError(f"{where}: {key} must be a positive whole number, not {value!r}")
    return value
