"""What a supernet learns from beside the labels: heads that only training looks at, and teachers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwnas.data.cache import Arrays
from hwnas.ir.gates import Is
from hwnas.ir.opgraph import GraphBuilder
from hwnas.ir.passes.simplify import simplify
from hwnas.search.gradient.fasterseg import prepare
from hwnas.search.gradient.fitting import SegmentationLoss, crop_shape
from hwnas.search.gradient.order import Order
from hwnas.skeletons.base import expand
from hwnas.spaces.base import Choice
from hwnas.spaces.fasterseg import FasterSegSpace
from hwnas.supernet.relaxed import RelaxedNetwork
from hwnas.training.device import make_fabric
from hwnas.training.distill import Distillation, divergence
from hwnas.training.recipe import Recipe
from tests.search.gradient.free_budget import Free

RECIPE = Recipe(batch=2, crop=1.0, scale=(1.0, 1.0), auxiliary_weight=0.5, loss_stride=1)
CHOICE = Choice("op", ("conv_3x3", "skip_connect"))


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (2, 8, 8), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    return Arrays(rng.integers(0, 255, (2, 64, 64, 3), dtype=np.uint8), masks, ("a", "b"))


def batch(arrays: Arrays) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.from_numpy(arrays.images).permute(0, 3, 1, 2).float() / 255
    return images, torch.from_numpy(arrays.masks).long()


def with_head():
    """A supergraph of one open op, with a head on what comes before it."""
    builder = GraphBuilder((3, 64, 64))
    stem = builder.add("stem", "conv_3x3", ["image"], {"channels": 8, "stride": 2})
    ends = [
        builder.add(f"block/{op}", op, [stem], {"channels": 8} if op == "conv_3x3" else {}) for op in CHOICE.options
    ]
    gates = {slot: Is("op", op) for slot, op in enumerate(CHOICE.options)}
    block = builder.add("block", "add", ends, gates=gates)
    logits = [
        builder.add(name, "seg_head", [value], {"classes": 3}) for name, value in (("main", block), ("hint", stem))
    ]
    upsampled = [builder.add(f"{name}/up", "resize_bilinear", [name], {"height": 64, "width": 64}) for name in logits]
    return builder.finish(upsampled[0], upsampled[1:])


def test_heads_and_teachers_add_to_the_loss_of_a_supernet(arrays):
    network = RelaxedNetwork(with_head(), [CHOICE], seed=0)
    given, weights = batch(arrays), {"op": torch.tensor([0.7, 0.3])}
    shown = torch.randn(2, 3, 16, 16)
    teacher = Distillation(lambda images: shown, weight=2.0, temperature=1.5, stride=1)
    fabric = make_fabric(RECIPE, threads=1)
    plain, loss = (
        SegmentationLoss.of(network, fabric, RECIPE, arrays, np.arange(2), 3, teachers) for teachers in ((), (teacher,))
    )
    logits, hint = (network(given[0], weights, output=name) for name in ("main", "hint"))
    labels = plain.loss_of(logits, given[1]) + 0.5 * plain.loss_of(hint, given[1])
    torch.testing.assert_close(plain(weights, given), labels)
    size = given[1].shape[1:]
    wanted, found = (torch.nn.functional.interpolate(each, size, mode="bilinear") for each in (shown, logits))
    distance = 2.0 * divergence(found, wanted, given[1], 1.5)
    torch.testing.assert_close(loss(weights, given), labels + distance)


def test_a_network_that_is_taken_out_has_no_heads(arrays):
    network = RelaxedNetwork(with_head(), [CHOICE], seed=0)
    builder = GraphBuilder((3, 64, 64))
    stem = builder.add("s", "conv_3x3", ["image"], {"channels": 8, "stride": 2})
    conv = builder.add("c", "conv_3x3", [stem], {"channels": 8})
    logits = builder.add("l", "seg_head", [conv], {"classes": 3})
    graph = builder.finish(builder.add("u", "resize_bilinear", [logits], {"height": 64, "width": 64}))
    own = network.weights_for(graph, {"op": "conv_3x3"})
    torch.testing.assert_close(own["c.conv.weight"], network.state_dict()["blocks.block/conv_3x3.conv.weight"])


def test_fasterseg_s_branches_have_heads_and_its_student_a_teacher(arrays):
    space, fabric = FasterSegSpace(layers=4, filters=1), make_fabric(RECIPE, threads=1)
    seen: list[int] = []

    def loss(network, *teachers):
        seen.append(len(teachers))
        return SegmentationLoss.of(network, fabric, RECIPE, arrays, np.arange(2), 3, teachers)

    def expected(weights):
        return torch.stack([vector @ torch.arange(1.0, len(vector) + 1) for vector in weights.values()]).sum()

    def order(**options):
        given = {"learn_from": 0, **options}
        return Order(space, crop_shape(RECIPE, arrays), 3, loss, RECIPE, expected, Free(), 0, options=given)

    prepared = prepare(order())
    assert len(prepared.network.graph.auxiliary) == 2 and seen == [1, 0], "the student is taught, the teacher is not"
    prepared.step.begin(0.5)
    figures = prepared.step.step(batch(arrays), batch(arrays))
    assert {"loss", "val_loss", "expected_ms", "teacher_loss", "teacher_val_loss"} <= set(figures)
    assert all(np.isfinite(value) for value in figures.values())
    decisions = space.derive(prepared.step.relaxation())
    graph = simplify(expand(space.decode(decisions).genotype, (3, 64, 64), 3))
    assert prepared.network.weights_for(graph, space.embed(decisions))
    assert not prepare(order(auxiliary=0, distillation=0)).network.graph.auxiliary
    assert seen[-2:] == [0, 0]
