"""The supernet of gradient methods: a supergraph as a module that takes a weight for every option of its soft choices.

A gate's weight is what :func:`hwnas.ir.odds.probability` makes of the weights of its choices. ``add`` sums its inputs
times their weights and ``concat`` concatenates them so: DARTS's mixed op, a weight for each edge or for each resolution
are all of them gated sums. What the weights are is the method's business (see :mod:`hwnas.supernet.mixing`):

- softmax or sigmoid: all branches are computed;
- one-hot, as from hard Gumbel-softmax or a sampled path: what has the weight 0 is not computed and keeps no memory, and
  gets no gradient either; a weight of 1 that requires a gradient gets one;
- an open width is a number of leading channels: the widest that has a weight is computed, and each channel is weighted
  by the sum of the weights of the widths that have it (FBNetV2's masks, arXiv 2004.05565). One-hot, it is a slice.

Parameters belong to nodes of the supergraph: cells share choices, by name, and no parameters. BatchNorm normalises by
the batch, in training and in evaluation; every branch has its own, and running statistics are never gathered:
networks that are taken out have theirs measured anew (:func:`hwnas.training.batchnorm.recalibrate`). With
``affine=False`` it neither scales nor shifts, as in DARTS, so that no scale can stand for an architecture's weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint as recomputed

from hwnas.compiler.network import Network, compile_graph
from hwnas.errors import HwnasError
from hwnas.ir.gates import Gate, choices_of
from hwnas.ir.isomorphism import correspondence
from hwnas.ir.node import Node
from hwnas.ir.opgraph import OpGraph
from hwnas.ir.passes.fix_gates import fix_gates, live_slots
from hwnas.ir.passes.simplify import simplify
from hwnas.ir.passes.without_auxiliary import without_auxiliary
from hwnas.ops.spec import OPS
from hwnas.shapes import Params, Shape, Value
from hwnas.spaces.base import Choice
from hwnas.supernet.channels import Part, Ranges, full, joined, spread, take_parameter
from hwnas.supernet.fused import Tail, mixed_sum
from hwnas.supernet.mixture import Mixture, Weights
from hwnas.supernet.schedule import Program, Step, plan, private_regions, without_repeats
from hwnas.supernet.slices import skeleton_of
from hwnas.supernet.tails import has_tail, tail_of


class NothingLeft(HwnasError):
    """The weights close every way to what was asked for."""


class RelaxedNetwork(nn.Module):
    """Runs a supergraph: ``network(images, weights)``, see the module's docstring.

    ``choices`` are the soft ones that the graph's gates read. ``checkpoint``: the branches of every gated sum are
    computed again in the backward pass instead of being kept. ``state_dict`` keys are ``"blocks.<node>.<parameter>"``.
    Branches without weights are computed once however many sums they are in. ``fused``: on a CPU in full precision, a
    sum is computed in one piece with those of its branches that end in a 1x1 convolution and a BatchNorm
    (:mod:`hwnas.supernet.fused`); that is the same up to rounding, faster, and keeps less. It has no second derivative.
    ``drawn`` are the choices whose weights must be one-hot, since they decide other parameters than widths.
    """

    def __init__(
        self,
        graph: OpGraph,
        choices: Sequence[Choice],
        *,
        seed: int = 0,
        affine: bool = True,
        checkpoint: bool = False,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.graph, self.choices = graph, tuple(choices)
        self.blocks = _blocks(graph, seed, affine=affine)
        self._gates: tuple[Gate, ...] = tuple(
            dict.fromkeys(gate for node in graph.nodes for gate in node.gates.values())
        )
        self.drawn = _not_mixed(graph)
        self._fused = fused
        self._program = _program(graph, self.blocks, checkpoint=checkpoint)
        self._plans: dict[tuple[frozenset[Gate], frozenset[str]], tuple[Step, ...]] = {}
        _check_choices(graph, self.choices)

    def forward(self, images: Tensor, weights: Weights, *, output: str | None = None) -> Tensor:
        """The value (N, C, H, W) of the output, or of the node ``output``, for ``images`` (N, C, H, W).

        HwnasError for weights that are missing or of another length, NothingLeft for those that leave nothing of it.
        """
        return self.values(images, weights, [output or self.graph.output])[0]

    def values(self, images: Tensor, weights: Weights, nodes: Sequence[str]) -> list[Tensor]:
        """The values of several nodes; as :meth:`forward`."""
        mixture = Mixture.of(self.choices, self._gates, weights)
        wanted = [self._program.same.get(name, name) for name in nodes]
        steps = self._steps(mixture.closed, frozenset(wanted))
        if images.device.type == "cpu":
            images = images.contiguous(memory_format=torch.channels_last)
        values: dict[str, Part] = {self.graph.input: Part(images, full(images.shape[1]))}
        for step in steps:
            run = self._recomputed if step.inner else self._computed
            values[step.node.name] = run(step, values, mixture)
            for name in step.spent:
                del values[name]
                for made in [key for key in values if key.endswith(f"({name})")]:
                    del values[made]
        return [spread(values[name], self.graph.shape(name)[0]) for name in wanted]

    def network_for(self, graph: OpGraph, options: Mapping[str, Value]) -> Network:
        """The compiled network of ``graph`` with copies of this one's parameters.

        ``graph`` is the simplified op graph of the genotype that ``options`` embed (at any input size): its nodes are
        matched by structure, not by name. BatchNorm statistics are untouched defaults.
        """
        network = compile_graph(graph, seed=0)
        network.load_state_dict(self.weights_for(graph, options), strict=False)
        return network

    def weights_for(self, graph: OpGraph, options: Mapping[str, Value]) -> dict[str, Tensor]:
        """The parameters of :meth:`network_for` by name; views where that is possible."""
        fixed = simplify(without_auxiliary(fix_gates(self.graph, options)))
        match = correspondence(graph, fixed)
        if match is None:
            raise HwnasError("the network is not the one that these options of the supergraph mean")
        channels = _channels_under(self.graph, options)
        found: dict[str, Tensor] = {}
        for node in graph.nodes:
            ours = self.graph.node(match[node.name])
            shapes = tuple(graph.shape(source) for source in node.inputs)
            parts = self._slices(ours, node.params, shapes, channels.get(ours.inputs[0], ()))
            found.update({f"{node.name}.{name}": tensor.detach() for name, tensor in parts.items()})
        return found

    def _steps(self, closed: frozenset[Gate], outputs: frozenset[str]) -> tuple[Step, ...]:
        key = (closed, outputs)
        if key not in self._plans:
            if len(self._plans) >= 256:  # sampled paths seldom come again
                self._plans.clear()
            self._plans[key] = plan(self._program, closed, outputs)
        if not self._plans[key]:
            raise NothingLeft(f"the weights leave nothing of the supergraph's node {min(outputs)!r}")
        return self._plans[key]

    def _recomputed(self, step: Step, values: dict[str, Part], mixture: Mixture) -> Part:
        """A step with its inner ones; only its value and those that it reads are kept for the backward pass."""
        reads = step.reads
        channels: list[Ranges] = []

        def run(*tensors: Tensor) -> Tensor:
            local = {name: Part(tensor, values_of[name]) for name, tensor in zip(reads, tensors, strict=True)}
            for inner in step.inner:
                local[inner.node.name] = self._computed(inner, local, mixture)
            part = self._computed(step, local, mixture)
            channels[:] = [part.channels]
            return part.tensor

        values_of = {name: values[name].channels for name in reads}
        tensor: Tensor = recomputed(run, *(values[name].tensor for name in reads), use_reentrant=False)
        return Part(tensor, channels[0])

    def _computed(self, step: Step, values: dict[str, Part], mixture: Mixture) -> Part:
        node = step.node
        if step.tails:
            if self._can_fuse(step, values):
                return self._mixed(step, values, mixture)
            values = {**values, **{tail.node.name: self._computed(tail, values, mixture) for tail in step.tails}}
        parts = [values[node.inputs[slot]] for slot in step.slots]
        if node.op == "add":
            weights = [mixture.of_input(node, slot) for slot in step.slots]
            return _sum(parts, weights, self.graph.shape(node.name)[0])
        if node.op == "concat":
            weights = [mixture.of_input(node, slot) for slot in step.slots]
            offsets = [_offset(self.graph, node, slot) for slot in step.slots]
            return _concatenation(parts, weights, offsets)
        return self._op(node, parts, mixture)

    def _can_fuse(self, step: Step, values: Mapping[str, Part]) -> bool:
        """Whether a sum can be computed in one piece: all channels are there, on a CPU in full precision."""
        reads = [(source, values[source]) for source in step.reads]
        return (
            self._fused
            and all(part.channels == full(self.graph.shape(source)[0]) for source, part in reads)
            and all(part.tensor.device.type == "cpu" for _, part in reads)
            and not torch.is_autocast_enabled("cpu")
        )

    def _mixed(self, step: Step, values: dict[str, Part], mixture: Mixture) -> Part:
        """A sum with its tails, in one piece."""
        inside = {tail.node.name: tail.node for tail in step.tails}
        tails: list[Tail] = []
        others: list[tuple[Tensor, Tensor | None]] = []
        for slot in step.slots:
            source, weight = step.node.inputs[slot], mixture.of_input(step.node, slot)
            if source in inside:
                shared = partial(_shared, values, inside[source].inputs[0])
                tails.append(tail_of(self.blocks.get_submodule(source), shared, weight))
            else:
                others.append((values[source].tensor, weight))
        return Part(mixed_sum(tails, others), full(self.graph.shape(step.node.name)[0]))

    def _op(self, node: Node, parts: Sequence[Part], mixture: Mixture) -> Part:
        params, mask = mixture.parameters(node)
        inputs = tuple(part.tensor for part in parts)
        shapes = tuple(self.graph.shape(source) for source in node.inputs)
        per_channel = OPS.get(node.op).per_channel
        if not node.open and all(part.channels == full(shape[0]) for part, shape in zip(parts, shapes, strict=True)):
            tensor: Tensor = self.blocks.get_submodule(node.name)(*inputs)
        else:
            now = tuple((tensor.shape[1], tensor.shape[2], tensor.shape[3]) for tensor in inputs)
            module, wanted = skeleton_of(OPS.get(node.op).module(now, params))
            own = self._slices(node, params, now, parts[0].channels)
            tensor = functional_call(module, {**_neutral(wanted, own, inputs[0]), **own}, inputs)
        channels = parts[0].channels if per_channel else full(tensor.shape[1])
        return Part(tensor if mask is None else tensor * mask.to(tensor.dtype).view(1, -1, 1, 1), channels)

    def _slices(self, node: Node, params: Params, shapes: tuple[Shape, ...], channels: Ranges) -> dict[str, Tensor]:
        """The node's parameters by name for inputs of ``shapes``, the first of which has these ``channels``."""
        spec = OPS.get(node.op)
        _, wanted = skeleton_of(spec.module(shapes, params))
        own = dict(self.blocks.get_submodule(node.name).named_parameters())
        grouped = params.get("groups", 1) != 1
        counts = (self.graph.shape(node.inputs[0])[0], shapes[0][0])
        return {
            name: take_parameter(
                own[name],
                shape,
                channels,
                counts,
                per_channel=spec.per_channel,
                fan_in=name in spec.fan_in and not grouped,
            )
            for name, shape in wanted
            if name in own
        }


def _blocks(graph: OpGraph, seed: int, *, affine: bool) -> Network:
    """The modules of all nodes, under their names; BatchNorms go by the batch."""
    blocks = compile_graph(graph, seed=seed)
    for part in blocks.modules():
        if isinstance(part, _BatchNorm):
            part.track_running_stats = False
            part.running_mean = part.running_var = part.num_batches_tracked = None
            if not affine:
                part.affine = False
                part.register_parameter("weight", None)
                part.register_parameter("bias", None)
    return blocks


def _neutral(
    wanted: Iterable[tuple[str, tuple[int, ...]]], own: Mapping[str, Tensor], like: Tensor
) -> dict[str, Tensor]:
    """The scales of 1 and shifts of 0 of BatchNorms that have none of their own."""
    return {
        name: like.new_ones(shape) if name.endswith("weight") else like.new_zeros(shape)
        for name, shape in wanted
        if name not in own
    }


def _program(graph: OpGraph, blocks: Network, *, checkpoint: bool) -> Program:
    def stateless(node: Node) -> bool:
        return next(blocks.get_submodule(node.name).parameters(), None) is None

    nodes, same = without_repeats(graph.nodes, stateless)
    outputs = [same.get(name, name) for name in (graph.output, *graph.auxiliary)]
    fusible = frozenset(node.name for node in nodes if not node.is_open and has_tail(blocks.get_submodule(node.name)))
    return Program(graph.input, nodes, same, private_regions(nodes, outputs) if checkpoint else {}, fusible)


def _shared(values: dict[str, Part], name: str, what: str, make: Callable[[Tensor], Tensor]) -> Tensor:
    """What branches make of the value ``name``: made once, and kept among the values as long as that one."""
    key = f"{what}({name})"
    if key not in values:
        values[key] = Part(make(values[name].tensor), values[name].channels)
    return values[key].tensor


def _not_mixed(graph: OpGraph) -> tuple[str, ...]:
    opened = [(name, select.choice) for node in graph.nodes for name, select in node.open.items()]
    return tuple(dict.fromkeys(choice for name, choice in opened if name != "channels"))


def _check_choices(graph: OpGraph, choices: Sequence[Choice]) -> None:
    known = {choice.name for choice in choices}
    for node in graph.nodes:
        read = [name for gate in node.gates.values() for name in choices_of(gate)]
        for name in [*read, *(select.choice for select in node.open.values())]:
            if name not in known:
                raise HwnasError(f"node {node.name!r} of the supergraph depends on the unknown choice {name!r}")


def _sum(parts: Sequence[Part], weights: Sequence[Tensor | None], count: int) -> Part:
    """The weighted sum; inputs of different widths are filled up with zeros to ``count`` channels."""
    channels = parts[0].channels
    if any(part.channels != channels for part in parts):
        parts, channels = [Part(spread(part, count), full(count)) for part in parts], full(count)
    total: Tensor | None = None
    for part, weight in zip(parts, weights, strict=True):
        if total is None:
            total = part.tensor if weight is None else part.tensor * weight
        else:
            total = total + (part.tensor if weight is None else part.tensor * weight)
    assert total is not None
    return Part(total, channels)


def _concatenation(parts: Sequence[Part], weights: Sequence[Tensor | None], offsets: Sequence[int]) -> Part:
    tensors = [
        part.tensor if weight is None else part.tensor * weight for part, weight in zip(parts, weights, strict=True)
    ]
    channels = joined([(offset, part.channels) for offset, part in zip(offsets, parts, strict=True)])
    return Part(tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim=1), channels)


def _offset(graph: OpGraph, node: Node, slot: int) -> int:
    """Where an input of a concatenation begins in the supergraph."""
    return sum(graph.shape(source)[0] for source in node.inputs[:slot])


def _channels_under(graph: OpGraph, options: Mapping[str, Value]) -> dict[str, Ranges]:
    """The channels that each node has under one-hot ``options``, for those that are then there."""
    channels: dict[str, Ranges] = {graph.input: full(graph.shape(graph.input)[0])}
    live = live_slots(graph, options)
    for node in graph.nodes:
        if node.name not in live:
            continue
        slots = live[node.name]
        if node.op == "concat":
            places = [(_offset(graph, node, slot), channels[node.inputs[slot]]) for slot in slots]
            channels[node.name] = joined(places)
        elif OPS.get(node.op).per_channel:
            channels[node.name] = channels[node.inputs[slots[0]]]
        elif "channels" in node.open:
            channels[node.name] = full(int(str(node.open["channels"].under(options))))
        else:
            channels[node.name] = full(graph.shape(node.name)[0])
    return channels
