"""Whether a relaxation is collapsing: DARTS's known failure, in which skip connections crowd out everything else.

Two signs: the share of skip connections among the ops that would be derived, and the dominant eigenvalue of the Hessian
of the validation loss in the logits, which grows before generalisation suffers (RobustDARTS, arXiv 1909.09656; its rule
to stop: the eigenvalue, averaged over a window, was ``RATIO`` of today's ``WINDOW`` looks ago).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from hwnas.ir.genotype import Genotype
from hwnas.search.gradient.bilevel import hessian_vector
from hwnas.training.checkpoint import Part

logger = logging.getLogger(__name__)

SKIP_SHARE = 0.5
"""More than this, and a warning is given: uniform over 7 ops it is 0.14."""
WINDOW, RATIO = 5, 0.75


def skip_share(genotype: Genotype) -> float:
    """The share of skip connections among the ops of all cells that are not merges."""
    ops = [node.op for cell in genotype.cells.values() for node in cell.nodes if node.op not in ("add", "concat")]
    return ops.count("skip_connect") / max(1, len(ops))


def dominant_eigenvalue(
    loss: Callable[[], Tensor], parameters: Sequence[nn.Parameter], *, iterations: int = 10, seed: int = 0
) -> float:
    """Of the Hessian of ``loss`` in ``parameters``: the one largest in size, by power iteration on differences of
    gradients (two gradients an iteration)."""
    generator = torch.Generator().manual_seed(seed)
    vector = [torch.randn(p.shape, generator=generator, dtype=p.dtype).to(p.device) for p in parameters]
    value = 0.0
    for _ in range(iterations):
        norm = torch.sqrt(sum((part.square().sum() for part in vector), start=vector[0].new_zeros(())))
        if float(norm) == 0:
            return 0.0
        vector = [part / norm for part in vector]
        product = hessian_vector(loss, parameters, parameters, vector)
        value = float(sum((a * b).sum() for a, b in zip(vector, product, strict=True)))
        vector = product
    return value


@dataclass
class CollapseWatch:
    """Takes a look now and then; ``stop`` ends the search where RobustDARTS's rule says so.

    ``collapsing`` says after a :meth:`look` what the signs are, ``""`` where there are none.
    """

    stop: bool = False
    most_skips: float = SKIP_SHARE
    eigenvalues: list[float] = field(default_factory=list)
    collapsing: str = ""

    def look(self, genotype: Genotype, eigenvalue: float) -> dict[str, float]:
        """Record the signs, warn once of each; what is logged."""
        share = skip_share(genotype)
        self.eigenvalues.append(eigenvalue)
        signs = []
        if share > self.most_skips:
            signs.append(f"{share:.0%} of the ops that would be derived are skip connections")
        if self.curved:
            signs.append(f"the dominant eigenvalue of the logits' Hessian has risen to {eigenvalue:.3g}")
        now = " and ".join(signs)
        if now and not self.collapsing:
            logger.warning("the relaxation is collapsing: %s", now)
        self.collapsing = now
        return {"skip_share": share, "eigenvalue": eigenvalue}

    @property
    def curved(self) -> bool:
        """RobustDARTS's rule: the mean eigenvalue of a window was under ``RATIO`` of the present one's."""
        values = self.eigenvalues
        if len(values) < 2 * WINDOW:
            return False
        means = [sum(values[end - WINDOW : end]) / WINDOW for end in (len(values) - WINDOW, len(values))]
        return means[0] > 0 and means[0] / means[1] < RATIO if means[1] > 0 else False

    @property
    def finished(self) -> bool:
        """Whether the search should end."""
        return self.stop and self.curved

    def part(self) -> Part:
        """Its state."""

        def recall(facts: Mapping[str, Any]) -> None:
            self.eigenvalues[:] = [float(value) for value in facts["eigenvalues"]]
            self.collapsing = str(facts["collapsing"])

        return Part(facts=lambda: {"eigenvalues": self.eigenvalues, "collapsing": self.collapsing}, recall=recall)
