"""Where channels come from."""

from __future__ import annotations

from hwnas.ir.opgraph import GraphBuilder
from hwnas.supernet.layout import Segment, channel_layout


def test_concat_makes_slots_and_per_channel_ops_keep_them():
    builder = GraphBuilder((3, 32, 32))
    a = builder.add("a", "conv_1x1", ["image"], {"channels": 8})
    b = builder.add("b", "conv_1x1", ["image"], {"channels": 4})
    cat = builder.add("cat", "concat", [a, b])
    small = builder.add("small", "resize_bilinear", [cat], {"height": 16, "width": 16})
    twice = builder.add("twice", "add", [small, small])
    again = builder.add("again", "concat", [twice, small])
    graph = builder.finish(builder.add("mix", "conv_1x1", [again], {"channels": 2}))
    layout = channel_layout(graph)
    assert layout["image"] == (Segment("", 3),)
    assert layout["cat"] == layout["small"] == layout["twice"] == (Segment("0", 8), Segment("1", 4))
    assert [segment.slot for segment in layout["again"]] == ["0.0", "0.1", "1.0", "1.1"]
    assert layout["mix"] == (Segment("", 2),)


def test_add_of_different_layouts_is_an_ordinary_map():
    builder = GraphBuilder((3, 32, 32))
    a = builder.add("a", "conv_1x1", ["image"], {"channels": 4})
    cat = builder.add("cat", "concat", [a, a])
    b = builder.add("b", "conv_1x1", ["image"], {"channels": 8})
    graph = builder.finish(builder.add("sum", "add", [cat, b]))
    assert channel_layout(graph)["sum"] == (Segment("", 8),)
