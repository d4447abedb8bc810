"""FasterSeg's supergraph: both branches on all paths, every op and every width of every layer.

A layer stands in up to three copies, as in the network that is derived: one for both branches as long as they have gone
the same way, and one for each from where they part. A branch's way is decided by where it strides; its copies are gated
by that, their ops by the op of the layer's place (stride and number), and their widths are open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwnas.ir.gates import All, Any, Gate, Is, Not, Select, is_one_of
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.ir.passes.remove_dead_branches import remove_dead_branches
from hwnas.shapes import Shape, Value
from hwnas.skeletons.fasterseg import OPS, add_logits, add_merge, add_stem, channels_of
from hwnas.skeletons.placing import full_size

SKIP = OPS[0]
DEEP, OTHER = 1, 2
"""The branch to stride 32, and the other."""
Step = tuple[int, int]
"""From one scale to the same or the next."""


@dataclass(frozen=True)
class Ways:
    """Gates of the two branches' ways over ``layers`` layers, from the space's choices of where they stride."""

    layers: int

    def step(self, branch: int, layer: int, step: Step) -> Gate:
        """The branch goes this step in this layer."""
        return self._deep(layer, step) if branch == DEEP else self._other(layer, step)

    def together(self, layer: int, step: Step) -> Gate:
        """Both have gone the same way up to this layer, which goes this step."""
        last = self.layers - 2
        if step == (0, 0):
            return All(self._first(layer + 1, last - 1), self._any_other(layer + 1))
        if step == (0, 1):
            return All(Is("down32.first", layer), self._other(layer, step))
        parted = [
            All(Is("down32.first", first), Is("other", 16), Is("down16", first), self._second(first, layer + 1, last))
            for first in range(min(layer, last))
        ]
        return Any(*parted)

    def _deep(self, layer: int, step: Step) -> Gate:
        last = self.layers - 2
        if step == (0, 0):
            return self._first(layer + 1, last - 1)
        if step == (0, 1):
            return Is("down32.first", layer) if layer <= last - 1 else Any()
        bounds = {(1, 1): (layer + 1, last), (1, 2): (layer, layer), (2, 2): (0, layer - 1)}[step]
        ways = [All(Is("down32.first", f), self._second(f, *bounds)) for f in range(min(layer, last))]
        return Any(*ways)

    def _other(self, layer: int, step: Step) -> Gate:
        if step == (0, 0):
            return self._any_other(layer + 1)
        low, high = (layer, layer) if step == (0, 1) else (0, layer - 1)
        return All(Is("other", 16), self._one_of("down16", low, min(high, self.layers - 2)))

    def _any_other(self, low: int) -> Gate:
        return Any(Is("other", 8), All(Is("other", 16), self._one_of("down16", low, self.layers - 2)))

    def _first(self, low: int, high: int) -> Gate:
        return self._one_of("down32.first", low, high)

    def _second(self, first: int, low: int, high: int) -> Gate:
        return self._one_of(f"down32.second{first}", max(low, first + 1), high)

    def _one_of(self, choice: str, low: int, high: int) -> Gate:
        return is_one_of(choice, range(low, high + 1)) if low <= high else Any()


def open_fasterseg(
    layers: int, filters: int, widths: Sequence[float], input_shape: Shape, classes: int, *, auxiliary: bool = False
) -> OpGraph:
    """The supergraph; its gates read the choices of :class:`~hwnas.spaces.fasterseg.FasterSegSpace`.

    ``auxiliary``: each branch has a head of its own, too, which only training looks at, as in the authors' search.
    """
    return _Open(layers, filters, widths, input_shape).finished(classes, auxiliary)


class _Open:
    def __init__(self, layers: int, filters: int, widths: Sequence[float], input_shape: Shape) -> None:
        self.builder = GraphBuilder(input_shape)
        self.layers, self.filters, self.widths = layers, filters, widths
        self.ways = Ways(layers)

    def finished(self, classes: int, auxiliary: bool) -> OpGraph:
        builder = self.builder
        stem = add_stem(builder, self.filters, 1.0)
        trunk: dict[int, str] = {0: stem}
        apart: dict[int, dict[int, str]] = {DEEP: {}, OTHER: {}}
        leaving: dict[int, dict[int, list[tuple[str, Gate]]]] = {DEEP: {0: [], 1: []}, OTHER: {0: []}}
        for layer in range(self.layers):
            entering = {
                branch: self._entering(f"branch{branch}/in{layer}", trunk, apart[branch], top)
                for branch, top in ((DEEP, 2), (OTHER, 1))
            }
            for branch, scales in leaving.items():
                for scale, kept in scales.items():
                    if scale in entering[branch] and layer < self.layers - 1:
                        kept.append((entering[branch][scale], self.ways.step(branch, layer, (scale, scale + 1))))
            last = layer == self.layers - 1
            shared = {} if last else self._layer("shared", layer, trunk, None)
            apart = {branch: self._layer(f"branch{branch}", layer, entering[branch], branch) for branch in apart}
            trunk = shared
        return self._merged(leaving, apart, classes, auxiliary)

    def _entering(self, name: str, trunk: Mapping[int, str], apart: Mapping[int, str], top: int) -> dict[int, str]:
        """What a branch's own copy of a layer takes, by scale: the shared value where it parts now, else its own."""
        found = {}
        for scale in range(top + 1):
            values = [values[scale] for values in (trunk, apart) if scale in values]
            if len(values) == 1:
                found[scale] = values[0]
            elif values:
                found[scale] = self.builder.add(f"{name}/s{8 << scale}", "add", values)
        return found

    def _layer(self, name: str, layer: int, values: Mapping[int, str], branch: int | None) -> dict[int, str]:
        """The copies of a layer on ``values`` (by scale); their outputs by the scale that they lead to."""
        last = layer == self.layers - 1
        arriving: dict[int, list[tuple[str, Gate]]] = {}
        for scale, source in values.items():
            for target in (scale,) if last or scale == 2 else (scale, scale + 1):
                if (branch == OTHER and target == 2) or (branch is None and target == 2):
                    continue
                step = (scale, target)
                together = Any() if last else self.ways.together(layer, step)
                gate = together if branch is None else All(self.ways.step(branch, layer, step), Not(together))
                output = self._ops(f"{name}/layer{layer}/s{8 << scale}to{8 << target}", layer, step, source)
                arriving.setdefault(target, []).append((output, gate))
        return {
            target: self._gated(f"{name}/layer{layer}/at{8 << target}", pairs) for target, pairs in arriving.items()
        }

    def _ops(self, name: str, layer: int, step: Step, source: str) -> str:
        """All ops of a layer, by the op of its place."""
        scale, target = step
        choice, last = f"s{8 << scale}.layer{layer}", layer == self.layers - 1
        channels = [channels_of(self.filters, 8 << target, width) for width in self.widths]
        select = Select.of(f"s{8 << target}.layer{layer + 1}.width", dict(zip(self.widths, channels, strict=True)))
        opened = {} if last else {"channels": select}
        given: dict[str, Value] = {"channels": channels_of(self.filters, 8 << target, 1.0)} if last else {}
        pairs: list[tuple[str, Gate]] = []
        for op in OPS[1:]:
            params: dict[str, Value] = {**given, "stride": 1 + target - scale}
            made = self.builder.add(f"{name}/{op}", op, [source], params, open=opened)
            pairs.append((made, Is(f"{choice}.op", op)))
        skipped = Is(f"{choice}.op", SKIP)
        if target > scale:
            made = self.builder.add(f"{name}/reduce", "factorized_reduce", [source], given, open=opened)
            pairs.append((made, skipped))
        else:
            same = self._same_width(scale, layer)
            conv = self.builder.add(f"{name}/pointwise", "conv_1x1", [source], given, open=opened)
            kept = self.builder.add(f"{name}/skip", SKIP, [source])
            pairs += [(conv, All(skipped, Not(same))), (kept, All(skipped, same))]
        return self._gated(name, pairs)

    def _same_width(self, scale: int, layer: int) -> Gate:
        """The layer's input is as wide as its output; the stem and what is behind the last layer have width 1."""
        before, behind = (f"s{8 << scale}.layer{place}.width" for place in (layer, layer + 1))
        full = self.widths[-1]
        if layer == 0:
            return Is(behind, full)
        if layer == self.layers - 1:
            return Is(before, full)
        return Any(*(All(Is(before, width), Is(behind, width)) for width in self.widths))

    def _gated(self, name: str, pairs: Sequence[tuple[str, Gate]]) -> str:
        gates = {slot: gate for slot, (_, gate) in enumerate(pairs)}
        return self.builder.add(name, "add", [value for value, _ in pairs], gates=gates)

    def _merged(
        self,
        leaving: Mapping[int, Mapping[int, list[tuple[str, Gate]]]],
        last: Mapping[int, Mapping[int, str]],
        classes: int,
        auxiliary: bool,
    ) -> OpGraph:
        builder = self.builder
        head = [channels_of(self.filters, 8 << scale, 1.0) for scale in range(2)]
        deep = last[DEEP][2]
        for scale in (1, 0):
            finer = self._gated(f"branch1/map{8 << scale}", leaving[DEEP][scale])
            deep = add_merge(builder, f"branch1/merge{8 << scale}", deep, finer, head[scale])
        finer = self._gated("branch2/map8", leaving[OTHER][0])
        other = add_merge(builder, "branch2/merge8", last[OTHER][1], finer, head[0])
        pairs = [(other, Is("other", 16)), (last[OTHER][0], Is("other", 8))]
        maps = [deep, self._gated("branch2/map", pairs)]
        joined = builder.add("fusion/concat", "concat", maps)
        joined = builder.add("fusion/conv", "conv_1x1", [joined], {"channels": builder.shape(joined)[0]})
        output = full_size(builder, add_logits(builder, "classifier", joined, classes))
        heads = [
            add_logits(builder, f"auxiliary{branch}", value, classes) for branch, value in enumerate(maps, start=1)
        ]
        graph = builder.finish(output, heads if auxiliary else [])
        return remove_dead_branches(graph)  # places that no way reaches in the end
