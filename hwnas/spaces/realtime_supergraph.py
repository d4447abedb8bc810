"""All networks of ``realtime`` in one op graph: what its relaxation learns on.

A place of a stage adds up its ops, a stage its depths, a fusion what may arrive there: the context, or the features of
any coarser scale that was the last to be fused, resized. Widths are open, and so is whether the last stage strides or
dilates; that one cannot be mixed, only sampled. There is a classifier at each scale that may be the head's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwnas.ir.gates import All, Any, Gate, Is, Not, Select, is_one_of
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.shapes import Shape, Value
from hwnas.spaces.base import Choice

Branch = tuple[str, Gate]
"""A node, and when it is taken."""


class RealtimeSupergraph:
    """Builds it from the space's ``choices``; ``scales`` maps strides, coarse to fine, to the stages that have them."""

    def __init__(self, choices: Sequence[Choice], scales: Mapping[int, str], input_shape: Shape, classes: int) -> None:
        self.options: dict[str, tuple[Value, ...]] = {choice.name: choice.options for choice in choices}
        self.scales, self.classes = scales, classes
        self.builder = GraphBuilder(input_shape)

    def build(self) -> OpGraph:
        given: dict[str, Value] = {"stride": 2}
        source = self.builder.add("stem/conv", "conv_3x3", [self.builder.input], given, open=self._width("stem.width"))
        features: dict[str, str] = {}
        for stage in range(1, 5):
            source = features[f"stage{stage}"] = self._stage(f"stage{stage}", source, last=stage == 4)
        return self.builder.finish(self._decoder(features))

    def _width(self, choice: str) -> dict[str, Select]:
        return {"channels": Select.of(choice, self.options[choice])}

    def _sum(self, name: str, branches: Sequence[Branch]) -> str:
        gates = {slot: gate for slot, (_, gate) in enumerate(branches)}
        return self.builder.add(name, "add", [source for source, _ in branches], gates=gates)

    def _ops(self, name: str, choice: str, source: str, opened: Mapping[str, Select], stride: int = 1) -> str:
        """The sum of the ops of ``choice`` on ``source``."""
        branches = []
        for op in self.options[choice]:
            params: dict[str, Value] = {"stride": stride} if stride > 1 and "stride" not in opened else {}
            self.builder.add(f"{name}/{op}", str(op), [source], params, open=opened)
            branches.append((f"{name}/{op}", Is(choice, op)))
        return self._sum(name, branches)

    def _stage(self, stage: str, source: str, *, last: bool) -> str:
        """The sum over its depths. The first block strides; in the last stage all may dilate instead."""
        depths = self.options[f"{stage}.depth"]
        ends: list[Branch] = []
        for block, depth in enumerate(depths, start=1):
            opened = self._width(f"{stage}.width")
            if last:
                opened["dilation"] = Select.of("dilate", {False: 1, True: 2})
                if block == 1:
                    opened["stride"] = Select.of("dilate", {False: 2, True: 1})
            source = self._ops(f"{stage}/block{block}", f"{stage}.block{block}", source, opened, 2 if block == 1 else 1)
            ends.append((source, Is(f"{stage}.depth", depth)))
        return self._sum(f"{stage}/out", ends)

    def _decoder(self, features: Mapping[str, str]) -> str:
        width = self._width("head.width")
        arriving: list[Branch] = [(self._ops("decoder/context", "context", features["stage4"], width), All())]
        heads: list[Branch] = []
        for scale, stage in self.scales.items():
            fused = self._fused(scale, arriving, features[stage])
            refined = self._refined(scale, fused)
            joins = self._when(scale, "fuse", ("add", "concat"))
            arriving = [(node, All(gate, Not(joins))) for node, gate in arriving] + [(refined, joins)]
            head = f"head{scale}"
            logits = self.builder.add(f"{head}/classifier", "seg_head", [refined], {"classes": self.classes})
            heads.append((self._upsampled(head, logits), Is("head.stride", scale)))
        return self._sum("heads", heads)

    def _when(self, scale: int, what: str, options: Sequence[Value]) -> Gate:
        """``what`` at ``scale`` is one of ``options``; ``head.WHAT`` decides it at the head's scale."""
        at_head = All(Is("head.stride", scale), is_one_of(f"head.{what}", options))
        finer = [other for other in self.scales if other < scale]
        own = f"fuse{scale}" if what == "fuse" else f"fuse{scale}.{what}"
        return Any(at_head, All(is_one_of("head.stride", finer), is_one_of(own, options))) if finer else at_head

    def _fused(self, scale: int, arriving: Sequence[Branch], features: str) -> str:
        """What arrives at ``scale``, joined by that scale's features: added, or concatenated and projected."""
        builder, width, prefix = self.builder, self._width("head.width"), f"decoder/{scale}"
        lateral = builder.add(f"{prefix}/lateral", "conv_1x1", [features], open=width)
        size = dict(zip(("height", "width"), builder.shape(lateral)[1:], strict=True))
        resized: list[Branch] = []
        for number, (node, gate) in enumerate(arriving):
            resized.append((builder.add(f"{prefix}/resize{number}", "resize_bilinear", [node], size), gate))
        arrived = self._sum(f"{prefix}/arrived", resized)
        added = builder.add(f"{prefix}/add", "add", [arrived, lateral])
        joined = builder.add(f"{prefix}/concat", "concat", [arrived, lateral])
        merged = builder.add(f"{prefix}/merge", "conv_1x1", [joined], open=width)
        return self._sum(
            f"{prefix}/fused",
            [(added, self._when(scale, "fuse", ("add",))), (merged, self._when(scale, "fuse", ("concat",)))],
        )

    def _refined(self, scale: int, source: str) -> str:
        branches: list[Branch] = []
        for op in self.options["head.refine"]:
            gate = self._when(scale, "refine", (op,))
            node = source
            if op != "skip_connect":
                opened = self._width("head.width")
                node = self.builder.add(f"decoder/{scale}/{op}", str(op), [source], open=opened)
            branches.append((node, gate))
        return self._sum(f"decoder/{scale}/refined", branches)

    def _upsampled(self, name: str, logits: str) -> str:
        _, height, width = self.builder.shape(self.builder.input)
        return self.builder.add(f"{name}/upsample", "resize_bilinear", [logits], {"height": height, "width": width})
