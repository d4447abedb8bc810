"""FasterSeg's network (arXiv 1912.10917): branches of different depth of stride, merged at stride 8 by a light head.

Cells: ``branch1``, ``branch2``, …, each a chain of layers: its nodes are ``layer0``, ``layer1``, …, each on the one
before and the first on the cell's input, with one of the ops ``skip_connect``, ``conv_3x3``, ``double_conv_3x3``,
``zoomed_conv_3x3`` and ``zoomed_double_conv_3x3``. Parameters:

- ``paths``: for each branch the scale s of each layer's input (stride 8·2^s): from 0 on, the same or one more than
  before. A layer strides where the next one's scale is one more; a skip that strides is a factorized reduction, one
  between two widths a 1x1 convolution (as in the authors' supernet).
- ``widths``: for each branch the width behind each layer but the last, as a ratio: there are ``filters`` · 2^(s+3) ·
  width channels. Behind the last layer, and in the head, the ratio is ``head_width``; in the stem ``stem_width``.
- ``interpolation``: of zoomed ops, ``bilinear`` as trained or ``nearest`` as the authors deploy them.
- ``auxiliary`` (false): add the heads on strides 16 and 32 that only training looks at.
- ``attention`` (as ``auxiliary``): add the channel attention that the authors' code builds in its fusion and never
  runs; nothing reads it here either. Published parameter counts of the network with its training heads include it.

Branches share their layers as long as these are the same; never the last one. Each branch is brought back to stride 8:
a 1x1 convolution, resizing to the last finer map, which is concatenated, a 3x3 convolution. The branches' maps are
concatenated and fused by a 1x1 convolution. As in the authors' code (VITA-Group/FasterSeg, latency/model_seg.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwnas.errors import GenotypeError
from hwnas.ir.cell import Cell
from hwnas.ir.genotype import Genotype
from hwnas.ir.node import Node
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Params, Shape, Value
from hwnas.skeletons.base import SKELETONS
from hwnas.skeletons.placing import full_size

OPS = ("skip_connect", "conv_3x3", "double_conv_3x3", "zoomed_conv_3x3", "zoomed_double_conv_3x3")
SCALES = 3
WIDE_HEAD = 256
"""A head with more input channels works on half of them."""
DEFAULTS: dict[str, Value] = {
    "filters": 12,
    "paths": (),
    "widths": (),
    "stem_width": 1.0,
    "head_width": 1.0,
    "interpolation": "bilinear",
    "auxiliary": False,
}


@dataclass(frozen=True)
class Branch:
    """One chain: the op, the scale and the width behind each layer (the last one's is the head's)."""

    ops: tuple[str, ...]
    path: tuple[int, ...]
    widths: tuple[float, ...]

    def layer(self, index: int) -> tuple[str, int, int, float]:
        """What two branches must have in common to share a layer that is not their last."""
        return self.ops[index], self.path[index], self.path[index + 1], self.widths[index]


def channels_of(filters: int, stride: int, width: float) -> int:
    """The authors' ``num_filters``."""
    return max(1, round(stride * filters * width))


@dataclass(frozen=True)
class _Net:
    """The checked parameters."""

    branches: tuple[Branch, ...]
    filters: int
    stem_width: float
    head_width: float
    interpolation: str
    auxiliary: bool
    attention: bool

    def channels(self, stride: int, width: float) -> int:
        return channels_of(self.filters, stride, width)


def fasterseg(genotype: Genotype, input_shape: Shape, classes: int) -> OpGraph:
    """Expand; GenotypeError for a branch that is no chain of FasterSeg's ops, and parameters that do not fit."""
    net = _checked(genotype)
    builder = GraphBuilder(input_shape)
    maps = _branch_maps(builder, net)
    fused = [_merged(builder, net, f"branch{number}", scales) for number, scales in enumerate(maps, start=1)]
    joined = builder.add("fusion/concat", "concat", fused)
    channels = builder.shape(joined)[0]
    if net.attention:
        _unread_attention(builder, joined, channels)
    joined = builder.add("fusion/conv", "conv_1x1", [joined], {"channels": channels})
    logits = add_logits(builder, "classifier", joined, classes)
    extra = _auxiliary_heads(builder, net, maps, classes) if net.auxiliary else []
    return builder.finish(full_size(builder, logits), extra)


def chain_cell(ops: Sequence[str]) -> Cell:
    """The cell of a branch with these ops."""
    nodes = [Node(f"layer{index}", op, (f"layer{index - 1}" if index else "x",)) for index, op in enumerate(ops)]
    return Cell.of(["x"], nodes, nodes[-1].name, where="branch")


def shared_layers(branches: Sequence[Branch]) -> list[list[list[int]]]:
    """For each layer the groups of branches that have it in common, as the authors' code groups them."""
    longest = max(len(branch.path) for branch in branches)
    alike = {(i, j) for i in range(len(branches)) for j in range(i + 1, len(branches))}
    layers = []
    for index in range(longest):
        alike = {
            (i, j)
            for i, j in alike
            if min(len(branches[i].path), len(branches[j].path)) > index + 1
            and branches[i].layer(index) == branches[j].layer(index)
        }
        groups: list[list[int]] = []
        for number, branch in enumerate(branches):
            if len(branch.path) <= index:
                continue
            group = next((group for group in groups if (group[0], number) in alike), None)
            if group is None:
                groups.append([number])
            else:
                group.append(number)
        layers.append(groups)
    return layers


def _branch_maps(builder: GraphBuilder, net: _Net) -> list[dict[int, str]]:
    """For each branch its last map at each scale that it reaches."""
    source = add_stem(builder, net.filters, net.stem_width)
    maps: list[dict[int, str]] = [{0: source} for _ in net.branches]
    last = [source] * len(net.branches)
    for index, groups in enumerate(shared_layers(net.branches)):
        for group in groups:
            branch = net.branches[group[0]]
            prefix = "shared" if len(group) == len(net.branches) > 1 else f"branch{group[0] + 1}"
            output = _layer(builder, net, branch, index, f"{prefix}/layer{index}", last[group[0]])
            final = index == len(branch.path) - 1
            scale = branch.path[index] if final else branch.path[index + 1]
            for number in group:
                last[number] = maps[number][scale] = output
    return maps


def add_stem(builder: GraphBuilder, filters: int, width: float) -> str:
    """Three strided layers to stride 8."""
    widths = [factor * channels_of(filters, stride, width) for factor, stride in ((2, 2), (2, 4), (1, 8))]
    source = builder.add("stem/conv", "conv_3x3", [builder.input], {"channels": widths[0], "stride": 2})
    for number, channels in enumerate(widths[1:], start=1):
        source = builder.add(f"stem/double{number}", "double_conv_3x3", [source], {"channels": channels, "stride": 2})
    return source


def _layer(builder: GraphBuilder, net: _Net, branch: Branch, index: int, name: str, source: str) -> str:
    final = index == len(branch.path) - 1
    scale = branch.path[index] if final else branch.path[index + 1]
    width = net.head_width if final else branch.widths[index]
    op = branch.ops[index]
    params: dict[str, Value] = {"channels": net.channels(8 << scale, width)}
    strides = scale > branch.path[index]
    if op == "skip_connect":
        if strides:
            return builder.add(name, "factorized_reduce", [source], params)
        if params["channels"] != builder.shape(source)[0]:
            return builder.add(name, "conv_1x1", [source], params)
        return builder.add(name, op, [source])
    params["stride"] = 2 if strides else 1
    if op.startswith("zoomed"):
        params["interpolation"] = net.interpolation
    return builder.add(name, op, [source], params)


def _merged(builder: GraphBuilder, net: _Net, name: str, maps: dict[int, str]) -> str:
    """The branch's coarsest map brought back to stride 8 by way of its other maps."""
    value = maps[max(maps)]
    for scale in range(max(maps) - 1, -1, -1):
        channels = net.channels(8 << scale, net.head_width)
        value = add_merge(builder, f"{name}/merge{8 << scale}", value, maps[scale], channels)
    return value


def add_merge(builder: GraphBuilder, at: str, value: str, finer: str, channels: int) -> str:
    """``value`` brought to the size of ``finer`` and joined with it."""
    arm = builder.add(f"{at}/arm", "conv_1x1", [value], {"channels": channels})
    _, height, width = builder.shape(finer)
    arm = builder.add(f"{at}/resize", "resize_nearest", [arm], {"height": height, "width": width})
    joined = builder.add(f"{at}/concat", "concat", [arm, finer])
    return builder.add(f"{at}/refine", "conv_3x3", [joined], {"channels": channels})


def add_logits(builder: GraphBuilder, name: str, source: str, classes: int) -> str:
    channels = builder.shape(source)[0]
    inside = channels if channels <= WIDE_HEAD else channels // 2
    return builder.add(name, "conv_seg_head", [source], {"channels": inside, "classes": classes})


def _unread_attention(builder: GraphBuilder, source: str, channels: int) -> None:
    value = builder.add("fusion/attention/pool", "global_avg_pool", [source])
    for number, activation in enumerate(("relu", "sigmoid"), start=1):
        params: dict[str, Value] = {"channels": channels, "bias": False, "activation": activation}
        value = builder.add(f"fusion/attention/conv{number}", "bare_conv_1x1", [value], params)


def _auxiliary_heads(builder: GraphBuilder, net: _Net, maps: list[dict[int, str]], classes: int) -> list[str]:
    """One head for stride 16 and one for 32, on the concatenated maps of all branches that are used there."""
    heads = []
    for scale in range(1, SCALES):
        found = [branch[scale] for branch in maps if scale in branch]
        if found:
            joined = builder.add(f"head{8 << scale}/concat", "concat", found)
            heads.append(add_logits(builder, f"head{8 << scale}", joined, classes))
    return heads


def _checked(genotype: Genotype) -> _Net:
    where = f"genotype {genotype.name}: skeleton fasterseg"
    unknown = sorted(set(genotype.params) - {*DEFAULTS, "attention"})
    if unknown:
        raise GenotypeError(f"{where} has no parameter {unknown[0]!r}", f"its parameters are: {', '.join(DEFAULTS)}")
    params: Params = {**DEFAULTS, **genotype.params}
    paths, widths = params["paths"], params["widths"]
    roles = [f"branch{number}" for number in range(1, len(genotype.cells) + 1)]
    if sorted(genotype.cells) != sorted(roles):
        raise GenotypeError(f"{where} needs cells branch1, branch2, …, not {', '.join(genotype.cells)}")
    if not isinstance(paths, tuple) or not isinstance(widths, tuple) or not len(paths) == len(widths) == len(roles):
        raise GenotypeError(f"{where}: paths and widths must be lists with an item for each of {len(roles)} branches")
    filters, interpolation = params["filters"], params["interpolation"]
    if type(filters) is not int or filters < 1:
        raise GenotypeError(f"{where}: filters must be a whole number of at least 1, not {filters!r}")
    if interpolation not in ("bilinear", "nearest"):
        raise GenotypeError(f"{where}: interpolation must be bilinear or nearest, not {interpolation!r}")
    auxiliary, attention = params["auxiliary"], params.get("attention", params["auxiliary"])
    if not isinstance(auxiliary, bool) or not isinstance(attention, bool):
        raise GenotypeError(f"{where}: auxiliary and attention must be true or false")
    return _Net(
        branches=tuple(
            _branch(f"{where}, {role}", genotype.cells[role], path, ratios)
            for role, path, ratios in zip(roles, paths, widths, strict=True)
        ),
        filters=filters,
        stem_width=_ratio(where, params["stem_width"]),
        head_width=_ratio(where, params["head_width"]),
        interpolation=str(interpolation),
        auxiliary=auxiliary,
        attention=attention,
    )


def _branch(where: str, cell: Cell, path: Value, widths: Value) -> Branch:
    nodes = {node.name: node for node in cell.nodes}
    names = [f"layer{index}" for index in range(len(nodes))]
    for name, before in zip(names, [cell.inputs[0], *names], strict=False):
        if name not in nodes or nodes[name].inputs != (before,) or nodes[name].op not in OPS:
            raise GenotypeError(f"{where} must be a chain of layer0, layer1, … with the ops {', '.join(OPS)}")
    if not names or cell.output != names[-1]:
        raise GenotypeError(f"{where}: its output must be its last layer")
    if not isinstance(path, tuple) or len(path) != len(names) or not all(type(scale) is int for scale in path):
        raise GenotypeError(f"{where}: its path must have a scale for each of its {len(names)} layers, not {path!r}")
    scales = tuple(scale for scale in path if isinstance(scale, int))
    check_scales(where, scales)
    if not isinstance(widths, tuple) or len(widths) != len(names) - 1:
        raise GenotypeError(f"{where}: it must have a width behind each of its first {len(names) - 1} layers")
    ratios = tuple(_ratio(where, width) for width in widths)
    return Branch(tuple(nodes[name].op for name in names), scales, ratios)


def check_scales(where: str, path: Sequence[int]) -> None:
    """GenotypeError unless ``path`` starts at 0 and each scale is that before it or one more, up to 2."""
    for index, (before, scale) in enumerate(zip([0, *path], path, strict=False)):
        if scale - before not in (0, 1) or (index == 0 and scale) or scale >= SCALES:
            raise GenotypeError(
                f"{where}: the path leaves the trellis: layer {index} is at scale {scale}",
                "it starts at 0 (stride 8), each layer is at the scale of the one before or one more, up to 2",
            )


def _ratio(where: str, value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 4:
        raise GenotypeError(f"{where}: a width must be a ratio above 0, not {value!r}")
    return float(value)


SKELETONS.register("fasterseg", fasterseg)
