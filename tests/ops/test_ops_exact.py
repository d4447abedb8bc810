"""Every op's rules against what torch makes of its module: shape, multiplications, parameters."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hwnas.errors import GenotypeError
from hwnas.ops.spec import OPS, OpSpec
from hwnas.shapes import Params, Shape

SHAPES: tuple[Shape, ...] = ((8, 12, 15), (6, 11, 15), (16, 23, 30), (5, 7, 6), (12, 6, 13), (1, 9, 9), (6, 2, 3))
OPTIONS: dict[str, tuple[object, ...]] = {
    "channels": (5, 8, 24),
    "stride": (1, 2),
    "dilation": (1, 2, 3),
    "groups": (1, 2),
    "activation": ("relu", "none", "hswish", "sigmoid", "prelu"),
    "height": (4, 31),
    "width": (5, 30),
    "interpolation": ("bilinear", "nearest"),
    "bins": ((1, 2, 3, 6), (1, 4), (5,), 1, 4),
    "classes": (2, 11),
    "expansion": (1, 3),
    "bias": (True, False),
    "always_expand": (False, True),
    "expand_groups": (1, 2),
    "project_groups": (1, 2),
    "shuffle": (False, True),
    "hidden": (0, 6),
    "repeats": (1, 3),
    "kernel": (2, 3, 5, 7),
    "row_stride": (1, 3),
    "column_stride": (2, 5),
    "rates": ((1, 2), (3, 1)),
    "grid": ((1, 2), (4, 1), (2, 2)),
    "inverse": (False, True),
    "asymmetric": (False, True),
    "parts": (1, 2),
    "index": (0, 1),
    "relu": ("last", "first", "none"),
    "widen_first": (False, True),
    "norm": (True, False),
    "padded": (False, True),
}
"""Values of parameters by their names; an op takes those that its rules allow."""
SECOND: dict[str, Callable[[Shape], list[Shape]]] = {
    "enet_upsample": lambda shape: [(shape[0], shape[1] // 2, shape[2] // 2), (3, *shape[1:])],
    "conv_transpose_3x3": lambda shape: [(shape[0], (shape[1] + 1) // 2, (shape[2] + 1) // 2), (3, *shape[1:])],
    "gate": lambda shape: [shape, (1, *shape[1:]) if shape[0] % 3 else (shape[0], 1, 1)],
}
"""Ops whose inputs must differ → their shapes; all others get one shape for all."""
MOST = 32
"""Combinations at most for each shape; a seeded draw where there are more."""


def cases(spec: OpSpec) -> Iterator[tuple[list[Shape], Params]]:
    """All shapes, each with a third of the parameter combinations, so that all are met."""
    combinations = list(itertools.product(*(options(spec, name) for name in spec.defaults)))
    for index, shape in enumerate(SHAPES):
        chosen = combinations[index % 3 :: 3] or combinations
        chosen = random.Random(index).sample(chosen, MOST) if len(chosen) > MOST else chosen
        for combination in chosen:
            params = spec.complete(dict(zip(spec.defaults, combination, strict=True)))  # type: ignore[arg-type]
            yield input_shapes(spec, shape, 3), params


def options(spec: OpSpec, name: str) -> list[object]:
    """Values that the op's rule for the parameter allows."""
    allowed = []
    for value in OPTIONS[name]:
        try:
            spec.check({name: value})  # type: ignore[dict-item]
            allowed.append(value)
        except GenotypeError:
            continue
    return allowed


def input_shapes(spec: OpSpec, shape: Shape, count: int = 2) -> list[Shape]:
    """Shapes of the op's inputs, ``count`` of them where it takes any number."""
    return SECOND[spec.name](shape) if spec.name in SECOND else [shape] * (spec.arity or count)


def fits(spec: OpSpec, shapes: list[Shape], params: Params) -> bool:
    try:
        return min(spec.infer_shape(shapes, params)) >= 1
    except GenotypeError:
        return False


def fitting(spec: OpSpec, shape: Shape) -> Params:
    """The first options of all parameters, or the last where those do not fit."""
    shapes = input_shapes(spec, shape)
    choices = [spec.complete({key: options(spec, key)[place] for key in spec.defaults}) for place in (0, -1)]  # type: ignore[misc]
    return choices[0] if fits(spec, shapes, choices[0]) else choices[1]


def check(spec: OpSpec, shapes: list[Shape], params: Params) -> None:
    module = spec.module(shapes, params).build().eval()
    inputs = [torch.randn(1, *shape) for shape in shapes]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        output = module(*inputs)
    told = f"{spec.name} {dict(params)} on {shapes}"
    assert tuple(output.shape[1:]) == spec.infer_shape(shapes, params), told
    assert counter.get_total_flops() == 2 * spec.macs(shapes, params), told
    assert sum(parameter.numel() for parameter in module.parameters()) == spec.weights(shapes, params), told
    assert torch.isfinite(output).all(), told


@pytest.mark.parametrize("name", OPS.names())
def test_rules_equal_what_torch_computes(name: str) -> None:
    spec = OPS.get(name)
    checked = 0
    for shapes, params in cases(spec):
        if fits(spec, shapes, params):
            check(spec, shapes, params)
            checked += 1
    assert checked >= 4


def test_merges_of_one_and_of_unequal_inputs() -> None:
    for name in ("add", "mul", "concat"):
        check(OPS.get(name), [(4, 5, 6)], {})
    check(OPS.get("concat"), [(4, 5, 6), (1, 5, 6), (7, 5, 6)], {})
    for name, other in (("add", (5, 5, 6)), ("mul", (4, 6, 6)), ("concat", (4, 5, 7))):
        with pytest.raises(GenotypeError, match="input 1"):
            OPS.get(name).infer_shape([(4, 5, 6), other], {})


@pytest.mark.parametrize("name", OPS.names())
def test_parameters_do_not_depend_on_the_image_size(name: str) -> None:
    """The trainer crops: what was trained at one size must load at another."""
    spec = OPS.get(name)
    params = fitting(spec, (8, 7, 7))
    states = [
        spec.module(input_shapes(spec, (8, height, width)), params).build().state_dict()
        for height, width in ((12, 16), (30, 7))
    ]
    assert [(key, value.shape) for key, value in states[0].items()] == [
        (key, value.shape) for key, value in states[1].items()
    ]


@pytest.mark.parametrize("name", [name for name in OPS.names() if OPS.get(name).fan_in])
def test_fan_in_parameters_have_the_input_channels_as_second_dimension(name: str) -> None:
    spec = OPS.get(name)
    params = spec.complete({key: value for key, value in {"channels": 7, "classes": 7}.items() if key in spec.defaults})
    narrow, wide = (dict(spec.module([(c, 8, 8)], params).build().named_parameters()) for c in (10, 12))
    assert set(spec.fan_in) <= set(narrow)
    for key in spec.fan_in:
        assert (narrow[key].shape[1], wide[key].shape[1]) == (10, 12)


@pytest.mark.parametrize("name", [name for name in OPS.names() if OPS.get(name).per_channel])
def test_per_channel_ops_keep_channels_apart(name: str) -> None:
    spec = OPS.get(name)
    needed = {"height": 9, "width": 5, "kernel": 3, "row_stride": 2, "column_stride": 2, "bins": 3}
    params = spec.complete({key: value for key, value in needed.items() if key in spec.defaults})
    shapes = [(6, 8, 7)] * (spec.arity or 2)
    module = spec.module(shapes, params).build().eval()
    inputs = [torch.randn(1, *shape) for shape in shapes]
    changed = [value.clone() for value in inputs]
    for value in changed:
        value[:, 2] += 1
    with torch.no_grad():
        before, after = module(*inputs), module(*changed)
    others = [0, 1, 3, 4, 5]
    assert torch.equal(before[:, others], after[:, others])


def test_no_op_changes_its_inputs() -> None:
    for name in OPS.names():
        spec = OPS.get(name)
        params, shapes = fitting(spec, (8, 12, 15)), input_shapes(spec, (8, 12, 15))
        inputs = [torch.randn(2, *shape) for shape in shapes]
        before = [value.clone() for value in inputs]
        spec.module(shapes, params).build()(*inputs)
        assert all(torch.equal(value, old) for value, old in zip(inputs, before, strict=True)), name


def test_resize_like_takes_channels_from_the_first_and_size_from_the_second() -> None:
    for shapes in ([(4, 5, 6), (7, 10, 13)], [(4, 9, 9), (2, 3, 4)]):
        assert OPS.get("resize_like").infer_shape(shapes, {}) == (4, *shapes[1][1:])
        check(OPS.get("resize_like"), shapes, {})
