"""What every evaluator must keep to.

``make(images, folder)`` makes one over :class:`tiny_nets.TinySpace`; it may leave files in ``folder``. Each check is a
function.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tiny_nets import TinySpace, tiny_images

from hwnas.data.base import IGNORE
from hwnas.search.evaluators.base import IdentifiedEvaluator
from hwnas.search.evaluators.images import Images
from hwnas.search.strategy import Request

Make = Callable[[Images, Path], IdentifiedEvaluator]

DEEP = Request({"first": "conv_3x3", "depth": 2, "second": "ds_conv_3x3"}, 0)
FLAT = Request({"first": "conv_1x1", "depth": 1}, 1)


def check_scores_the_request(make: Make, folder: Path) -> None:
    evaluator = make(tiny_images(), folder)
    for request in (DEEP, FLAT):
        outcome = evaluator.evaluate(request)
        assert outcome.request is request and outcome.status == "ok", outcome
        assert 0 < outcome.values["miou"] <= 1


def check_is_deterministic(make: Make, folder: Path) -> None:
    """Whatever the global random states are, whatever was evaluated before."""
    first, second = make(tiny_images(), folder / "a"), make(tiny_images(), folder / "b")
    torch.manual_seed(1)
    np.random.seed(1)
    second.evaluate(FLAT)
    assert first.evaluate(DEEP).values == second.evaluate(DEEP).values


def check_leaves_the_global_random_state(make: Make, folder: Path) -> None:
    evaluator = make(tiny_images(), folder)
    torch.manual_seed(5)
    evaluator.evaluate(DEEP)
    after = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(3))


def check_score_is_read_on_held_out_images_alone(make: Make, folder: Path) -> None:
    images = tiny_images()
    masks = images.arrays.masks.copy()
    masks[images.held] = IGNORE
    blind = replace(images, arrays=replace(images.arrays, masks=masks), identity="blind")
    assert make(blind, folder).evaluate(DEEP).values["miou"] == 0.0


def check_identity_is_json_and_tells_candidates_and_data_apart(make: Make, folder: Path) -> None:
    evaluator, other = make(tiny_images(), folder / "a"), make(tiny_images(seed=1), folder / "b")
    texts = [json.dumps(dict(one.identity(request))) for one in (evaluator, other) for request in (DEEP, FLAT)]
    assert len(set(texts)) == 4
    assert json.dumps(dict(evaluator.identity(replace(DEEP, id=7)))) == texts[0]


def check_running_out_of_memory_is_an_outcome(make: Make, folder: Path) -> None:
    evaluator = make(tiny_images(), folder)
    before = torch.nn.Module.__call__

    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    torch.nn.Module.__call__ = fail  # type: ignore[assignment,method-assign]
    try:
        outcome = evaluator.evaluate(DEEP)
    finally:
        torch.nn.Module.__call__ = before  # type: ignore[method-assign]
    assert (outcome.status, outcome.note) == ("failed", "out of memory")
    assert evaluator.evaluate(DEEP).status == "ok"  # nothing is spoilt by it


def check_network_that_does_not_fit_is_an_outcome(make: Make, folder: Path) -> None:
    class Broken(TinySpace):
        pass

    evaluator = make(tiny_images(), folder)
    outcome = evaluator.evaluate(Request({"first": "max_pool_3x3", "depth": 1}, 3))
    assert outcome.status == "failed" and outcome.note


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]
