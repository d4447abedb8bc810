"""Backbones that are taken as given: which nodes they are, what they begin, and their features on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_nets import CLASSES, SIZE_HW, TinySpace, tiny_images

from hwnas.compiler.network import compile_graph
from hwnas.compiler.tail import Front, Tail, boundary
from hwnas.errors import HwnasError
from hwnas.progress import Silent
from hwnas.search.backbone import (
    Backbone,
    backbone_graph,
    backbone_state,
    reference_graph,
    takes_backbone,
    untouched,
)
from hwnas.search.evaluators import feature_cache
from hwnas.search.evaluators.feature_cache import CropPlan, features_of
from hwnas.search.evaluators.features import FeatureEvaluator, least_crop
from hwnas.search.evaluators.training import TrainingPlan
from hwnas.search.strategy import Request
from hwnas.skeletons.base import expand
from hwnas.spaces.base import SPACES
from hwnas.supernet.shared import SharedWeights
from hwnas.training.recipe import Recipe

SPACE, SHAPE = TinySpace(), (3, *SIZE_HW)
FIXED = {"stem/conv", "stage1/block1", "stage2/block1"}
DEEP = Request({"first": "conv_3x3", "depth": 2, "second": "ds_conv_3x3"}, 0)


def backbone(source: str = "drawn from seed 1") -> Backbone:
    return Backbone(compile_graph(reference_graph(SPACE, SHAPE, CLASSES), seed=1).state_dict(), source)


def graph_at(shape: tuple[int, int, int]) -> object:
    return expand(SPACE.decode(DEEP.decisions).genotype, shape, CLASSES)


def test_untouched_are_the_nodes_before_the_head_that_no_choice_changes() -> None:
    assert untouched(SPACE, SHAPE, CLASSES) == FIXED
    with pytest.raises(HwnasError, match="no backbone that could be frozen"):
        untouched(SPACES.get("realtime"), (3, 64, 96), CLASSES)


def test_spaces_that_take_a_backbone_say_so() -> None:
    registered = [name for name in SPACES.names() if not name.startswith("tiny")]  # other tests register their own
    taking = [name for name in registered if takes_backbone(SPACES.get(name))]
    assert taking == ["auxcells", "crnas", "crnas-mobilenetv2", "crnas-resnet101", "crnas-resnet18", "dpc"]


def test_backbone_is_trained_with_a_plain_head_that_is_no_part_of_it() -> None:
    graph = backbone_graph(SPACE, SHAPE, CLASSES)
    assert graph.shape(graph.output) == (CLASSES, *SIZE_HW)
    assert set(graph.order) == FIXED | {"backbone/classifier", "backbone/upsample"}
    assert {name.split(".")[0] for name in backbone_state(SPACE, SHAPE, CLASSES)} == FIXED
    reference = backbone_graph(SPACES.get("crnas-resnet18"), SHAPE, CLASSES)
    assert "stage4/block2" in reference.order and reference.output == "upsample"


def test_training_begins_with_its_weights_and_new_ones_elsewhere() -> None:
    given = {name: tensor for name, tensor in backbone().tensors.items() if name.startswith("stem")}
    misshaped = {"stage1/block1.conv.weight": torch.zeros(1)}
    graph = reference_graph(SPACE, SHAPE, CLASSES)
    state = Backbone({**given, **misshaped}, "x").start(graph, seed=3)
    new = compile_graph(graph, seed=3).state_dict()
    for name, tensor in state.items():
        assert torch.equal(tensor, given.get(name, new[name]))


def test_supernet_begins_with_its_weights_where_they_fit() -> None:
    shared = SharedWeights.for_space(SPACE, SHAPE, CLASSES, np.random.default_rng(0), samples=10)
    ours = backbone()
    assert ours.into(shared) >= 9
    assert torch.equal(shared.tensors["stem/conv|conv|conv.weight"], ours.tensors["stem/conv.conv.weight"])


def test_front_and_tail_together_are_the_network() -> None:
    network = compile_graph(graph_at(SHAPE), seed=0).eval()  # type: ignore[arg-type]
    nodes = boundary(network.graph, FIXED)
    assert nodes == ("stage2/block1",)
    images = torch.randn(2, *SHAPE)
    with torch.no_grad():
        assert torch.equal(Tail(network, nodes)(Front(network, nodes)(images)), network(images))
    names = {name.split(".")[0] for name, _ in Tail(network, nodes).named_parameters()}
    assert names == {"decoder/first", "decoder/second", "decoder/classifier"}


def test_features_on_disk_are_the_backbones(tmp_path: Path) -> None:
    images, ours = tiny_images(), backbone()
    crops = CropPlan((16, 24), 2, seed=0)
    made = features_of(graph_at, ("stage2/block1",), images, crops, ours, tmp_path, Silent())  # type: ignore[arg-type]
    train, held = made.train["stage2/block1"], made.held["stage2/block1"]
    assert isinstance(train, np.memmap) and train.dtype == np.float16
    assert train.shape == (16, 16, 2, 3) and made.masks.shape == (16, 16, 24) and held.shape == (4, 16, 4, 6)
    network = compile_graph(graph_at(SHAPE), seed=0).eval()  # type: ignore[arg-type]
    network.load_state_dict(ours.start(network.graph, 0))
    from hwnas.data.preprocess import normalize

    with torch.no_grad():
        values = Front(network, ["stage2/block1"])(normalize(torch.from_numpy(images.arrays.images[images.held])))
    assert np.allclose(values["stage2/block1"].numpy(), held, atol=5e-3)
    index, top, left = crops.windows(images)[3]
    assert (made.masks[3] == images.arrays.masks[index][top : top + 16, left : left + 24]).all()


def test_features_are_computed_once_and_anew_where_anything_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    original = feature_cache._write
    monkeypatch.setattr(feature_cache, "_write", lambda *args: (passes.append(1), original(*args)))

    def ask(crops: CropPlan, ours: Backbone) -> None:
        features_of(graph_at, ("stage2/block1",), tiny_images(), crops, ours, tmp_path, Silent())  # type: ignore[arg-type]

    ask(CropPlan((16, 24), 1, 0), backbone())
    ask(CropPlan((16, 24), 1, 0), backbone())
    assert len(passes) == 1
    ask(CropPlan((16, 24), 2, 0), backbone())
    ask(CropPlan((16, 24), 1, 0), backbone("another training"))
    assert len(passes) == 3
    for entry in tmp_path.iterdir():
        (entry / "entry.json").unlink()  # damaged
    ask(CropPlan((16, 24), 1, 0), backbone())
    assert len(passes) == 4


def test_frozen_backbone_stays_as_it_is_and_must_be_trained(tmp_path: Path) -> None:
    plan = TrainingPlan(steps=3, recipe=Recipe(batch=4, crop=1.0))
    ours = backbone()
    before = {name: tensor.clone() for name, tensor in ours.tensors.items()}
    FeatureEvaluator(SPACE, tiny_images(), plan, ours, cache=tmp_path).evaluate(DEEP)
    assert all(torch.equal(tensor, before[name]) for name, tensor in ours.tensors.items())
    with pytest.raises(HwnasError, match="freezes a backbone, and there is no trained one"):
        FeatureEvaluator(SPACE, tiny_images(), plan, None, cache=tmp_path)


def test_features_time_limit_is_an_outcome(tmp_path: Path) -> None:
    plan = TrainingPlan(steps=50, recipe=Recipe(batch=4, crop=1.0), time_limit_s=1e-6)
    outcome = FeatureEvaluator(SPACE, tiny_images(), plan, backbone(), cache=tmp_path).evaluate(DEEP)
    assert outcome.status == "failed" and "over the time limit" in outcome.note


def test_crops_are_large_enough_for_the_space() -> None:
    assert least_crop(SPACE, SIZE_HW, CLASSES) == (32, 32)
    height, width = least_crop(SPACES.get("dpc"), (480, 640), CLASSES)
    assert height >= 352 and width >= 352 and (height, width) != (480, 640)
    with pytest.raises(HwnasError, match="too small for the space dpc"):
        least_crop(SPACES.get("dpc"), (240, 320), CLASSES)
