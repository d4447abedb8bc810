"""Wrong parameters end in one sentence that names the parameter."""

from __future__ import annotations

import pytest

from hwnas.errors import GenotypeError
from hwnas.ir.opgraph import GraphBuilder
from hwnas.ops.nn.modules import make_activation
from hwnas.ops.params import ACTIVATIONS
from hwnas.ops.spec import OPS
from hwnas.shapes import Value


@pytest.mark.parametrize(
    ("op", "name", "value"),
    [
        ("conv_3x3", "channels", "64"),
        ("conv_3x3", "channels", 0),
        ("conv_3x3", "channels", True),
        ("conv_3x3", "channels", 8.0),
        ("conv_3x3", "stride", 3),
        ("conv_3x3", "stride", True),
        ("conv_3x3", "dilation", 0),
        ("conv_3x3", "groups", -1),
        ("conv_3x3", "activation", "reul"),
        ("conv_3x3", "activation", 1),
        ("mbconv_e4_k5", "channels", (8,)),
        ("max_pool_3x3", "stride", 0),
        ("none", "stride", 4),
        ("resize_bilinear", "height", 0),
        ("pyramid_pool", "bins", ()),
        ("pyramid_pool", "bins", (1, 1)),
        ("pyramid_pool", "bins", (1, "2")),
        ("pyramid_pool", "bins", 3),
        ("seg_head", "classes", 0),
    ],
)
def test_error_names_the_parameter(op: str, name: str, value: Value) -> None:
    needed = {"channels": 8, "height": 8, "width": 8, "classes": 3}
    params = {key: value for key, value in needed.items() if key in OPS.get(op).defaults} | {name: value}
    with pytest.raises(GenotypeError, match=f"parameter '{name}' of op {op} must be"):
        OPS.get(op).complete(params)


def test_error_names_the_node() -> None:
    builder = GraphBuilder((8, 10, 20))
    with pytest.raises(GenotypeError, match=r"node 'a/b' \(conv_3x3 on 8x10x20\): parameter 'channels'"):
        builder.add("a/b", "conv_3x3", ["image"], {"channels": "64"})
    with pytest.raises(GenotypeError, match="3 groups"):
        builder.add("grouped", "conv_3x3", ["image"], {"channels": 9, "groups": 3})


def test_every_default_obeys_its_rule() -> None:
    for name in OPS.names():
        spec = OPS.get(name)
        assert name == spec.name
        assert set(spec.rules) <= set(spec.defaults)
        for key, value in spec.defaults.items():
            if value is not None and key in spec.rules:
                assert spec.rules[key](value) == "", f"{name}.{key}"


def test_every_activation_can_be_made() -> None:
    for name in ACTIVATIONS:
        make_activation(name)
