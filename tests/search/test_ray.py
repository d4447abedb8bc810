"""The tests of ``real_ray.py``, in a process of their own: one in which Ray was shut down may end at any moment."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")


def test_real_ray_in_a_process_of_its_own() -> None:
    """Judged by pytest's closing line: how the process ends once all is said is Ray's affair."""
    cases = Path(__file__).with_name("real_ray.py")
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", str(cases)]
    said = subprocess.run(command, cwd=cases.parents[2], capture_output=True, text=True, check=False)
    closing = said.stdout.strip().rpartition("\n")[2]
    assert re.match(r"\d+ passed(?!.*(failed|error))", closing), said.stdout + said.stderr
