"""Latency keys: what of a node decides how long it takes. Names, and where in the network the node stands, do not."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from hwnas.errors import TableError
from hwnas.ir.opgraph import OpGraph
from hwnas.shapes import Params, Shape, Value, format_shape

_TEXT = re.compile(r"(?P<op>\w+)\((?P<params>.*)\)@(?P<shapes>\d+x\d+x\d+(?:\+\d+x\d+x\d+)*)", re.DOTALL)


@dataclass(frozen=True, eq=False)
class LatencyKey:
    """An op with its complete parameters on inputs of given shapes (C, H, W), in order. Equal keys have equal texts."""

    op: str
    params: Params
    input_shapes: tuple[Shape, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", MappingProxyType({name: self.params[name] for name in sorted(self.params)}))
        object.__setattr__(self, "input_shapes", tuple((int(c), int(h), int(w)) for c, h, w in self.input_shapes))

    @cached_property
    def text(self) -> str:
        """Canonical text, e.g. ``mbconv_e6_k5(channels=64,dilation=1,stride=2)@24x90x120``; inputs joined by ``+``."""
        params = ",".join(f"{name}={_format(value)}" for name, value in self.params.items())
        return f"{self.op}({params})@{'+'.join(map(format_shape, self.input_shapes))}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LatencyKey) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text


def parse_key(text: str) -> LatencyKey:
    """The inverse of :attr:`LatencyKey.text`; a text that is not a key is a TableError."""
    match = _TEXT.fullmatch(text)
    if not match:
        raise TableError(f"{text!r} is not a latency key", "write it like conv_3x3(channels=32,stride=1)@16x90x120")
    try:
        call = ast.parse(f"f({match['params']})", mode="eval").body
        assert isinstance(call, ast.Call)
        if call.args or any(keyword.arg is None for keyword in call.keywords):
            raise ValueError("positional parameter")
        params: dict[str, Value] = {str(word.arg): _checked(ast.literal_eval(word.value)) for word in call.keywords}
    except (ValueError, SyntaxError) as error:
        raise TableError(f"the parameters of the latency key {text!r} cannot be read ({error})") from error
    shapes = [tuple(map(int, part.split("x"))) for part in match["shapes"].split("+")]
    return LatencyKey(match["op"], params, tuple((c, h, w) for c, h, w in shapes))


def keys_of(graph: OpGraph) -> dict[str, LatencyKey]:
    """Node name → key, in execution order, for every node but the input."""
    return {
        node.name: LatencyKey(node.op, node.params, tuple(graph.shape(source) for source in node.inputs))
        for node in graph.nodes
    }


def _format(value: Value) -> str:
    if isinstance(value, tuple):
        inner = ",".join(map(_format, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def _checked(value: object) -> Value:
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return tuple(map(_checked, value))
    raise ValueError(f"{value!r} is not a parameter value")
