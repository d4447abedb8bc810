"""Random op graphs for the tests of passes and fingerprints."""

from __future__ import annotations

from hypothesis import strategies as st

from hwnas.ir.opgraph import GraphBuilder, OpGraph

UNARY = [
    ("skip_connect", {}),
    ("none", {}),
    ("none", {"stride": 2}),
    ("conv_3x3", {"channels": 4}),
    ("conv_1x1", {"channels": 4, "activation": "none"}),
    ("dw_conv_3x3", {}),
    ("max_pool_3x3", {"stride": 2}),
    ("avg_pool_3x3", {}),
    ("resize_bilinear", {"height": 8, "width": 8}),
    ("resize_nearest", {"height": 8, "width": 8}),
]
MERGES = ["add", "concat", "mul"]


@st.composite
def op_graphs(draw: st.DrawFn, most: int = 10) -> OpGraph:
    """Graphs with identities, zeros, dead branches and repeated inputs, all of whose shapes fit."""
    builder = GraphBuilder((4, 8, 8))
    names = [builder.input]
    for index in range(draw(st.integers(1, most))):
        name, source = f"part{index % 3}/n{index}", draw(st.sampled_from(names))
        if draw(st.booleans()):
            op, params = draw(st.sampled_from(UNARY))
            names.append(builder.add(name, op, [source], params))
            continue
        alike = [other for other in names if builder.shape(other) == builder.shape(source)]
        inputs = draw(st.lists(st.sampled_from(alike), min_size=1, max_size=3))
        names.append(builder.add(name, draw(st.sampled_from(MERGES)), inputs))
    return builder.finish(draw(st.sampled_from(names[1:])))
