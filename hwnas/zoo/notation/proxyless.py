"""ProxylessNAS's notation: the ``net.config`` of its ImageNet nets, a JSON document of layers and their numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.shapes import Params, Value
from hwnas.zoo.notation.chains import Block, chain_genotype, chain_of
from hwnas.zoo.notation.literals import read_literals
from hwnas.zoo.notation.registry import NOTATIONS, Notation

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


def read_proxyless(text: str, name: str) -> Genotype:
    """The genotype of a ``net.config``'s text."""
    return proxyless_genotype(read_literals(text), name)


def write_proxyless(genotype: Genotype) -> str:
    """The ``net.config`` of a genotype, as JSON; GenotypeError for what the notation cannot say."""
    stem, blocks, tail = chain_of(genotype)
    if genotype.params.get("head") != "classify" or stem.op != "conv_3x3" or (tail and tail.op != "conv_1x1"):
        raise GenotypeError(f"{genotype.name}: ProxylessNAS's notation is of classifiers with plain convolutions")
    rows, channels = [], stem.channels
    for block in blocks:
        rows.append(_row(block, channels, genotype.name))
        channels = block.channels
    features = tail.channels if tail else channels
    document = {
        "name": "ProxylessNASNets",
        "first_conv": _layer(stem, 3, 3),
        "blocks": rows,
        "feature_mix_layer": _layer(tail, 1, channels) if tail else None,
        "classifier": {
            "name": "LinearLayer",
            "in_features": features,
            "bias": bool(genotype.params.get("classifier_bias", True)),
        },
    }
    return json.dumps(document, indent=2) + "\n"


def _layer(block: Block, kernel: int, inputs: int) -> dict[str, object]:
    activation = block.params.get("activation", "relu")
    return {
        "name": "ConvLayer",
        "kernel_size": kernel,
        "stride": block.stride,
        "in_channels": inputs,
        "out_channels": block.channels,
        "use_bn": True,
        "act_func": None if activation == "none" else activation,
    }


def _row(block: Block, inputs: int, name: str) -> dict[str, object]:
    shortcut = {"name": "IdentityLayer", "in_channels": inputs, "out_channels": inputs}
    if block.op == "skip_connect":
        return {"mobile_inverted_conv": {"name": "ZeroLayer", "stride": 1}, "shortcut": shortcut}
    kernels = [kernel for kernel in KERNELS if block.op == f"inverted_residual_{kernel}x{kernel}"]
    if not kernels or set(block.params) != {"expansion"}:
        raise GenotypeError(f"{name}: ProxylessNAS's notation has no {block.op} with {dict(block.params)}")
    layer = {
        "name": "MBInvertedConvLayer",
        "in_channels": inputs,
        "out_channels": block.channels,
        "kernel_size": kernels[0],
        "stride": block.stride,
        "expand_ratio": block.params["expansion"],
    }
    keeps = block.stride == 1 and block.channels == inputs
    return {"mobile_inverted_conv": layer, "shortcut": shortcut if keeps else None}


NOTATIONS.register("proxyless", Notation(read_proxyless, write_proxyless, (224, 224), 1000))
