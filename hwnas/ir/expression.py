"""Whether two op graphs are the same expression, as benchmarks of tabulated architectures count them.

That is coarser than :func:`hwnas.ir.fingerprint.fingerprint`: a value that is read twice equals two values that are
computed alike, though the latter have weights of their own. NAS-Bench-201's cells are identified in this way; networks
that are trained or priced must not be, since parameters and latency differ.
"""

from __future__ import annotations

import hashlib

from hwnas.ir.opgraph import OpGraph
from hwnas.ops.spec import OPS


def expression_fingerprint(graph: OpGraph) -> str:
    """32 hex digits, equal exactly for graphs that are the same expression of their input (and auxiliary ones too).

    Names do not enter, nor does the order of a commutative op's inputs; nodes that reach no output do not either.
    """
    values = {graph.input: _digest(("input", graph.shape(graph.input)))}
    for node in graph.nodes:
        inputs = [values[source] for source in node.inputs]
        if node.op in OPS and OPS.get(node.op).commutative:
            inputs.sort()
        values[node.name] = _digest((node.op, sorted(node.params.items()), graph.shape(node.name), inputs))
    return _digest([values[name] for name in (graph.output, *graph.auxiliary)])


def _digest(facts: object) -> str:
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()
