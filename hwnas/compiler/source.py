"""An op graph as a readable PyTorch file that needs only torch.

The classes are copied from the files that the compiler builds its modules from, so the written network computes exactly
what the compiled one does.
"""

from __future__ import annotations

import inspect
import json
import keyword
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hwnas.compiler.cost import cost_of
from hwnas.compiler.extract import Extract, extract
from hwnas.errors import GenotypeError
from hwnas.ir.opgraph import OpGraph
from hwnas.ops.spec import OPS, ModuleCall
from hwnas.shapes import format_shape

_WIDTH = 110
# what the written file's own code and its variables are called, whatever the nodes' names
_OWN_NAMES = frozenset({"self", "x", "torch", "nn", "Tensor"})
_OWN_DEFINITIONS = frozenset({"INPUT_SHAPE", "NODES", "load_hwnas_weights"})

_LOADER = '''
def load_hwnas_weights(model: {class_name}, tensors: dict[str, Tensor]) -> None:
    """Load the tensors of a ``weights.safetensors``: those that ``safetensors.torch.load_file`` gives."""
    attributes = {{node: attribute for attribute, node in NODES.items()}}
    state = {{}}
    for key, tensor in tensors.items():
        node, _, parameter = key.partition(".")
        state[f"{{attributes[node]}}.{{parameter}}"] = tensor
    model.load_state_dict(state)
'''

_MAIN = """
if __name__ == "__main__":
    network = {class_name}().eval()
    with torch.no_grad():
        print("output", tuple(network(torch.zeros(1, *INPUT_SHAPE)).shape))
"""


@dataclass(frozen=True)
class _Step:
    """One line of ``__init__`` and one of ``forward``."""

    node: str
    attribute: str
    call: ModuleCall
    target: str
    arguments: tuple[str, ...]


def write_source(graph: OpGraph, name: str) -> str:
    """The text of a Python file that defines ``graph`` as a PyTorch module whose class is called like ``name``.

    ``load_hwnas_weights`` in that file takes the tensors of a ``weights.safetensors``.
    """
    steps = _steps(graph)
    extracts = _extracts([step.call for step in steps])
    taken = {definition for part in extracts for definition in part.names} | _OWN_NAMES | _OWN_DEFINITIONS
    class_name = _class_name(name, taken)
    head = [_docstring(graph, name, class_name), _imports(extracts), _constants(graph, steps)]
    body = [definition for part in extracts for definition in part.definitions]
    body += [_network_class(graph, class_name, steps), _LOADER.format(class_name=class_name)]
    body += [_MAIN.format(class_name=class_name)]
    return "\n\n".join(part.strip("\n") for part in head) + "\n\n\n" + "\n\n\n".join(p.strip("\n") for p in body) + "\n"


def _steps(graph: OpGraph) -> list[_Step]:
    nodes = graph.nodes
    attributes = _attributes(graph)
    reads = Counter(source for node in nodes for source in set(node.inputs))
    variables = {graph.input: attributes[graph.input]}
    steps = []
    for i, node in enumerate(nodes):
        # a value that only the next line reads is called x; all others have the name of their node
        chained = i + 1 < len(nodes) and reads[node.name] == 1 and node.name in nodes[i + 1].inputs
        chained = chained and node.name not in (graph.output, *graph.auxiliary)
        is_last = i + 1 == len(nodes) and node.name == graph.output
        variables[node.name] = "x" if chained or is_last else attributes[node.name]
        call = OPS.get(node.op).module(graph.input_shapes(node.name), node.params)
        arguments = tuple(variables[source] for source in node.inputs)
        steps.append(_Step(node.name, attributes[node.name], call, variables[node.name], arguments))
    return steps


def _attributes(graph: OpGraph) -> dict[str, str]:
    """An identifier for every node and the input, close to its name."""
    from torch import nn

    taken = set(dir(nn.Module())) | _OWN_NAMES
    attributes: dict[str, str] = {}
    for name in (graph.input, *graph.order):
        plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "node"
        plain = f"node_{plain}" if plain[0].isdigit() else plain
        choice, number = plain, 2
        while choice in taken or keyword.iskeyword(choice):
            choice, number = f"{plain}_{number}", number + 1
        taken.add(choice)
        attributes[name] = choice
    return attributes


def _extracts(calls: Sequence[ModuleCall]) -> list[Extract]:
    """What to copy out of each file that holds module classes; two files must not define one name."""
    classes: dict[str, set[str]] = {}
    for call in calls:
        classes.setdefault(call.source, set()).add(call.class_name)
    extracts = [extract(source, sorted(names)) for source, names in sorted(classes.items())]
    for name, count in Counter(name for part in extracts for name in part.names).items():
        if count > 1:
            sources = ", ".join(sorted(classes))
            raise GenotypeError(f"{name!r} is defined in more than one of {sources}", "rename one of them")
    return extracts


def _class_name(name: str, taken: set[str]) -> str:
    words = re.findall(r"[A-Za-z0-9]+", name)
    camel = "".join(word[0].upper() + word[1:] for word in words) or "Network"
    camel = f"Network{camel}" if camel[0].isdigit() else camel
    while camel in taken or keyword.iskeyword(camel):
        camel += "Network"
    return camel


def _docstring(graph: OpGraph, name: str, class_name: str) -> str:
    cost = cost_of(graph)
    title = re.sub(r'["\\]', "", " ".join(name.split()))
    shapes = f"{format_shape(graph.shape(graph.input))} → {format_shape(graph.shape(graph.output))}"
    return f'''"""{title}: written by hwnas. Needs only torch.

Images (N, C, H, W) of {shapes} (channels x height x width).
{cost.params:,} parameters, {cost.macs:,} multiply-adds.

    model = {class_name}().eval()
    load_hwnas_weights(model, safetensors.torch.load_file("weights.safetensors"))
"""'''


def _imports(extracts: Sequence[Extract]) -> str:
    """The copied classes' imports and our own; plain imports first, names of one module together."""
    lines = {"import torch", "from torch import Tensor", "from torch import nn"}
    lines |= {line for part in extracts for line in part.imports}
    plain = sorted(line for line in lines if line.startswith("import "))
    named: dict[str, list[str]] = {}
    for line in sorted(lines - set(plain)):
        module, _, names = line.partition(" import ")
        named.setdefault(module, []).append(names)
    together = [f"{module} import {', '.join(names)}" for module, names in sorted(named.items())]
    return "\n".join(["from __future__ import annotations", "", *plain, *together])


def _constants(graph: OpGraph, steps: Sequence[_Step]) -> str:
    lines = [f"INPUT_SHAPE = {graph.shape(graph.input)!r}", "", "# attribute of the network → node of the op graph"]
    lines += ["NODES = {", *(f'    "{step.attribute}": {_literal(step.node)},' for step in steps), "}"]
    return "\n".join(lines)


def _network_class(graph: OpGraph, class_name: str, steps: Sequence[_Step]) -> str:
    lines = [f"class {class_name}(nn.Module):"]
    output = format_shape(graph.shape(graph.output))
    lines += [f'    """Gives {output} for each image of {format_shape(graph.shape(graph.input))}."""', ""]
    lines += ["    def __init__(self) -> None:", "        super().__init__()"]
    for step in steps:
        lines += _call(f"        self.{step.attribute} = {step.call.class_name}(", _keywords(step.call))
    image = _attributes(graph)[graph.input]
    returned = "Tensor | tuple[Tensor, ...]" if graph.auxiliary else "Tensor"
    lines += ["", f"    def forward(self, {image}: Tensor) -> {returned}:"]
    for step in steps:
        lines += _call(f"        {step.target} = self.{step.attribute}(", list(step.arguments))
    targets = {step.node: step.target for step in steps} | {graph.input: image}
    if graph.auxiliary:
        lines += _call("        every = (", [targets[name] for name in (graph.output, *graph.auxiliary)])
        return "\n".join([*lines, "        return every if self.training else every[0]"])
    return "\n".join([*lines, f"        return {targets[graph.output]}"])


def _keywords(call: ModuleCall) -> list[str]:
    """The constructor's arguments in its order, without those that are its defaults."""
    parameters = inspect.signature(call.load()).parameters
    given = {name: call.kwargs[name] for name in parameters if name in call.kwargs} | dict(call.kwargs)
    told = {name: value for name, value in given.items() if name not in parameters or parameters[name].default != value}
    return [f"{name}={_literal(value)}" for name, value in told.items()]


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _call(head: str, arguments: Sequence[str]) -> list[str]:
    """``head`` and the arguments on one line, or, where that is too long, one argument a line."""
    line = f"{head}{', '.join(arguments)})"
    if len(line) <= _WIDTH:
        return [line]
    indent = " " * (len(head) - len(head.lstrip()))
    return [head, *(f"{indent}    {argument}," for argument in arguments), f"{indent})"]
