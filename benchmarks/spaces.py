"""Every registered space, genotype by genotype: do graph, PyTorch and ONNX Runtime say the same?

    python benchmarks/spaces.py --record spaces.jsonl                # 1,000 genotypes a space expanded, 300 compiled
    python benchmarks/spaces.py --record spaces.jsonl --minutes 60   # as many as an hour suffices for
    python benchmarks/spaces.py --record small.jsonl --space spos -n 20 --expand 100

Random genotypes are expanded, verified and sent through JSON to the same fingerprint. Of each that is compiled: shapes,
multiply-accumulates and parameters of the op graph equal what torch counts, at two sizes, one of them odd; in ONNX
Runtime the logits are the same (to 2e-4 of their largest), of networks put together from ops that are exported once for
all (``ops``), and of a few that are exported whole (``whole``; seconds each, ``--whole`` says how many). It is done in
parts, a few genotypes of every space in turn; each part that is done is a line of the record, and the same command goes
on behind them, also after a kill. Prints how many were checked, and how many of the parts failed; exits with 1 if any
did.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hwnas.spaces.base import SPACES  # noqa: E402
from hwnas.spaces.decisions import size  # noqa: E402
from tests.contracts import space_contract as contract  # noqa: E402
from tests.contracts.exported_ops import ExportedOps  # noqa: E402
from tests.contracts.test_spaces import SIZE, SIZES, SMALL_SIZES, narrow  # noqa: E402

PARTS = {"json": 50, "torch": 10, "ops": 50, "whole": contract.TOGETHER}
"""Check → genotypes of a part."""
OPS = ExportedOps()


@dataclass(frozen=True)
class Part:
    """``count`` genotypes of a space; ``number`` says which, by their seed."""

    check: str
    number: int
    space: str
    count: int
    wide: bool = False


def parts_of(options: argparse.Namespace) -> Iterator[Part]:
    """All parts: the first ones of all spaces first, and cheap checks before dear ones."""
    spaces = options.space or SPACES.names()
    for check in options.check or PARTS:
        most = {"json": options.expand, "whole": options.whole}.get(check, options.count)
        for start in range(0, most, PARTS[check]):
            for space in spaces:
                wide = options.wide and check != "json"
                yield Part(check, start // PARTS[check], space, min(PARTS[check], most - start), wide)


def failure_of(part: Part) -> str:
    """What went wrong in a part, as one line; ``""`` if nothing did."""
    space = SPACES.get(part.space) if part.wide or part.check == "json" else narrow(part.space)
    sizes = SIZES.get(part.space, SMALL_SIZES)
    try:
        if part.check == "json":
            contract.check_round_trips(space, SIZE, part.count, (0, part.number))
        elif part.check == "torch":
            contract.check_torch_agrees(space, sizes, part.count, (1, part.number))
        elif part.check == "ops":
            contract.check_assembled(space, sizes[-1], part.count, OPS, (3, part.number))
        else:
            contract.check_exports(space, sizes[-1], part.count, (2, part.number))
    except Exception as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def recorded(path: Path) -> dict[Part, str]:
    """Part → its failure, of what was done before; empty lines and those that a kill cut short are left out."""
    found: dict[Part, str] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        failure = row.pop("failure")
        found[Part(**row)] = failure
    return found


def table(done: Mapping[Part, str], spaces: Sequence[str]) -> str:
    """How many genotypes of each space were checked, and how many parts failed."""
    lines = [f"{'space':20}  {'size':>9}  {'JSON':>6}  {'torch':>6}  {'by ops':>6}  {'whole':>6}  failed parts"]
    for name in spaces:
        own = {part: failure for part, failure in done.items() if part.space == name}
        counts = [sum(part.count for part in own if part.check == check) for check in PARTS]
        shown = "  ".join(f"{count:6}" for count in counts)
        lines.append(f"{name:20}  {size(SPACES.get(name)):9.3g}  {shown}  {sum(map(bool, own.values()))}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, required=True, help="the parts that are done, to go on behind them")
    parser.add_argument("--check", action="append", choices=list(PARTS), help="only this one; may be repeated")
    parser.add_argument("--space", action="append", choices=SPACES.names(), help="only this one; may be repeated")
    parser.add_argument(
        "-n", "--count", type=int, default=300, help="genotypes to compile, and to run in the engine (300)"
    )
    parser.add_argument("--whole", type=int, default=contract.TOGETHER, help="those that are exported whole (5)")
    parser.add_argument("--expand", type=int, default=1000, help="genotypes to expand and send through JSON (1,000)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no part after them")
    parser.add_argument(
        "--wide", action="store_true", help="compile the nets as wide as the space says, not narrow twins"
    )
    options = parser.parse_args()
    started, done = time.monotonic(), recorded(options.record)
    wanted = list(parts_of(options))
    with options.record.open("a") as record:
        record.write("\n")  # ends a line that a kill cut short
        for part in wanted:
            if part in done:
                continue
            if time.monotonic() - started > 60 * options.minutes:
                break
            done[part] = failure_of(part)
            record.write(json.dumps({**asdict(part), "failure": done[part]}) + "\n")
            record.flush()
    known = {part: done[part] for part in wanted if part in done}
    print(table(known, options.space or SPACES.names()))
    print(f"{len(known)} of {len(wanted)} parts, {time.monotonic() - started:.0f} s this time")
    return int(any(known.values()))


if __name__ == "__main__":
    sys.exit(main())
