"""Bilevel optimisation against exact derivatives, and its way through the loop: resume, divergence, budget."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwnas.data.cache import Arrays
from hwnas.errors import HwnasError, RunError
from hwnas.search.gradient.bilevel import Bilevel, alpha_optimizer, first_order, second_order, under
from hwnas.search.gradient.collapse import CollapseWatch, dominant_eigenvalue, skip_share
from hwnas.search.gradient.darts import Darts, prepare
from hwnas.search.gradient.fitting import Halves, SegmentationLoss, crop_shape, fit_relaxation, halve
from hwnas.search.gradient.logits import Logits
from hwnas.search.gradient.order import Order
from hwnas.search.gradient.setup import Cooling
from hwnas.spaces.base import SPACES, Choice
from hwnas.spaces.darts import DartsSpace
from hwnas.spaces.decisions import check
from hwnas.spaces.relaxed import one_hot, relaxed
from hwnas.supernet.mixing import softmax
from hwnas.supernet.relaxed import NothingLeft, RelaxedNetwork
from hwnas.training.checkpoint import Part
from hwnas.training.device import make_fabric
from hwnas.training.loop import DivergedError
from hwnas.training.optimizer import make_optimizer
from hwnas.training.recipe import Recipe
from hwnas.training.schedule import Budget
from tests.search.gradient.free_budget import Free

RECIPE = Recipe(lr=0.02, batch=2, scale=(1.0, 1.0), crop=0.5, loss_stride=4)
SPACE = DartsSpace(params={"channels": 2, "layers": 1, "head": "lraspp:width=4"})


class TwoLayers:
    """A small smooth net with an architecture in it, float64: tanh layers mixed by the softmax of logits."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.logits = Logits((Choice("first", (0, 1, 2)), Choice("second", (0, 1))), std=0.5)
        for name, vector in self.logits.tensors.items():
            self.logits.tensors[name] = nn.Parameter(vector.detach().double())
        self.parameters = [
            nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64) * 0.5)
            for shape in ((3, 4, 5), (2, 5, 2))
        ]
        self.batches = [
            (
                torch.randn(8, 4, generator=generator, dtype=torch.float64),
                torch.randn(8, 2, generator=generator, dtype=torch.float64),
            )
            for _ in range(2)
        ]

    def loss(self, weights: dict[str, Tensor], batch: tuple[Tensor, Tensor]) -> Tensor:
        return self.loss_at(self.parameters, weights, batch)

    def loss_at(self, parameters: list[Tensor], weights: dict[str, Tensor], batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, targets = batch
        hidden = torch.tanh(torch.einsum("ni,kij,k->nj", inputs, parameters[0], weights["first"]))
        outputs = torch.tanh(torch.einsum("ni,kij,k->nj", hidden, parameters[1], weights["second"]))
        return (outputs - targets).square().mean()


def test_second_order_gradient_is_the_exact_one() -> None:
    net = TwoLayers()
    train, val = net.batches
    xi = 0.5
    before = [parameter.detach().clone() for parameter in net.parameters]
    found, _ = second_order(net.loss, net.logits, softmax, net.parameters, train, val, xi)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters, strict=True)), "weights are put back exactly"

    weights = net.logits.weights()
    forward = torch.autograd.grad(net.loss(weights, train), net.parameters, create_graph=True)
    moved = [parameter - xi * part for parameter, part in zip(net.parameters, forward, strict=True)]
    exact = torch.autograd.grad(net.loss_at(moved, weights, val), list(net.logits.parameters()))
    first, _ = first_order(net.loss, net.logits, softmax, val)

    def error(gradients: list[Tensor]) -> float:
        return float(torch.cat([a - b for a, b in zip(gradients, exact, strict=True)]).norm() / torch.cat(exact).norm())

    assert error(found) < 1e-2
    assert error(found) < 0.1 * error(first), "the second order matters here"


def test_the_second_order_s_losses_are_all_of_one_draw() -> None:
    net = TwoLayers()
    seen: list[dict[str, list[float]]] = []

    def loss(weights: dict[str, Tensor], batch: tuple[Tensor, Tensor]) -> Tensor:
        seen.append({name: vector.tolist() for name, vector in weights.items()})
        return net.loss(weights, batch)

    torch.manual_seed(0)
    for _ in range(8):
        second_order(loss, net.logits, Cooling(), net.parameters, *net.batches, 0.5)
    assert len(seen) == 4 * 8
    assert all(seen[call] == seen[call - call % 4] for call in range(4 * 8))
    assert any(seen[call] != seen[0] for call in range(0, 4 * 8, 4)), "each step draws anew"


def test_a_draw_that_leaves_nothing_of_the_network_is_drawn_again() -> None:
    space = DartsSpace(params={"channels": 2, "layers": 1, "head": "aspp:width=4,rates=none,decoder=none"})
    network = RelaxedNetwork(space.supergraph((3, 64, 64), 3), space.relaxation)
    none = space.relaxation[0].options.index("none")
    draws = iter(["none"] * len(space.relaxation) * 2)

    def mixing(vector: Tensor) -> Tensor:
        if next(draws, None) is None:
            return softmax(vector)
        return torch.zeros_like(vector).index_fill(0, torch.tensor(none), 1.0)

    def loss(weights: dict[str, Tensor], batch: tuple[Tensor, Tensor]) -> Tensor:
        return network(batch[0], weights).square().mean()

    batch = (torch.randn(2, 3, 64, 64), torch.zeros(()))
    assert float(under(loss, Logits(space.relaxation), mixing, batch).detach()) > 0
    assert next(draws, None) is None, "it was drawn twice in vain"
    with pytest.raises(NothingLeft, match="leave nothing"):
        under(loss, Logits(space.relaxation), lambda vector: torch.eye(len(vector))[none], batch)


def test_dominant_eigenvalue_is_the_hessian_s() -> None:
    matrix = torch.diag(torch.tensor([1.0, -3.0, 5.0], dtype=torch.float64))
    vector = nn.Parameter(torch.ones(3, dtype=torch.float64))
    found = dominant_eigenvalue(lambda: 0.5 * vector @ matrix @ vector, [vector], iterations=60)
    assert found == pytest.approx(5.0, rel=1e-3)


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (12, 16, 16), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    images = np.eye(3, dtype=np.uint8)[masks] * 150 + rng.integers(0, 60, (12, 128, 128, 3), dtype=np.uint8)
    return Arrays(images, masks, tuple(map(str, range(12))))


def searched(
    arrays: Arrays, steps: int, *, path: Path | None = None, until: int | None = None, seed: int = 0, order: int = 1
) -> tuple[Darts, RelaxedNetwork]:
    """A search of ``steps`` steps, of which the first ``until`` are taken."""
    fabric = make_fabric(RECIPE, threads=1)
    shape = crop_shape(RECIPE, arrays)
    network = RelaxedNetwork(SPACE.supergraph(shape, 3), SPACE.relaxation, seed=seed, affine=False)
    halves = halve(arrays, np.arange(12), 3)
    loss = SegmentationLoss.of(network, fabric, RECIPE, arrays, halves.weights, 3)
    logits = Logits(SPACE.relaxation, seed=seed)
    optimizer = make_optimizer(network.parameters(), RECIPE)
    bilevel = Bilevel(
        loss,
        logits,
        network.parameters(),
        optimizer=alpha_optimizer(logits, lr=0.05),
        order=order,
        rate=lambda: optimizer.param_groups[0]["lr"],
    )
    step = Darts(SPACE, bilevel, look_every=3)
    taken = 0

    def stop(spent: object) -> None:
        nonlocal taken
        taken += 1
        if until is not None and taken == until:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        fit_relaxation(
            step,
            network,
            optimizer,
            arrays,
            halves,
            fabric,
            recipe=RECIPE,
            budget=Budget(steps=steps),
            seed=seed,
            facts={"space": SPACE.name},
            checkpoint=path,
            checkpoint_seconds=0.0,
            after_step=stop,
        )
    return step, network


def test_a_killed_search_goes_on_to_the_same_bits(arrays: Arrays, tmp_path: Path) -> None:
    whole, network = searched(arrays, 4)
    searched(arrays, 4, path=tmp_path / "s.safetensors", until=3)
    resumed, again = searched(arrays, 4, path=tmp_path / "s.safetensors")
    assert resumed.steps == whole.steps == 4
    for name, vector in whole.bilevel.logits.state_dict().items():
        assert torch.equal(vector, resumed.bilevel.logits.state_dict()[name])
    for mine, theirs in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert whole.watch.eigenvalues == resumed.watch.eigenvalues
    assert float(np.ptp(np.concatenate(list(whole.relaxation().values())))) > 0.01, "something was learned"
    check(SPACE, SPACE.derive(whole.relaxation()))
    with pytest.raises(RunError, match="seed"):
        searched(arrays, 4, path=tmp_path / "s.safetensors", seed=1)


def test_second_order_runs(arrays: Arrays) -> None:
    step, _ = searched(arrays, 1, order=2)
    assert step.bilevel.logits.finite()


def test_nan_in_the_logits_keeps_the_last_good_state(arrays: Arrays, tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    net = TwoLayers()
    good = net.logits.state_dict()
    step = Bilevel(lambda w, b: net.loss(w, b) * float("nan"), net.logits, net.parameters)
    with pytest.raises(DivergedError, match="a logit is no longer finite"):
        step.step(*net.batches)
    assert all(torch.equal(good[name], vector) for name, vector in net.logits.state_dict().items())

    searched(arrays, 4, path=path, until=2)
    before = path.read_bytes()
    original = Bilevel._learn
    try:
        Bilevel._learn = lambda self, train, val: (_ for _ in ()).throw(DivergedError("a logit", "lower"))  # type: ignore[method-assign]
        with pytest.raises(DivergedError) as caught:
            searched(arrays, 4, path=path)
        with pytest.raises(DivergedError) as at_once:
            searched(arrays, 4, path=tmp_path / "new.safetensors")
    finally:
        Bilevel._learn = original  # type: ignore[method-assign]
    assert f"after step 1 is kept, in {path}" in caught.value.hint
    assert path.read_bytes() == before
    assert "after step 0 is kept" in at_once.value.hint and (tmp_path / "new.safetensors").exists()


def test_error_on_a_resume_of_another_space_or_of_other_data(arrays: Arrays, tmp_path: Path) -> None:
    class Idle:
        """A step that wants none."""

        finished = True

        def parts(self) -> dict[str, Part]:
            return {}

    def taken_up(images: Arrays, space: str) -> None:
        network = nn.Conv2d(1, 1, 1)
        fit_relaxation(
            Idle(),  # type: ignore[arg-type]
            network,  # type: ignore[arg-type]
            make_optimizer(network.parameters(), RECIPE),
            images,
            Halves(np.arange(6), np.arange(6, 12)),
            make_fabric(RECIPE, threads=1),
            recipe=RECIPE,
            budget=Budget(steps=1),
            facts={"space": space},
            checkpoint=tmp_path / "s.safetensors",
        )

    taken_up(arrays, "darts")
    taken_up(arrays, "darts")
    with pytest.raises(RunError, match='space was "darts", not "gas"'):
        taken_up(arrays, "gas")
    with pytest.raises(RunError, match="of another training: data"):
        taken_up(Arrays(255 - arrays.images, arrays.masks, arrays.keys), "darts")


def test_the_budget_s_penalty_moves_the_logits() -> None:
    class Heavy:
        def __init__(self) -> None:
            self.seen: list[float] = []

        def penalty(self, expected_ms: Tensor) -> Tensor:
            return 1e3 * expected_ms

        def update(self, expected_ms: float) -> None:
            self.seen.append(expected_ms)

        def parts(self) -> dict:
            return {}

    net = TwoLayers()
    prices = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    budget = Heavy()
    step = Bilevel(
        net.loss,
        net.logits,
        net.parameters,
        optimizer=alpha_optimizer(net.logits, lr=0.1),
        expected_ms=lambda weights: weights["first"] @ prices,
        budget=budget,
    )
    for _ in range(10):
        figures = step.step(*net.batches)
    assert budget.seen[-1] < budget.seen[0]
    assert figures["expected_ms"] == budget.seen[-1]


def test_logits_are_left_alone_before_their_time() -> None:
    net = TwoLayers()
    step = Bilevel(net.loss, net.logits, net.parameters, learn_from=0.5)
    before = net.logits.state_dict()
    step.begin(0.4)
    step.step(*net.batches)
    assert all(torch.equal(before[name], vector) for name, vector in net.logits.state_dict().items())
    step.begin(0.6)
    step.step(*net.batches)
    assert not all(torch.equal(before[name], vector) for name, vector in net.logits.state_dict().items())


def test_collapse_is_warned_of_once_and_stops_where_asked(caplog: pytest.LogCaptureFixture) -> None:
    decisions = SPACE.sample(np.random.default_rng(0))
    skips = {name: "skip_connect" if name.endswith(".op") else option for name, option in decisions.items()}
    genotype = SPACE.decode(skips).genotype
    assert skip_share(genotype) == 1.0
    watch = CollapseWatch(stop=True)
    for value in np.geomspace(0.1, 10, 12):
        watch.look(genotype, float(value))
    assert sum("is collapsing" in record.message for record in caplog.records) == 1
    assert "100% of the ops" in caplog.records[0].message
    assert watch.finished
    calm = CollapseWatch(stop=True)
    for _ in range(12):
        calm.look(SPACE.decode(decisions).genotype, 0.1)
    assert not calm.finished


def test_a_class_that_one_half_never_shows_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    masks = np.zeros((8, 4, 4), np.uint8)
    masks[0] = 1
    arrays = Arrays(np.zeros((8, 4, 4, 3), np.uint8), masks, tuple(map(str, range(8))))
    halves = halve(arrays, np.arange(8), 2)
    assert len(halves.weights) == len(halves.relaxation) == 4
    assert not set(halves.weights) & set(halves.relaxation)
    assert any("shows no pixel of class 1" in record.message for record in caplog.records)


def test_a_space_without_a_relaxation_says_which_have_one() -> None:
    with pytest.raises(HwnasError) as caught:
        relaxed(SPACES.get("dpc"))
    assert "the space dpc has no relaxation" in caught.value.message
    assert "darts" in caught.value.hint


def test_derive_takes_the_two_strongest_edges() -> None:
    probabilities = one_hot(SPACE.relaxation, SPACE.embed(SPACE.sample(np.random.default_rng(0))))
    place = {op: i for i, op in enumerate(SPACE.relaxation[0].options)}
    for state, (op, strength) in enumerate([("sep_conv_3x3", 0.3), ("max_pool_3x3", 0.5), ("skip_connect", 0.4)]):
        vector = np.full(8, (1 - strength) / 7)
        vector[place[op]] = strength
        probabilities[f"normal.node1.from{state}"] = vector
    derived = SPACE.derive(probabilities)
    assert derived["normal.node1.inputs"] == (1, 2)
    assert derived["normal.node1.from1.op"] == "max_pool_3x3"
    assert derived["normal.node1.from2.op"] == "skip_connect"


def test_the_method_s_set_up_takes_partial_channels(arrays: Arrays) -> None:
    def priced(weights: dict[str, Tensor]) -> Tensor:
        assert set(weights) == {choice.name for choice in SPACE.relaxation}, "edges are folded in"
        return torch.stack([vector[1:].sum() for vector in weights.values()]).sum()

    fabric = make_fabric(RECIPE, threads=1)
    order = Order(
        SPACE,
        crop_shape(RECIPE, arrays),
        3,
        lambda network: SegmentationLoss.of(network, fabric, RECIPE, arrays, np.arange(6), 3),
        RECIPE,
        priced,
        Free(),
        0,
        options={"partial": 2, "checkpoint": 1, "look_every": 1, "paths": "sampled"},
    )
    prepared = prepare(order)
    assert not prepared.inherits
    with torch.no_grad():
        weights = prepared.step.bilevel.logits.weights(Cooling())
    edges = [weights.pop(name) for name in list(weights) if name.endswith(".edges")]
    assert edges and all(float(edge.min()) > 0 and float(edge.max()) < 1 for edge in edges), "a softmax, never drawn"
    assert all(sorted(vector.tolist())[-2:] == [0, 1] for vector in weights.values())
    batch = (torch.randn(2, 3, 64, 64), torch.randint(3, (2, 64, 64)))
    prepared.step.begin(0.5)
    prepared.step.step(batch, batch)
    figures = prepared.step.step(batch, batch)
    assert figures["expected_ms"] > 0
    assert {"skip_share", "eigenvalue", "val_loss"} <= set(figures)
    check(SPACE, SPACE.derive(prepared.step.relaxation()))
