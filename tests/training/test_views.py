"""Several views of an image: one plain view is the ordinary score; a mirrored one cannot be told from none by a
network that sees single pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_world import CLASSES, colored_tiles, tiny

from hwnas.compiler.network import compile_graph
from hwnas.errors import HwnasError
from hwnas.ir.opgraph import GraphBuilder
from hwnas.training.metrics import evaluate
from hwnas.training.views import Views, evaluate_views, parse_scales

ARRAYS = colored_tiles(3)


def pixelwise(shape):
    builder = GraphBuilder(shape)
    return builder.finish(builder.add("classifier", "seg_head", ["image"], {"classes": CLASSES}))


def test_one_plain_view_is_the_ordinary_score() -> None:
    network = compile_graph(tiny((3, 64, 64)), seed=0).eval()
    assert evaluate_views(network, tiny, ARRAYS, CLASSES, Views(), batch=2) == evaluate(network, ARRAYS, CLASSES)


def test_mirrored_views_of_single_pixels_agree() -> None:
    network = compile_graph(pixelwise((3, 64, 64)), seed=3)
    plain, both = (evaluate_views(network, pixelwise, ARRAYS, CLASSES, Views(flip=flip)) for flip in (False, True))
    assert plain == both


def test_views_are_averaged() -> None:
    network = compile_graph(tiny((3, 64, 64)), seed=0).eval()
    several = evaluate_views(network, tiny, ARRAYS, CLASSES, Views((0.5, 1.0, 1.5), flip=True))
    assert 0 <= several.miou <= 1 and several != evaluate(network, ARRAYS, CLASSES)
    assert not any(parameter.grad is not None for parameter in network.parameters())
    assert torch.is_grad_enabled()


def test_sizes_are_multiples_of_four() -> None:
    assert Views((0.75, 1.0, 1.25)).sizes((361, 480)) == [(272, 360), (361, 480), (452, 600)]


@pytest.mark.parametrize("text", ["", "1,x", "1;2"])
def test_error_on_what_are_no_scales(text: str) -> None:
    with pytest.raises(HwnasError, match="no scales"):
        parse_scales(text)


@pytest.mark.parametrize("scales", [(), (1.0, 1.0), (0.0,), (9.0,), (float("nan"),)])
def test_error_on_scales_that_cannot_be(scales) -> None:
    with pytest.raises(HwnasError):
        Views(scales)
    assert np.allclose(parse_scales("0.75,1,1.25"), (0.75, 1, 1.25))
