"""Pretrained weights of other libraries: matched by name, and then our features are theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from their_networks import MobileNetV2, ResNet, resnet
from torch import nn

from hwnas.compiler.keymap import keymap_names, load_keymap, match, read_pretrained
from hwnas.compiler.network import compile_graph
from hwnas.compiler.tail import Front
from hwnas.errors import HwnasError, RunError
from hwnas.search.backbone import backbone_graph, backbone_state
from hwnas.spaces.base import SPACES

SHAPE = (3, 64, 96)


def trained(network: nn.Module) -> nn.Module:
    """With statistics as of a training."""
    generator = torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None and part.running_var is not None
            part.running_mean.copy_(0.1 * torch.randn(part.num_features, generator=generator))
            part.running_var.copy_(0.5 + torch.rand(part.num_features, generator=generator))
    return network.eval()


@pytest.mark.parametrize(
    ("keymap", "space", "theirs", "last", "tensors"),
    [
        ("torchvision-mobilenet_v2", "crnas-mobilenetv2", MobileNetV2, "stage6/block1", 306),
        ("torchvision-resnet18", "crnas-resnet18", lambda: resnet("resnet18"), "stage4/block2", 120),
        ("torchvision-resnet50", "crnas", lambda: resnet("resnet50"), "stage4/block3", 318),
    ],
)
@torch.inference_mode()
def test_our_features_are_theirs(keymap: str, space: str, theirs: type[nn.Module], last: str, tensors: int) -> None:
    torch.manual_seed(0)
    network = trained(theirs())
    found = match(network.state_dict(), load_keymap(keymap), backbone_state(SPACES.get(space), SHAPE, 4))
    assert (len(found.tensors), found.missing, found.wrong_shape, found.layout) == (tensors, (), (), space)
    assert all(name.startswith(("classifier", "features.18", "fc")) for name in found.unused)
    ours = compile_graph(backbone_graph(SPACES.get(space), SHAPE, 4), seed=0)
    ours.load_state_dict(found.tensors, strict=False)
    images = torch.randn(2, *SHAPE)
    expected = network(images)
    assert torch.allclose(Front(ours.eval(), [last])(images)[last], expected, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(("space", "missing"), [("dpc", 0), ("auxcells", 5)])
def test_mobilenet_in_other_skeletons(space: str, missing: int) -> None:
    """Nekrasov et al.'s first block has a 1x1 convolution that torchvision's has not."""
    shape = (3, 352, 352)
    found = match(
        MobileNetV2().state_dict(), load_keymap("torchvision-mobilenet_v2"), backbone_state(SPACES.get(space), shape, 4)
    )
    assert found.layout == space and not found.wrong_shape
    assert len(found.missing) == missing
    assert all(name.startswith("encoder/layer0/block1.expand") for name in found.missing)


def test_timm_names_its_mobilenet_otherwise() -> None:
    """The same tensors under timm's names: ``blocks.<layer>.<block>.conv_pw`` and so on."""
    theirs = MobileNetV2().state_dict()
    ours, timm = load_keymap("torchvision-mobilenet_v2"), load_keymap("timm-mobilenetv2_100")
    assert ours is not None and timm is not None
    back = {place: module for module, place in timm.modules.items()}
    renamed = {}
    for key, tensor in theirs.items():
        module, _, parameter = key.rpartition(".")
        if module in ours.modules:
            renamed[f"{back[ours.modules[module]]}.{parameter}"] = tensor
    assert "blocks.1.0.conv_pwl.weight" in renamed and "blocks.0.0.conv_pw.weight" in renamed
    state = backbone_state(SPACES.get("crnas-mobilenetv2"), SHAPE, 4)
    assert len(match(renamed, timm, state).tensors) == 306


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "model.encoder."])
def test_what_stands_before_the_names_is_seen_through(prefix: str) -> None:
    theirs = {prefix + key: tensor for key, tensor in resnet("resnet18").state_dict().items()}
    state = backbone_state(SPACES.get("crnas-resnet18"), SHAPE, 4)
    found = match({**theirs, "head.weight": torch.zeros(3)}, load_keymap("torchvision-resnet18"), state)
    assert len(found.tensors) == 120 and "head.weight" in found.unused


def test_report_says_what_did_not_match_by_name_and_by_shape() -> None:
    theirs = dict(ResNet((2, 2, 2, 1), False).state_dict())
    theirs["layer1.0.conv1.weight"] = torch.zeros(64, 64, 5, 5)
    state = backbone_state(SPACES.get("crnas-resnet18"), SHAPE, 4)
    found = match(theirs, load_keymap("torchvision-resnet18"), state)
    assert [(row[1], row[2], row[3]) for row in found.wrong_shape] == [
        ("stage1/block1_a.conv.weight", (64, 64, 5, 5), (64, 64, 3, 3))
    ]
    assert {name.split(".")[0] for name in found.missing} == {"stage4/block2_a", "stage4/block2_b"}
    text = "\n".join(found.lines())
    assert "89 of 100 tensors" in text and "stage1/block1_a.conv.weight (64x64x3x3, theirs 64x64x5x5)" in text
    assert found.to_dict()["matched"] == len(found.tensors)


def test_unknown_keymap_offers_the_nearest() -> None:
    with pytest.raises(HwnasError, match="did you mean torchvision-mobilenet_v2"):
        load_keymap("torchvison-mobilenet_v2")
    assert len(keymap_names()) == 9 and load_keymap("hwnas") is None


def test_weights_of_another_network_are_an_error() -> None:
    state = backbone_state(SPACES.get("crnas-resnet18"), SHAPE, 4)
    with pytest.raises(HwnasError, match=r"none of the \d+ pretrained tensors fits"):
        match(MobileNetV2().state_dict(), load_keymap("torchvision-resnet18"), state)


def test_pickle_is_refused_with_how_to_convert_it(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"a": torch.zeros(1)}, path)
    renamed = tmp_path / "net.safetensors"
    renamed.write_bytes(path.read_bytes())
    for each in (path, renamed):
        with pytest.raises(RunError, match="is a pickle") as caught:
            read_pretrained(each)
        assert "save_file" in caught.value.hint and "weights_only=True" in caught.value.hint


def test_file_without_our_metadata_is_read_and_a_damaged_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"conv1.weight": torch.ones(2)}, str(path))
    assert list(read_pretrained(path)) == ["conv1.weight"]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(RunError, match="damaged"):
        read_pretrained(path)
    with pytest.raises(RunError, match="cannot read"):
        read_pretrained(tmp_path / "none.safetensors")
