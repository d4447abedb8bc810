"""What every relaxed space must keep, as functions: ``tests/contracts/test_relaxed.py`` runs them on all of them."""

from __future__ import annotations

import numpy as np
import torch

from hwnas.compiler.network import compile_graph
from hwnas.ir.fingerprint import fingerprint
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.fix_gates import fix_gates
from hwnas.ir.passes.simplify import simplify
from hwnas.ir.verify import verify
from hwnas.latency.context import Edge
from hwnas.latency.features import key_size
from hwnas.latency.keys import LatencyKey
from hwnas.latency.population import PopulationModel
from hwnas.shapes import Value
from hwnas.skeletons.base import expand
from hwnas.spaces.decisions import canonical, check
from hwnas.spaces.relaxed import RelaxedSpace, one_hot, sample_from, sampler_of, uniform
from hwnas.supernet.relaxed import RelaxedNetwork

CLASSES = 5


class MadeUp:
    """Prices by multiply-adds and bytes."""

    overhead_ms = 0.2

    def node_ms(self, key: LatencyKey) -> float:
        size = key_size(key)
        return 0.02 + size.macs / 1e6 + size.output_bytes / 1e6

    def edge_ms(self, edge: Edge) -> float:
        return 0.1 * edge.megabytes


Size = tuple[int, int]


def drawn(space: RelaxedSpace, count: int, seed: int = 0) -> list[dict[str, Value]]:
    """What the relaxation can lead to: decisions derived from random probabilities."""
    rng = np.random.default_rng(seed)
    return [
        space.derive({choice.name: rng.dirichlet(np.ones(len(choice.options))) for choice in space.relaxation})
        for _ in range(count)
    ]


def check_fixed_supergraph_is_the_genotype(space: RelaxedSpace, size_hw: Size, count: int) -> OpGraph:
    """With its gates fixed by ``embed``, the supergraph is the genotype's op graph. Returns the supergraph."""
    supergraph = space.supergraph((3, *size_hw), CLASSES)
    verify(supergraph)
    assert supergraph.is_open
    for decisions in drawn(space, count):
        options = space.embed(decisions)
        assert list(options) == [choice.name for choice in space.relaxation], "embed decides every soft choice"
        for choice in space.relaxation:
            assert options[choice.name] in choice.options
        fixed = fix_gates(supergraph, options)
        verify(fixed, dead_nodes=False)
        assert not fixed.is_open
        expected = expand(space.decode(decisions).genotype, (3, *size_hw), CLASSES)
        assert fingerprint(simplify(fixed)) == fingerprint(simplify(expected))
    return supergraph


def check_network_is_the_compiled_one(space: RelaxedSpace, size_hw: Size, count: int) -> None:
    """Under ``embed``, the relaxed network's output and gradient are those of the compiled network with its weights;
    of the second one, if there is one, with its branches computed again in the backward pass."""
    supergraph = space.supergraph((3, *size_hw), CLASSES)
    plain, again = (
        RelaxedNetwork(supergraph, space.relaxation, seed=0, checkpoint=checkpoint).double()
        for checkpoint in (False, count > 1)
    )
    images = torch.randn(2, 3, *size_hw, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for number, decisions in enumerate(drawn(space, count, seed=1)):
        network = again if number else plain
        weights = {
            name: torch.from_numpy(vector) for name, vector in one_hot(space.relaxation, space.embed(decisions)).items()
        }
        graph = simplify(expand(space.decode(decisions).genotype, (3, *size_hw), CLASSES))
        compiled = compile_graph(graph, seed=1).double().train()
        compiled.load_state_dict(network.weights_for(graph, space.embed(decisions)), strict=False)
        network.zero_grad()
        found, expected = network(images, weights), compiled(images)
        expected = expected[0] if isinstance(expected, tuple) else expected
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
        found.square().mean().backward()
        expected.square().mean().backward()
        ours = sum(float(p.grad.square().sum()) for p in network.parameters() if p.grad is not None)
        theirs = sum(float(p.grad.square().sum()) for p in compiled.parameters() if p.grad is not None)
        assert abs(ours - theirs) <= 1e-7 * theirs


def check_derive_undoes_embed(space: RelaxedSpace, count: int) -> None:
    for decisions in drawn(space, count, seed=2):
        derived = space.derive(one_hot(space.relaxation, space.embed(decisions)))
        assert derived == canonical(space, decisions)


def check_distributions(space: RelaxedSpace, count: int) -> None:
    """What a relaxation means are distributions, from which decodable genotypes are drawn; a one-hot means one."""
    rng = np.random.default_rng(3)
    for _ in range(count):
        probabilities = {choice.name: rng.dirichlet(np.ones(len(choice.options))) for choice in space.relaxation}
        tensors = {name: torch.from_numpy(vector).requires_grad_() for name, vector in probabilities.items()}
        meant = space.choice_probabilities(tensors)
        assert set(meant) == {choice.name for choice in space.choices}
        for choice in space.choices:
            assert meant[choice.name].shape == (len(choice.options),)
            assert abs(float(meant[choice.name].sum().detach()) - 1) < 1e-9
            assert float(meant[choice.name].min().detach()) >= 0
        decisions = sample_from(space, probabilities, rng)
        check(space, decisions)
        assert decisions == canonical(space, decisions)
        space.decode(decisions)
    assert space.derive(uniform(space.relaxation)), "equal probabilities mean something, too"
    for decisions in drawn(space, count, seed=4):
        certain = one_hot(space.relaxation, space.embed(decisions))
        assert sample_from(space, certain, rng) == canonical(space, decisions)


def check_expected_latency(space: RelaxedSpace, size_hw: Size, samples: int) -> None:
    """What a relaxation is expected to cost is the mean of what the genotypes that are drawn from it do."""
    rng = np.random.default_rng(5)
    population = PopulationModel(MadeUp(), space, size_hw, CLASSES, rng)
    probabilities = {choice.name: rng.dirichlet(np.ones(len(choice.options))) for choice in space.relaxation}
    tensors = {name: torch.from_numpy(vector).requires_grad_() for name, vector in probabilities.items()}
    expected = population.expected_ms(space.choice_probabilities(tensors))
    draw = sampler_of(space, probabilities)
    prices = population.predict_many([draw(rng) for _ in range(samples)])
    assert abs(float(expected.detach()) - prices.mean()) < 4 * prices.std() / samples**0.5
    gradients = torch.autograd.grad(expected, list(tensors.values()), allow_unused=True)
    assert any(part is not None and float(part.abs().max()) > 0 for part in gradients)
