"""How long one bilevel step of DARTS's search takes, and how much memory, against plain PyTorch.

    python benchmarks/darts_step.py [--rounds 10] [--threads 1] [--channels-last]

Both sides have equal weights, the same batches and the same optimizers, and take their steps in turn; the losses of
both are compared first. Time is wall-clock time and, because it does not feel other processes as much, CPU time: the
median over the rounds of either. Memory is the most that the tensors of one step take at a time, as PyTorch's profiler
counts them, and the weights with their gradients and momenta.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from plain_darts import OPERATIONS, PlainDarts, PlainStep
from torch import Tensor, nn

from hwnas.search.gradient.bilevel import Bilevel, alpha_optimizer
from hwnas.search.gradient.logits import Logits
from hwnas.skeletons.searched_cell import ROLES
from hwnas.spaces.darts import DartsSpace
from hwnas.supernet.relaxed import RelaxedNetwork

Batch = tuple[Tensor, Tensor]
CLASSES = 10


def darts_space(channels: int, layers: int) -> DartsSpace:
    """The paper's search network: BatchNorms behind poolings, no auxiliary head."""
    return DartsSpace("darts-cifar", "darts-cifar", {"channels": channels, "layers": layers, "pool_norm": True})


class OurStep:
    """The same step with a relaxed network."""

    def __init__(self, network: RelaxedNetwork, logits: Logits) -> None:
        self.network, self.logits = network, logits
        self.weights = list(network.parameters())
        self.optimizer = torch.optim.SGD(self.weights, lr=0.025, momentum=0.9, weight_decay=3e-4)
        self.bilevel = Bilevel(self.loss, logits, self.weights, optimizer=alpha_optimizer(logits))

    def loss(self, weights: dict[str, Tensor], batch: Batch) -> Tensor:
        return F.cross_entropy(self.network(batch[0], weights).flatten(1), batch[1])

    def __call__(self, train: Batch, val: Batch) -> tuple[float, float]:
        self.optimizer.zero_grad()
        figures = self.bilevel.step(train, val)
        nn.utils.clip_grad_norm_(self.weights, 5.0)
        self.optimizer.step()
        return figures["val_loss"], figures["loss"]


def with_weights_of(plain: PlainDarts, channels: int, layers: int, size: int) -> OurStep:
    """Our side with the plain side's weights and alphas."""
    space = darts_space(channels, layers)
    network = RelaxedNetwork(space.supergraph((3, size, size), CLASSES), space.relaxation, affine=False)
    own = dict(network.blocks.named_parameters())
    with torch.no_grad():
        for name, tensor in _by_our_names(plain).items():
            own.pop(name).copy_(tensor.view_as(network.blocks.get_parameter(name)))
        assert not own, f"no weights for {list(own)[:3]}"
        logits = Logits(space.relaxation)
        for role, alpha in zip(ROLES, plain.alphas, strict=True):
            edges = [(node, state) for node in range(4) for state in range(node + 2)]
            for (node, state), vector in zip(edges, alpha, strict=True):
                logits.tensors[f"{role}.node{node}.from{state}"].copy_(vector)
    return OurStep(network, logits)


def _by_our_names(plain: PlainDarts) -> dict[str, Tensor]:
    found = {"stem.conv.weight": plain.stem[0].weight}
    found["classifier.conv.weight"], found["classifier.conv.bias"] = plain.classifier.weight, plain.classifier.bias
    for layer, cell in enumerate(plain.cells):
        for place in (0, 1):
            for name, tensor in getattr(cell, f"preprocess{place}").named_parameters():
                found[f"cell{layer}/preprocess{place}.{name}"] = tensor
        edges = iter(cell.edges)
        for node in range(4):
            for state in range(node + 2):
                for op, module in zip(OPERATIONS, next(edges).ops, strict=True):
                    for name, tensor in module.named_parameters():
                        found[f"cell{layer}/state{node + 2}/from{state}/{op}.{name}"] = tensor
    return found


def peak_bytes(run: Callable[[], object]) -> int:
    """The most bytes that PyTorch's CPU allocator has given out at a time during ``run``, beyond those before it."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run()
    held = most = 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def state_bytes(parameters: list[Tensor]) -> int:
    """Of weights with their gradient and momentum."""
    return sum(3 * parameter.numel() * parameter.element_size() for parameter in parameters)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rounds", 10), ("threads", 1), ("channels", 16), ("layers", 8), ("batch", 16), ("size", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--channels-last", action="store_true", help="give the plain side channels-last images, too")
    given = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)
    plain = PlainDarts(given.channels, given.layers, CLASSES)
    theirs, ours = PlainStep(plain), with_weights_of(plain, given.channels, given.layers, given.size)
    train, val = (
        (torch.randn(given.batch, 3, given.size, given.size), torch.randint(CLASSES, (given.batch,))) for _ in range(2)
    )
    if given.channels_last:
        plain.to(memory_format=torch.channels_last)
        train, val = ((x.contiguous(memory_format=torch.channels_last), y) for x, y in (train, val))
    sides = {"plain": theirs, "hwnas": ours}
    memory = {}
    losses = {}
    for name, side in sides.items():
        losses[name] = side(train, val)  # the first step makes the optimizer's state
        memory[name] = peak_bytes(lambda side=side: side(train, val)) + state_bytes(side.weights)
    print(f"losses of the first step  plain {losses['plain']}  hwnas {losses['hwnas']}", flush=True)
    for a, b in zip(losses["plain"], losses["hwnas"], strict=True):
        assert abs(a - b) < 1e-3 * abs(a), "the two sides do not compute the same"
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(given.rounds):
        for name, side in sides.items():
            wall, cpu = time.perf_counter(), time.process_time()
            side(train, val)
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    for name in sides:
        wall, cpu = (statistics.median(column) for column in zip(*times[name], strict=True))
        print(f"{name:6} {wall * 1e3:9.1f} ms a step, {cpu * 1e3:9.1f} ms of CPU, {memory[name] / 2**20:8.1f} MiB")
    ratios = [
        statistics.median(a[i] / b[i] for a, b in zip(times["plain"], times["hwnas"], strict=True)) for i in (0, 1)
    ]
    print(f"speed: {ratios[0]:.2f} times plain by the clock, {ratios[1]:.2f} by CPU time")
    print(f"peak memory: {memory['hwnas'] / memory['plain']:.2f} of plain")


if __name__ == "__main__":
    main()
