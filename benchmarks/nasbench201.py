"""NAS-Bench-201's 15,625 cells: how many classes our passes and fingerprints leave.

    python benchmarks/nasbench201.py

Claimed: behind the passes that do not have to be exact the fingerprints are the 4,930 classes of a rule that drops
zeros from sums and takes sums behind skips apart, one for one. Exit code 1 if not. Behind the exact passes, which keep
what a BatchNorm makes of zeros and two convolutions with weights of their own, there are more; their number is printed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "zoo")]

from hwnas.ir.fingerprint import fingerprint  # noqa: E402
from hwnas.ir.opgraph import GraphBuilder  # noqa: E402
from hwnas.ir.passes.simplify import simplify  # noqa: E402
from hwnas.skeletons.placing import place_cell  # noqa: E402
from hwnas.zoo.notation.nasbench201 import nasbench201_cell  # noqa: E402
from tests.zoo.nasbench201_classes import all_cells, arch_string, flattened_class  # noqa: E402


def main() -> int:
    started = time.monotonic()
    pairs: set[tuple[str, str]] = set()
    networks: set[str] = set()
    for cell in all_cells():
        builder = GraphBuilder((4, 8, 8))
        found = nasbench201_cell(arch_string(cell))
        graph = builder.finish(place_cell(builder, found, "", {found.inputs[0]: builder.input}, channels=4))
        pairs.add((flattened_class(cell), fingerprint(simplify(graph, exact=False))))
        networks.add(fingerprint(simplify(graph)))
    classes, fingerprints = ({pair[side] for pair in pairs} for side in (0, 1))
    print(f"{len(classes)} classes, {len(fingerprints)} fingerprints, {len(pairs)} pairs of them")
    print(f"{len(networks)} networks behind the exact passes, in {time.monotonic() - started:.0f} s")
    return 0 if len(classes) == len(fingerprints) == len(pairs) == 4930 else 1


if __name__ == "__main__":
    raise SystemExit(main())
