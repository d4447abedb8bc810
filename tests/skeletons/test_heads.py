"""Heads on the features of any backbone: what they cost by hand, and what they do not understand."""

from __future__ import annotations

import pytest

from hwnas.compiler.cost import cost_of
from hwnas.errors import HwnasError
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.ir.verify import verify
from hwnas.skeletons.heads import HEADS, add_head

SIZE = (705, 737)


def with_head(head: str, strides: tuple[int, ...] = (4, 8, 16, 32), channels: int = 8, classes: int = 5) -> OpGraph:
    """A backbone of strided 3x3 convolutions of ``channels`` with features at ``strides``, and the head."""
    builder = GraphBuilder((3, *SIZE))
    source, features = builder.input, {}
    for level in range(1, 6):
        source = builder.add(f"down{level}", "conv_3x3", [source], {"channels": channels, "stride": 2})
        if 2**level in strides:
            features[2**level] = source
    return builder.finish(add_head(builder, head, features, classes))


def head_params(graph: OpGraph) -> int:
    """Parameters without the backbone's."""
    backbone = {name for name in graph.order if name.startswith("down")}
    return cost_of(graph).params - sum(9 * graph.input_shapes(name)[0][0] * 8 + 16 for name in backbone)


@pytest.mark.parametrize("strides", [(8,), (8, 32), (4, 8, 16, 32)])
@pytest.mark.parametrize("head", HEADS.names())
def test_every_head_gives_full_size_logits_on_any_features(head: str, strides: tuple[int, ...]) -> None:
    graph = with_head(head, strides)
    verify(graph)
    assert graph.shape(graph.output) == (5, *SIZE)


def conv(inputs: int, outputs: int, kernel: int = 1) -> int:
    return inputs * outputs * kernel * kernel + 2 * outputs


def test_parameters_of_the_simple_heads() -> None:
    assert head_params(with_head("seg_head")) == 8 * 5 + 5
    assert head_params(with_head("lraspp:width=16")) == conv(8, 16) + 8 * 16 + (16 * 5 + 5) + (8 * 5 + 5)
    assert head_params(with_head("lraspp:width=16", (8,))) == conv(8, 16) + 8 * 16 + (16 * 5 + 5)
    assert head_params(with_head("fpn:width=16")) == 4 * (conv(8, 16) + conv(16, 16, 3)) + 16 * 5 + 5


def test_parameters_of_aspp_as_counted_by_hand() -> None:
    full = 2 * conv(8, 16) + 3 * conv(8, 16, 3) + conv(5 * 16, 16)
    decoder = conv(8, 48) + conv(64, 16, 3) + conv(16, 16, 3) + 16 * 5 + 5
    assert head_params(with_head("aspp:kind=full,width=16")) == full + decoder
    assert head_params(with_head("aspp:kind=full,width=16,decoder=none")) == full + 16 * 5 + 5
    no_atrous = 2 * conv(8, 16) + conv(2 * 16, 16) + 16 * 5 + 5
    assert head_params(with_head("aspp:rates=none,width=16,decoder=none")) == no_atrous


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("lrasp", "unknown head 'lrasp'\n  did you mean lraspp"),
        ("lraspp:depth=3", "does not understand 'depth=3'\n  its options are: width=128"),
        ("lraspp:width=0", "width must be a whole number of at least 1, not '0'"),
        ("seg_head:x", "does not understand 'x'"),
        ("aspp:rates=6-x", "rates must be a whole number"),
        ("aspp:kind=thick", "kind must be separable or full"),
        ("aspp:decoder=-4", "decoder must be a whole number"),
    ],
)
def test_error_on_a_head_that_is_not_understood(head: str, message: str) -> None:
    with pytest.raises(HwnasError) as caught:
        with_head(head)
    assert message in str(caught.value)
