"""SqueezeNAS's notation (arXiv 1908.01748): a list of ops, one for each block of one of its three macro-architectures.

The ops are called ``inverse_residual_k3_e6_g1``, perhaps with ``_d2`` for a dilated kernel, and ``residual_skipish``:
nothing where the shape stays, else a ReLU and a 1x1 convolution, factorized where it strides. The nets segment:
``small`` and ``large`` with LR-ASPP (its gate pools windows of 49 pixels), ``xlarge`` with a depthwise ASPP and
low-level features.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.shapes import Value
from hwnas.zoo.notation.chains import Block, chain_genotype, chain_of
from hwnas.zoo.notation.literals import read_literals
from hwnas.zoo.notation.registry import NOTATIONS, Notation

_OP = re.compile(r"inverse_residual_k(?P<kernel>[35])_e(?P<expansion>[136])_g(?P<groups>[12])(?P<dilated>_d2)?")


@dataclass(frozen=True)
class Macro:
    """The fixed parts: channels of the stem; (channels, repeats, stride) of each stage; of the last 1x1 convolution
    (0: none) and inside the head; whether that is the depthwise ASPP."""

    stem: int
    stages: tuple[tuple[int, int, int], ...]
    last: int
    middle: int
    aspp: bool = False


SMALL = ((16, 4, 2), (24, 4, 2), (40, 4, 2), (48, 4, 1), (96, 4, 1))
LARGE = ((16, 1, 1), (24, 4, 2), (32, 4, 2), (64, 4, 2), (96, 4, 1), (160, 4, 1), (160, 1, 1))
XLARGE = ((24, 1, 1), (32, 4, 2), (48, 4, 2), (96, 4, 2), (144, 4, 1), (240, 4, 1), (320, 1, 1))
MACROS = {
    "small": Macro(16, SMALL, last=256, middle=128),
    "large": Macro(16, LARGE, last=0, middle=128),
    "xlarge": Macro(48, XLARGE, last=0, middle=160, aspp=True),
}


def squeezenas_genotype(ops: Sequence[object], macro_name: str, name: str) -> Genotype:
    """The genotype of a list of ops in the macro-architecture ``small``, ``large`` or ``xlarge``."""
    macro = MACROS[macro_name]
    wanted = sum(repeats for _, repeats, _ in macro.stages)
    if isinstance(ops, str) or len(ops) != wanted:
        raise GenotypeError(f"{name}: SqueezeNAS's {macro_name} net has {wanted} ops, not {len(ops)}")
    stem = Block("conv_3x3", macro.stem, 2, {})
    tail = Block("conv_1x1", macro.last, 1, {}) if macro.last else None
    decoder = _aspp(macro.middle) if macro.aspp else _lraspp(macro.middle)
    return chain_genotype(name, stem, _blocks(list(ops), macro, name), tail, {"head": "cell"}, decoder)


def _blocks(ops: list[object], macro: Macro, name: str) -> Iterator[Block]:
    inputs, place = macro.stem, 0
    for channels, repeats, first_stride in macro.stages:
        for index in range(repeats):
            stride = first_stride if index == 0 else 1
            yield from _op(str(ops[place]), inputs, channels, stride, f"{name}: op {place}", new_stage=index == 0)
            inputs, place = channels, place + 1


def _op(text: str, inputs: int, channels: int, stride: int, where: str, *, new_stage: bool) -> Iterator[Block]:
    text = text.removeprefix("Ops.")
    match = _OP.fullmatch(text)
    if match:
        params: dict[str, Value] = {"activation": "relu", "always_expand": True, "expansion": int(match["expansion"])}
        if match["groups"] == "2":
            params |= {"expand_groups": 2, "project_groups": 2}
        if match["dilated"]:
            params["dilation"] = 2
        yield Block(f"inverted_residual_{match['kernel']}x{match['kernel']}", channels, stride, params, new_stage)
    elif text != "residual_skipish":
        raise GenotypeError(
            f"{where} is {text!r}", "known are inverse_residual_k3_e6_g1 and the like, residual_skipish"
        )
    elif stride == 1 and inputs == channels:
        yield Block("skip_connect", channels, 1, {}, new_stage)
    elif stride == 1:
        yield Block("nor_conv_1x1", channels, 1, {}, new_stage)
    else:
        yield Block("factorized_reduce", channels, stride, {"relu": "first"}, new_stage)


def _lraspp(middle: int) -> Cell:
    """As SqueezeNAS builds it: the gate has a bias, and the classifiers stand at stride 8."""
    nodes = [
        Node("value", "conv_1x1", ("s16",), {"channels": middle}),
        Node("pool", "window_pool", ("s16",), {"kernel": 49, "row_stride": 16, "column_stride": 20}),
        Node("gate", "bare_conv_1x1", ("pool",), {"channels": middle, "activation": "sigmoid"}),
        Node("gate_up", "resize_like", ("gate", "s16")),
        Node("gated", "mul", ("value", "gate_up")),
        Node("up", "resize_like", ("gated", "s8")),
        Node("coarse", "seg_head", ("up",)),
        Node("fine", "seg_head", ("s8",)),
        Node("logits", "add", ("coarse", "fine")),
    ]
    return Cell.of(["s8", "s16"], nodes, "logits", where="decoder")


def _aspp(middle: int) -> Cell:
    nodes = [Node("branch0", "conv_1x1", ("s16",), {"channels": middle})]
    for index, rate in enumerate((6, 12, 18), start=1):
        params = {"channels": middle, "groups": middle, "dilation": rate}
        nodes.append(Node(f"branch{index}", "conv_3x3", ("s16",), params))
    nodes += [
        Node("mean", "global_avg_pool", ("s16",)),
        Node("mean_up", "resize_like", ("mean", "s16")),
        Node("joined", "concat", ("branch0", "branch1", "branch2", "branch3", "mean_up")),
        Node("context", "conv_1x1", ("joined",), {"channels": middle}),
        Node("up", "resize_like", ("context", "s4")),
        Node("low", "bare_conv_1x1", ("s4",), {"channels": XLARGE[1][0]}),
        Node("features", "concat", ("up", "low")),
        Node("refine", "dw_conv_3x3", ("features",)),
        Node("logits", "seg_head", ("refine",)),
    ]
    return Cell.of(["s4", "s16"], nodes, "logits", where="decoder")


def read_squeezenas(text: str, name: str, macro_name: str) -> Genotype:
    """The genotype of a list's text: ``["residual_skipish", …]`` or the authors' ``[Ops.residual_skipish, …]``."""
    found = read_literals(re.sub(r"(?<![\w\"'])Ops\.(\w+)", r'"\1"', text))
    ops = next(iter(found.values()), None)
    if len(found) != 1 or not isinstance(ops, list):
        raise GenotypeError("SqueezeNAS's notation is one list of ops")
    return squeezenas_genotype(ops, macro_name, name)


def write_squeezenas(genotype: Genotype, macro_name: str) -> str:
    """The list of a genotype's ops, as JSON; GenotypeError for what is not of this macro-architecture."""
    ops = [_op_text(block, genotype.name) for block in chain_of(genotype)[1]]
    again = squeezenas_genotype(ops, macro_name, genotype.name)
    if again != genotype:
        raise GenotypeError(f"{genotype.name} is not SqueezeNAS's {macro_name} net: only its ops can be told")
    return json.dumps(ops, indent=2) + "\n"


def _op_text(block: Block, name: str) -> str:
    if block.op in ("skip_connect", "nor_conv_1x1", "factorized_reduce"):
        return "residual_skipish"
    match = re.fullmatch(r"inverted_residual_([357])x[357]", block.op)
    if not match:
        raise GenotypeError(f"{name}: SqueezeNAS's notation has no {block.op}")
    groups, dilated = block.params.get("expand_groups", 1), block.params.get("dilation", 1) != 1
    return f"inverse_residual_k{match[1]}_e{block.params.get('expansion')}_g{groups}{'_d2' if dilated else ''}"


for _name in MACROS:
    NOTATIONS.register(
        f"squeezenas-{_name}",
        Notation(
            partial(read_squeezenas, macro_name=_name), partial(write_squeezenas, macro_name=_name), (1024, 2048), 19
        ),
    )
