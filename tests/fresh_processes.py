"""Processes that tests start: none is a copy of the tests' own, whose other threads (Ray's, gRPC's, PyTorch's) would be
missing in it with their locks held. They come from a server that is started once and has imported what most need."""

from __future__ import annotations

import multiprocessing
import re
import subprocess
import sys
from pathlib import Path

FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(["torch", "optuna", "hwnas.search.run"])


def pass_alone(cases: Path) -> None:
    """Run the tests of a file in a process of their own.

    Judged by pytest's closing line: how a process ends once all is said may be a library's affair (Ray's).
    """
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", str(cases)]
    said = subprocess.run(command, cwd=cases.parents[2], capture_output=True, text=True, check=False)
    closing = said.stdout.strip().rpartition("\n")[2]
    assert re.match(r"\d+ passed(?!.*(failed|error))", closing), said.stdout + said.stderr
