"""Where the channels of a feature map come from: one source, or the slots of a concat.

A concat of three inputs of varying width must keep each input at its own place in the consumer's shared weights, or the
weights of one slot would be read by another as soon as a width changes.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwnas.ir.opgraph import OpGraph
from hwnas.ops.spec import OPS


@dataclass(frozen=True)
class Segment:
    """Adjoining channels. ``slot`` is "" for an ordinary map, "0", "1", … behind a concat, "1.0" where those nest."""

    slot: str
    width: int


Layout = tuple[Segment, ...]


def channel_layout(graph: OpGraph) -> dict[str, Layout]:
    """The segments of every node's output channels (and of the graph's input), in order.

    Ops that work channel by channel (resize, pooling, add) hand a layout on, if all their inputs agree on it.
    """
    layouts: dict[str, Layout] = {graph.input: (Segment("", graph.shape(graph.input)[0]),)}
    for node in graph.nodes:
        inputs = [layouts[name] for name in node.inputs]
        if node.op == "concat":
            layouts[node.name] = tuple(
                Segment(f"{slot}.{segment.slot}".rstrip("."), segment.width)
                for slot, layout in enumerate(inputs)
                for segment in layout
            )
        elif OPS.get(node.op).per_channel and all(layout == inputs[0] for layout in inputs):
            layouts[node.name] = inputs[0]
        else:
            layouts[node.name] = (Segment("", graph.shape(node.name)[0]),)
    return layouts
