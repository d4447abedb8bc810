"""FBNet's notation (mobile_cv's ``arch_def``): stages of blocks ``["ir_k3", 24, 2, 1, {"expansion": 6}]``.

A block is its op, output channels, stride, repeats and dictionaries of further arguments. Read are the ops of FBNet
A, B and C: ``conv_k1``, ``conv_k3``, ``skip``, ``ir_k3``, ``ir_k5`` and both with ``_g2``. Convolutions have a bias
unless told otherwise (as the authors' code builds them), inverted residuals and skips do not. The authors' shorthands
are understood, too: ``e6`` for ``{"expansion": 6}``, ``use_bias`` for ``{"bias": True}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from hwnas.errors import GenotypeError
from hwnas.ir.genotype import Genotype
from hwnas.shapes import Value
from hwnas.zoo.notation.chains import Block, chain_genotype, chain_of
from hwnas.zoo.notation.literals import read_literals
from hwnas.zoo.notation.registry import NOTATIONS, Notation

CONVS = {"conv_k1": "conv_1x1", "conv_k3": "conv_3x3"}
RESIDUALS = {"ir_k3": (3, 1), "ir_k5": (5, 1), "ir_k3_g2": (3, 2), "ir_k5_g2": (5, 2)}


def fbnet_genotype(document: object, name: str) -> Genotype:
    """The genotype of an ``arch_def`` (or of its ``blocks``): an ImageNet classifier."""
    stages = document.get("blocks") if isinstance(document, Mapping) else document
    if not isinstance(stages, Sequence) or isinstance(stages, str) or len(stages) < 3:
        raise GenotypeError(f"{name}: FBNet's notation is a list of stages, each a list of blocks")
    blocks = [block for place, stage in enumerate(stages) for block in _stage(stage, f"{name}: stage {place}")]
    stem, *inner = blocks
    tail = inner.pop() if _is_conv(inner[-1], 1) else None
    if not _is_conv(stem, 3):
        raise GenotypeError(f"{name}: the first block must be conv_k3, not {stem.op}")
    return chain_genotype(name, stem, _linked(inner, stem.channels), tail, {"head": "classify"})


def _stage(stage: object, where: str) -> Iterator[Block]:
    if not isinstance(stage, Sequence) or isinstance(stage, str):
        raise GenotypeError(f"{where} is {stage!r}, not a list of blocks")
    for place, row in enumerate(stage):
        block, repeats = _block(row, f"{where}, block {place}", new_stage=place == 0)
        yield block
        for _ in range(repeats - 1):
            yield Block(block.op, block.channels, 1, block.params)


def _block(row: object, where: str, *, new_stage: bool) -> tuple[Block, int]:
    """A block and its repeats. A ``skip`` stays one, for it depends on the block before it what it is."""
    if not isinstance(row, Sequence) or isinstance(row, str) or len(row) < 4:
        raise GenotypeError(f"{where} is {row!r}", "a block is [op, channels, stride, repeats, {arguments}…]")
    op, channels, stride, repeats, *extra = row
    numbers = (channels, stride, repeats)
    if not all(isinstance(number, int) and not isinstance(number, bool) and number > 0 for number in numbers):
        raise GenotypeError(f"{where}: channels, stride and repeats must be positive whole numbers, not {numbers}")
    arguments: dict[str, Value] = {}
    for item in extra:
        if not isinstance(item, Mapping):
            raise GenotypeError(f"{where}: {item!r} is not a dictionary of arguments")
        arguments |= item
    if op == "skip":
        return Block("skip", channels, stride, {}, new_stage), repeats
    params = _conv_params(op, arguments, where) if op in CONVS else _residual_params(op, arguments, where)
    return Block(str(params.pop("op")), channels, stride, params, new_stage), repeats


def _conv_params(op: str, arguments: Mapping[str, Value], where: str) -> dict[str, Value]:
    _only(arguments, {"bias"}, where)
    return {"op": ("biased_" if arguments.get("bias", True) else "") + CONVS[op]}


def _residual_params(op: object, arguments: Mapping[str, Value], where: str) -> dict[str, Value]:
    if op not in RESIDUALS:
        known = ", ".join(("skip", *CONVS, *RESIDUALS))
        raise GenotypeError(f"{where}: unknown op {op!r}", f"FBNet's ops are: {known}")
    _only(arguments, {"bias", "expansion", "pwl_groups"}, where)
    kernel, groups = RESIDUALS[str(op)]
    params: dict[str, Value] = {
        "op": f"inverted_residual_{kernel}x{kernel}",
        "activation": "relu",
        "expansion": arguments.get("expansion", 6),
    }
    if arguments.get("bias", False):
        params["bias"] = True
    if groups > 1:
        params |= {"expand_groups": groups, "shuffle": True}
    if arguments.get("pwl_groups", 1) != 1:
        params["project_groups"] = arguments["pwl_groups"]
    return params


def _only(arguments: Mapping[str, Value], known: set[str], where: str) -> None:
    unknown = sorted(set(map(str, arguments)) - known)
    if unknown:
        raise GenotypeError(f"{where}: unknown argument {unknown[0]!r}", f"known are: {', '.join(sorted(known))}")


def _is_conv(block: Block, kernel: int) -> bool:
    return block.op.endswith(f"conv_{kernel}x{kernel}")


def _linked(blocks: Sequence[Block], channels: int) -> Iterator[Block]:
    """Skips as what the authors' code builds: nothing where the shape stays, else a 1x1 convolution."""
    for block in blocks:
        if block.op == "skip":
            wire = block.stride == 1 and block.channels == channels
            op = "skip_connect" if wire else "conv_1x1"
            yield Block(op, block.channels, block.stride, {}, block.new_stage)
        else:
            yield block
        channels = block.channels


def read_fbnet(text: str, name: str) -> Genotype:
    """The genotype of an ``arch_def``'s text, JSON or Python."""
    text = re.sub(r"(?<![\w\"'])e(\d+)(?![\w\"'])", r'{"expansion": \1}', text)
    found = read_literals(re.sub(r"(?<![\w\"'])use_bias(?![\w\"'])", '{"bias": True}', text))
    return fbnet_genotype(found if "blocks" in found else next(iter(found.values()), None), name)


def write_fbnet(genotype: Genotype) -> str:
    """The ``arch_def`` of a genotype, as JSON; GenotypeError for what the notation cannot say."""
    stem, blocks, tail = chain_of(genotype)
    if genotype.params.get("head") != "classify":
        raise GenotypeError(
            f"{genotype.name}: FBNet's notation is of classifiers, not of head {genotype.params.get('head')!r}"
        )
    stages: list[list[object]] = [[_row(stem, genotype.name)]]
    for block in blocks:
        stages += [[]] if block.new_stage else []
        stages[-1].append(_row(block, genotype.name))
    stages += [[_row(tail, genotype.name)]] if tail else []
    lines = ",\n".join("    " + json.dumps(stage) for stage in stages)
    return f'{{\n  "blocks": [\n{lines}\n  ]\n}}\n'


def _row(block: Block, name: str) -> list[object]:
    row = [block.channels, block.stride, 1]
    params = dict(block.params)
    if block.op == "skip_connect" or (block.op == "conv_1x1" and not params and block.new_stage):
        return ["skip", *row]
    for op, ours in CONVS.items():
        if block.op in (ours, f"biased_{ours}") and not params:
            return [op, *row] if block.op != ours else [op, *row, {"bias": False}]
    for op, (kernel, groups) in RESIDUALS.items():
        if block.op == f"inverted_residual_{kernel}x{kernel}" and params.get("expand_groups", 1) == groups:
            extra = {"expansion": params.pop("expansion", 6)}
            extra |= {"bias": True} if params.pop("bias", False) else {}
            extra |= {"pwl_groups": params.pop("project_groups")} if "project_groups" in params else {}
            expected = {"activation": "relu"} | ({"expand_groups": groups, "shuffle": True} if groups > 1 else {})
            if params == expected:
                return [op, *row, extra]
    raise GenotypeError(f"{name}: FBNet's notation has no {block.op} with {params}")


NOTATIONS.register("fbnet", Notation(read_fbnet, write_fbnet, (224, 224), 1000))
