"""Zero-cost scores against their definitions; the pre-filter; rank correlation; the proxy study."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_nets import CLASSES, SIZE_HW, TinySpace
from torch import nn
from toy_space import depths, miou, toy_problem

from hwnas.compiler.cost import cost_of
from hwnas.compiler.network import compile_graph
from hwnas.errors import HwnasError
from hwnas.progress import Silent
from hwnas.search.evaluators.cached import Cached, EvaluationFile
from hwnas.search.evaluators.zero_cost import ZERO_COST, Probe
from hwnas.search.prefilter import measured_score, prefiltered
from hwnas.search.proxy_study import run_study, sample_nets
from hwnas.search.random_search import RandomSearch
from hwnas.search.ranks import spearman, spearman_interval
from hwnas.search.strategy import Outcome, Request
from hwnas.skeletons.base import expand
from hwnas.training.losses import make_loss
from hwnas.training.recipe import Recipe

DEEP = {"first": "conv_3x3", "depth": 2, "second": "conv_3x3"}


def probe() -> Probe:
    graph = expand(TinySpace().decode(DEEP).genotype, (3, *SIZE_HW), CLASSES)
    images = torch.randn(4, 3, *SIZE_HW, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(4, *SIZE_HW, dtype=torch.uint8)
    masks[:, 16:] = 1
    return Probe(graph, images, masks, make_loss(Recipe()))


def test_scores_are_finite_and_always_the_same() -> None:
    for name in ZERO_COST.names():
        first = ZERO_COST.get(name)(probe())
        torch.manual_seed(7)
        assert math.isfinite(first) and ZERO_COST.get(name)(probe()) == first


def test_counts_are_the_graphs() -> None:
    cost = cost_of(probe().graph)
    assert ZERO_COST.get("params")(probe()) == cost.params
    assert ZERO_COST.get("macs")(probe()) == cost.macs


def test_synflow_of_a_chain_is_its_output_once_for_every_layer() -> None:
    """In a chain of positive linear layers the sum of w · ∂R/∂w over any one layer's weights is R."""
    network = compile_graph(probe().graph, seed=0).double().eval()
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.abs_()
        output = float(network(torch.ones(1, 3, *SIZE_HW, dtype=torch.float64)).sum())
    layers = sum(isinstance(part, nn.Conv2d) for part in network.modules())
    assert ZERO_COST.get("synflow")(probe()) == pytest.approx(math.log(layers * output), rel=1e-4)


def test_naswot_counts_agreeing_activations() -> None:
    network = compile_graph(probe().graph, seed=0).train()
    codes = []
    for part in network.modules():
        if isinstance(part, nn.ReLU):
            part.register_forward_hook(lambda _, __, output: codes.append((output > 0).flatten(1)))
    with torch.no_grad():
        network(probe().images)
    on = torch.cat(codes, 1)
    kernel = torch.stack([(row == on).sum(1) for row in on]).double()
    assert ZERO_COST.get("naswot")(probe()) == pytest.approx(float(torch.linalg.slogdet(kernel)[1]))


def test_unknown_score_offers_the_nearest() -> None:
    with pytest.raises(HwnasError, match="did you mean synflow"):
        ZERO_COST.get("sinflow")


def test_prefilter_lets_only_the_best_part_through() -> None:
    problem = toy_problem(budget_ms=8.0)
    filtered = prefiltered(problem, "depth", lambda decisions: float(depths(decisions).sum()), keep=0.3, seed=0)
    strategy = RandomSearch(filtered, seed=0)
    drawn = [request.decisions for request in strategy.ask(40)]
    plain = [request.decisions for request in RandomSearch(problem, seed=0).ask(40)]
    assert all(filtered.price(decisions)["depth_rank"] <= 0.3 for decisions in drawn)
    assert min(depths(decisions).sum() for decisions in drawn) > np.median([depths(each).sum() for each in plain])
    assert all(problem.feasible(decisions) for decisions in drawn)


def test_prefilter_scores_each_once_and_only_what_is_feasible() -> None:
    scored: list[object] = []

    def score(decisions: object) -> float:
        scored.append(decisions)
        return 1.0

    filtered = prefiltered(toy_problem(budget_ms=3.0), "one", score, keep=0.5, seed=0)
    before = len(scored)
    deep = {f"x{i}": 3 for i in range(1, 8)} | {"x0": 2}
    assert not filtered.feasible(deep) and "one_rank" not in filtered.price(deep)
    flat = {f"x{i}": 0 for i in range(8)}
    for _ in range(3):
        assert filtered.price(flat)["one_rank"] == 0.0
    assert len(scored) <= before + 1
    with pytest.raises(HwnasError, match="filters nothing or everything"):
        prefiltered(toy_problem(), "one", score, keep=1.0, seed=0)


FACTS = {"space": "toy", "data": "streets", "size_hw": [96, 128]}


def study_file(folder: Path, **changes: object) -> Path:
    row = {"name": "synflow", "spearman": 0.7, "interval": [0.4, 0.9], "speedup": 50.0, "seconds": 0.1, "nets": 12}
    document = {"kind": "hwnas-proxy-study", "nets": 12, **FACTS, "zero_cost": [{**row, **changes}]}
    path = folder / "study.json"
    path.write_text(json.dumps(document))
    return path


def test_prefilter_needs_its_measured_rank_correlation(tmp_path: Path) -> None:
    assert measured_score("synflow", study_file(tmp_path), FACTS).spearman == 0.7
    with pytest.raises(HwnasError, match="has not been shown") as caught:
        measured_score("synflow", None, FACTS)
    assert "hwnas proxy-study --zero-cost synflow" in caught.value.hint
    with pytest.raises(HwnasError, match="has no score 'naswot'; it has: synflow"):
        measured_score("naswot", study_file(tmp_path), FACTS)
    with pytest.raises(HwnasError, match="is of space toy, not realtime"):
        measured_score("synflow", study_file(tmp_path), {**FACTS, "space": "realtime"})
    for bad in ({"spearman": 0.1}, {"interval": [-0.2, 0.9]}):
        with pytest.raises(HwnasError, match="synflow does not rank these networks"):
            measured_score("synflow", study_file(tmp_path, **bad), FACTS)
    with pytest.raises(HwnasError, match="found no rank correlation of synflow"):
        measured_score("synflow", study_file(tmp_path, spearman=None, interval=[-1.0, 1.0]), FACTS)
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(HwnasError, match="is not a proxy study"):
        measured_score("synflow", other, FACTS)


@given(st.lists(st.integers(0, 5), min_size=3, max_size=12), st.randoms())
def test_spearman_is_pearsons_correlation_of_mean_ranks(values: list[int], random: object) -> None:
    others = list(values)
    random.shuffle(others)  # type: ignore[attr-defined]
    found = spearman(values, others)
    if len(set(values)) == 1:
        assert found is None
        return

    def ranks(row: list[int]) -> list[float]:
        return [sum(other < each for other in row) + (row.count(each) - 1) / 2 for each in row]

    assert found == pytest.approx(float(np.corrcoef(ranks(values), ranks(others))[0, 1]), abs=1e-9)
    assert spearman(values, [2 * value + 1 for value in values]) == pytest.approx(1.0)


def test_interval_holds_the_correlation_and_narrows_with_pairs() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    b = a + rng.normal(size=200)
    few, many = spearman_interval(a[:10], b[:10], rng), spearman_interval(a, b, rng)
    rho = spearman(a, b)  # type: ignore[arg-type]
    assert rho is not None and many[0] < rho < many[1] and many[1] - many[0] < few[1] - few[0]


class Scoring:
    """Scores toy candidates; ``noise`` turns their order around."""

    def __init__(self, name: str, noise: float) -> None:
        self.name, self.noise, self.count = name, noise, 0

    def evaluate(self, request: Request) -> Outcome:
        self.count += 1
        if self.name == "failing" and request.id == 1:
            return Outcome(request, status="failed", note="out of memory")
        return Outcome(request, {"miou": miou(request.decisions) * (1 - 2 * self.noise)})

    def identity(self, request: Request) -> dict[str, object]:
        return {"evaluator": self.name, "candidate": dict(request.decisions)}


def test_study_reports_rank_correlation_and_goes_on_from_its_file(tmp_path: Path) -> None:
    space = toy_problem().space
    nets = sample_nets(space, 8, np.random.default_rng(0), lambda _: True)
    assert nets[:5] == sample_nets(space, 5, np.random.default_rng(0), lambda _: True)

    def study(count: int) -> tuple[object, list[Scoring]]:
        inner = [Scoring("full", 0.0), Scoring("good", 0.0), Scoring("bad", 1.0), Scoring("failing", 0.0)]
        full, *proxies = [Cached(each, EvaluationFile(tmp_path / "e.jsonl")) for each in inner]
        named = dict(zip(("good", "bad", "failing"), proxies, strict=True))
        found = run_study(
            nets[:count],
            full,
            named,
            {"depth": lambda decisions: -miou(decisions)},
            progress=Silent(),
            seed=0,
            clock=time.monotonic,
        )
        return found, inner

    found, inner = study(6)
    rows = {row.name: row for row in (*found.proxies, *found.zero_cost)}  # type: ignore[attr-defined]
    assert rows["good"].spearman == pytest.approx(1.0) and rows["bad"].spearman == pytest.approx(-1.0)
    assert rows["failing"].nets == 5 and rows["depth"].spearman == pytest.approx(-1.0)
    assert found.recommended in ("good", "failing")  # type: ignore[attr-defined]
    json.dumps(found.to_dict(), allow_nan=False)  # type: ignore[attr-defined]
    _, inner = study(8)
    assert [each.count for each in inner] == [2, 2, 2, 3]  # what ran out of memory is tried again
    with pytest.raises(HwnasError, match="not 9"):
        sample_nets(space, 9, np.random.default_rng(0), lambda decisions: decisions == nets[0])
