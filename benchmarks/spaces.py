"""Every registered space, genotype by genotype: do graph, PyTorch and ONNX Runtime say the same?

    python benchmarks/spaces.py                         # 1,000 genotypes a space expanded, 300 compiled and exported
    python benchmarks/spaces.py --space spos -n 20 --expand 100

Random genotypes are expanded, verified and sent through JSON to the same fingerprint. Of each that is compiled: shapes,
multiply-accumulates and parameters of the op graph equal what torch counts, at two sizes, one of them odd; the exported
net gives the same logits in ONNX Runtime (to 2e-4 of their largest). Prints a table; exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hwnas.spaces.base import SPACES, SearchSpace  # noqa: E402
from hwnas.spaces.decisions import size  # noqa: E402
from tests.contracts import space_contract as contract  # noqa: E402
from tests.contracts.test_spaces import SIZE, SIZES, SMALL_SIZES, narrow  # noqa: E402


def attempted(step: Callable[[], None]) -> str:
    """``"ok 12 s"``, or the last line of what went wrong."""
    started = time.monotonic()
    try:
        step()
    except Exception:
        traceback.print_exc()
        return "FAILED"
    return f"ok {time.monotonic() - started:.0f} s"


def row(name: str, options: argparse.Namespace) -> list[str]:
    """The table's row for a space."""
    space: SearchSpace = SPACES.get(name)
    small, sizes = (
        (space, SIZES.get(name, SMALL_SIZES)) if options.wide else (narrow(name), SIZES.get(name, SMALL_SIZES))
    )
    with tempfile.TemporaryDirectory() as folder:
        return [
            name,
            f"{size(space):.3g}" if space.choices else "-",
            attempted(lambda: contract.check_round_trips(space, SIZE, options.expand)),
            attempted(lambda: contract.check_torch_agrees(small, sizes, options.count)),
            attempted(lambda: contract.check_exports(small, sizes[-1], options.count, Path(folder))),
        ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", action="append", choices=SPACES.names(), help="only this one; may be repeated")
    parser.add_argument("-n", "--count", type=int, default=300, help="genotypes to compile and to export (300)")
    parser.add_argument("--expand", type=int, default=1000, help="genotypes to expand and send through JSON (1,000)")
    parser.add_argument(
        "--wide", action="store_true", help="compile the nets as wide as the space says, not narrow twins"
    )
    options = parser.parse_args()
    head = [
        "space",
        "size",
        f"{options.expand} through JSON",
        f"{options.count} in torch",
        f"{options.count} in ONNX RT",
    ]
    widths = [20, 10, 20, 16, 18]
    print("  ".join(text.ljust(width) for text, width in zip(head, widths, strict=True)))
    failed = False
    for name in options.space or SPACES.names():
        found = row(name, options)
        failed = failed or "FAILED" in found
        print("  ".join(text.ljust(width) for text, width in zip(found, widths, strict=True)), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
