"""What we count in the place of a published figure."""

from __future__ import annotations

from hwnas.compiler.cost import cost_of
from hwnas.zoo.published import Figure


def counted(figure: Figure) -> int:
    """Parameters or multiplications of the network that ``figure`` speaks of, which must have a ``build``.

    Its ``extra_params`` are left out.
    """
    assert figure.build is not None, f"figure {figure.id} cannot be counted"
    cost = cost_of(figure.build.graph(), auxiliary=figure.build.auxiliary)
    return cost.params if "param" in figure.quantity else cost.macs
