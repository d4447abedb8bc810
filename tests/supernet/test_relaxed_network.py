"""The relaxed network: what it computes for soft and for one-hot weights, in one piece or not, and what it keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hwnas.errors import HwnasError
from hwnas.ir.gates import All, Any, Is, Not, Select
from hwnas.ir.opgraph import GraphBuilder, OpGraph
from hwnas.spaces.base import Choice
from hwnas.spaces.darts import DartsSpace
from hwnas.spaces.decisions import check
from hwnas.spaces.relaxed import one_hot
from hwnas.supernet.depthwise import depthwise
from hwnas.supernet.fused import Tail, mixed_sum, normalised
from hwnas.supernet.mixing import gumbel_softmax, mix, sampled, sigmoid, softmax, straight_through
from hwnas.supernet.partial import partial_channels
from hwnas.supernet.relaxed import RelaxedNetwork

F64 = torch.float64
ONE_CELL = DartsSpace("cells", "darts-cifar", {"channels": 4, "layers": 1})
"""A reduction cell."""


def soft_weights(choices: tuple[Choice, ...], seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        choice.name: torch.randn(len(choice.options), generator=generator, dtype=F64).softmax(0).requires_grad_()
        for choice in choices
    }


def gradients(network: RelaxedNetwork, images: Tensor, weights: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
    out = network(images, weights)
    probe = torch.randn(out.shape, generator=torch.Generator().manual_seed(7), dtype=F64)
    leaves = [*network.parameters(), *weights.values()]
    found = torch.autograd.grad((out * probe).sum(), leaves, allow_unused=True)
    return out, [torch.zeros_like(leaf) if part is None else part for part, leaf in zip(found, leaves, strict=True)]


OPS = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")


def two_nodes(size: tuple[int, int]) -> tuple[OpGraph, tuple[Choice, ...]]:
    """DARTS's ops from one state, striding, into a node, and from that node and another state into a second one."""
    builder = GraphBuilder((3, *size))
    state = builder.add("state", "conv_3x3", ["image"], {"channels": 4})
    small = builder.add("small", "nor_conv_1x1", ["image"], {"channels": 4, "stride": 2})
    choices = []

    def node(name: str, *sources: str) -> str:
        ends: list[str] = []
        gates: dict[int, Is] = {}
        for source in sources:
            stride = 2 if source == state else 1
            choices.append(Choice(f"{name}.{source}", OPS))
            for op in OPS:
                gates[len(ends)] = Is(f"{name}.{source}", op)
                params = {"channels": 4, "stride": stride} if "conv" in op else {"stride": stride}
                real = op
                if op == "skip_connect":
                    real, params = ("factorized_reduce", {"channels": 4, "relu": "first"}) if stride > 1 else (op, {})
                end = builder.add(f"{name}/{source}/{op}", real, [source], params)
                if "pool" in op:
                    end = builder.add(f"{end}/norm", "batch_norm", [end], {"activation": "none"})
                ends.append(end)
        return builder.add(name, "add", ends, gates=gates)

    first = node("first", state, small)
    second = node("second", state, small, first)
    return builder.finish(builder.add("out", "concat", [first, second])), tuple(choices)


@pytest.mark.parametrize("size", [(8, 10), (11, 9)])
@pytest.mark.parametrize("affine", [False, True])
def test_in_one_piece_or_again_it_is_the_same(size: tuple[int, int], affine: bool) -> None:
    graph, choices = two_nodes(size)
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0), dtype=F64)
    weights = soft_weights(choices)
    plain = RelaxedNetwork(graph, choices, affine=affine, fused=False).double()
    expected = gradients(plain, images, weights)
    for how in ({"fused": True}, {"fused": False, "checkpoint": True}, {"fused": True, "checkpoint": True}):
        network = RelaxedNetwork(graph, choices, affine=affine, **how).double()
        torch.testing.assert_close(gradients(network, images, weights), expected, rtol=1e-6, atol=1e-8)


def test_branches_without_weights_are_computed_once() -> None:
    graph, choices = two_nodes((8, 8))
    network = RelaxedNetwork(graph, choices, affine=False)
    called: list[str] = []
    for name, module in network.blocks.named_children():
        if "pool" in name:
            module.register_forward_hook(lambda *_, name=name: called.append(name))
    network(torch.zeros(2, 3, 8, 8), {name: vector.float() for name, vector in soft_weights(choices).items()})
    assert len(called) == 3 * 2 * 2, "two poolings of three states, each with a norm"


def small() -> tuple[OpGraph, tuple[Choice, ...]]:
    """op: two convolutions or a copy; width: of a third; join: whether that is concatenated."""
    builder = GraphBuilder((4, 8, 8))
    a = builder.add("a", "conv_3x3", ["image"], {"channels": 4})
    b = builder.add("b", "conv_1x1", ["image"], {"channels": 4})
    gates = {0: Is("op", "a"), 1: Is("op", "b"), 2: Is("op", "copy")}
    builder.add("sum", "add", [a, b, "image"], gates=gates)
    wide = builder.add("wide", "conv_3x3", ["sum"], open={"channels": Select.of("width", (2, 4, 6))})
    builder.add(
        "cat",
        "concat",
        [wide, "sum"],
        gates={0: Any(Is("join", "both"), Is("join", "wide")), 1: Not(Is("join", "wide"))},
    )
    graph = builder.finish(builder.add("out", "conv_1x1", ["cat"], {"channels": 3}))
    choices = (
        Choice("op", ("a", "b", "copy", "none")),
        Choice("width", (2, 4, 6)),
        Choice("join", ("both", "wide", "sum")),
    )
    return graph, choices


def test_soft_weights_mix_branches_widths_and_concatenations() -> None:
    graph, choices = small()
    network = RelaxedNetwork(graph, choices).double()
    images = torch.randn(2, 4, 8, 8, dtype=F64)
    weights = soft_weights(choices)
    op, width, join = (weights[choice.name] for choice in choices)
    blocks = network.blocks
    total = op[0] * blocks.get_submodule("a")(images) + op[1] * blocks.get_submodule("b")(images) + op[2] * images
    channel = torch.stack([width.sum()] * 2 + [width[1] + width[2]] * 2 + [width[2]] * 2)
    wide = blocks.get_submodule("wide")(total) * channel.view(1, -1, 1, 1)
    joined = torch.cat([wide * (join[0] + join[1]), total * (join[0] + join[2])], dim=1)
    torch.testing.assert_close(network(images, weights), blocks.get_submodule("out")(joined))


def test_what_has_no_weight_is_not_computed() -> None:
    graph, choices = small()
    network = RelaxedNetwork(graph, choices)
    called: list[str] = []
    for name in ("a", "b"):
        network.blocks.get_submodule(name).register_forward_hook(lambda *_, name=name: called.append(name))
    options = {"op": "b", "width": 4, "join": "sum"}
    weights = {name: torch.from_numpy(vector).float() for name, vector in one_hot(choices, options).items()}
    network(torch.zeros(2, 4, 8, 8), weights)
    assert called == ["b"]
    network(torch.zeros(2, 4, 8, 8), {**weights, "op": torch.tensor([0.5, 0.5, 0.0, 0.0])})
    assert called == ["b", "a", "b"]


def test_a_drawn_branch_s_weight_gets_a_gradient() -> None:
    graph, choices = small()
    network = RelaxedNetwork(graph, choices)
    logits = {choice.name: torch.zeros(len(choice.options), requires_grad=True) for choice in choices}
    generator = torch.Generator().manual_seed(3)
    weights = mix(logits, lambda vector: gumbel_softmax(vector, hard=True, generator=generator))
    assert all(sorted(vector.tolist())[-1] == 1 and float(vector.detach().sum()) == 1 for vector in weights.values())
    weights["join"] = torch.tensor([1.0, 0.0, 0.0])
    # not the absence of all
    weights["op"] = straight_through(softmax(logits["op"] + torch.tensor([0.0, 1.0, 0.0, 0.0])))
    network(torch.randn(2, 4, 8, 8), weights).square().mean().backward()
    assert all(float(vector.grad.abs().sum()) > 0 for vector in (logits["op"], logits["width"]))


def test_weights_that_make_no_sense_are_refused() -> None:
    graph, choices = small()
    network = RelaxedNetwork(graph, choices)
    weights = {choice.name: torch.ones(len(choice.options)) for choice in choices}
    with pytest.raises(HwnasError, match="needs weights for the choice 'width'"):
        network(torch.zeros(1, 4, 8, 8), {name: vector for name, vector in weights.items() if name != "width"})
    with pytest.raises(HwnasError, match="has 3 options, and weights of shape"):
        network(torch.zeros(1, 4, 8, 8), {**weights, "width": torch.ones(2)})
    with pytest.raises(HwnasError, match="leave nothing"):
        network(torch.zeros(1, 4, 8, 8), {**weights, "op": torch.tensor([0.0, 0.0, 0.0, 1.0])})
    with pytest.raises(HwnasError, match="unknown choice 'join'"):
        RelaxedNetwork(graph, choices[:2])


def test_only_widths_can_be_mixed() -> None:
    builder = GraphBuilder((4, 8, 8))
    rate = Select.of("rate", (1, 2))
    builder.add("a", "conv_3x3", ["image"], {"channels": 4}, open={"dilation": rate})
    network = RelaxedNetwork(builder.finish("a"), (Choice("rate", (1, 2)),))
    with pytest.raises(HwnasError, match="'rate' decides 'dilation', which cannot be mixed"):
        network(torch.zeros(1, 4, 8, 8), {"rate": torch.tensor([0.5, 0.5])})
    assert network(torch.zeros(1, 4, 8, 8), {"rate": torch.tensor([0.0, 1.0])}).shape == (1, 4, 8, 8)


def test_mixings() -> None:
    logits = torch.tensor([1.0, 2.0, -1.0], requires_grad=True)
    torch.testing.assert_close(softmax(logits, 0.5), torch.softmax(2 * logits, 0))
    torch.testing.assert_close(sigmoid(logits), torch.sigmoid(logits))
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([gumbel_softmax(logits, 0.1, generator=generator) for _ in range(2000)])
    counts = torch.bincount(drawn.argmax(1), minlength=3) / 2000
    torch.testing.assert_close(counts, torch.softmax(logits, 0).detach(), atol=0.04, rtol=0)
    path = sampled(logits, generator=generator)
    assert sorted(path.tolist()) == [0.0, 0.0, 1.0]
    assert not path.requires_grad
    soft = softmax(logits)
    straight_through(soft)[1].backward()
    expected = torch.autograd.grad(softmax(logits)[1], logits)[0]
    torch.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_depthwise_gradients_are_the_library_s(kernel: int, stride: int, dilation: int) -> None:
    for size in ((8, 10), (9, 11)):
        x = torch.randn(2, 3, *size, dtype=F64, requires_grad=True)
        weight = torch.randn(3, 1, kernel, kernel, dtype=F64, requires_grad=True)
        ours = depthwise(x, weight, stride, dilation)
        theirs = F.conv2d(x, weight, None, stride, dilation * (kernel - 1) // 2, dilation, 3)
        probe = torch.randn_like(theirs)
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(
            torch.autograd.grad(ours, [x, weight], probe), torch.autograd.grad(theirs, [x, weight], probe)
        )


@pytest.mark.parametrize("affine", [False, True])
def test_a_mixed_sum_is_the_sum_of_its_branches(affine: bool) -> None:
    def random(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=F64, requires_grad=True)

    def norm(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
        return F.batch_norm(x, None, None, scale, shift, True, 0.1, 1e-5)

    xs, kernels, weights, maps = [random(3, 4, 5, 6) for _ in range(3)], [random(7, 4) for _ in range(3)], [], []
    scales = [random(7) if affine else None for _ in range(3)]
    shifts = [random(7) if affine else None for _ in range(3)]
    weights, maps = [random() for _ in range(4)], [random(3, 7, 5, 6) for _ in range(3)]
    own = [None, weights[0], weights[1]]
    tails = [Tail(*parts) for parts in zip(xs, kernels, scales, shifts, [1e-5] * 3, own, strict=True)]
    ours = mixed_sum(tails, [(maps[0], weights[2]), (maps[1], None), (maps[2], weights[3])])
    branches = [
        norm(F.conv2d(x, k[:, :, None, None]), s, t) for x, k, s, t in zip(xs, kernels, scales, shifts, strict=True)
    ]
    theirs = branches[0] + weights[0] * branches[1] + weights[1] * branches[2]
    theirs = theirs + weights[2] * maps[0] + maps[1] + weights[3] * maps[2]
    leaves = [leaf for leaf in (*xs, *kernels, *scales, *shifts, *weights, *maps) if leaf is not None]
    probe = torch.randn_like(theirs)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, leaves, probe), torch.autograd.grad(theirs, leaves, probe, retain_graph=True)
    )
    some = [leaf for leaf in (xs[0], kernels[0], scales[0], shifts[0]) if leaf is not None]
    torch.testing.assert_close(
        torch.autograd.grad(normalised(tails[0]), some, probe),
        torch.autograd.grad(F.relu(branches[0]), some, probe),
    )


def test_partial_channels_work_on_a_part_and_weigh_edges() -> None:
    graph = ONE_CELL.supergraph((3, 16, 16), 4)
    partial = partial_channels(graph, ONE_CELL.relaxation, 2)
    assert len(partial.choices) == len(ONE_CELL.relaxation) + 4
    edges = next(choice for choice in partial.choices if choice.name == "reduce.node2.edges")
    assert edges.options == tuple(f"reduce.node2.from{state}" for state in range(4))
    network = RelaxedNetwork(partial.graph, partial.choices, affine=False).double()
    whole = RelaxedNetwork(graph, ONE_CELL.relaxation, affine=False)
    count = [sum(p.numel() for n, p in each.named_parameters() if "/from" in n) for each in (network, whole)]
    assert count[0] < 0.5 * count[1]
    weights = soft_weights(partial.choices)
    out, found = gradients(network, torch.randn(2, 3, 16, 16, dtype=F64), weights)
    assert out.shape == (2, 4, 1, 1)
    assert all(float(part.abs().sum()) > 0 for part in found[-4:]), "edges get gradients"

    folded = partial.folded({name: vector.detach().numpy() for name, vector in weights.items()})
    assert set(folded) == {choice.name for choice in ONE_CELL.relaxation}
    edge, ops = (weights[f"reduce.node2.{name}"].detach().numpy() for name in ("edges", "from1"))
    np.testing.assert_allclose(folded["reduce.node2.from1"], ops * edge[1])
    check(ONE_CELL, ONE_CELL.derive(folded))


def test_partial_channels_must_divide() -> None:
    with pytest.raises(HwnasError, match="cannot be split into 3 parts"):
        partial_channels(ONE_CELL.supergraph((3, 16, 16), 4), ONE_CELL.relaxation, 3)
    builder = GraphBuilder((4, 8, 8))
    with pytest.raises(HwnasError, match="nothing in the supergraph is a mixed op"):
        partial_channels(builder.finish(builder.add("a", "relu", ["image"])), (), 2)


def test_gates_of_several_choices_weigh_by_their_product() -> None:
    builder = GraphBuilder((2, 4, 4))
    builder.add("sum", "add", ["image"], gates={0: All(Is("a", 1), Is("b", 2))})
    network = RelaxedNetwork(builder.finish("sum"), (Choice("a", (0, 1)), Choice("b", (1, 2))))
    image = torch.ones(1, 2, 4, 4)
    out = network(image, {"a": torch.tensor([0.3, 0.7]), "b": torch.tensor([0.5, 0.5])})
    torch.testing.assert_close(out, 0.35 * image)
