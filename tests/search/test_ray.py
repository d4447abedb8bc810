"""The tests of ``real_ray.py``, in a process of their own: Ray leaves threads behind where it was shut down."""

from __future__ import annotations

from pathlib import Path

import pytest
from fresh_processes import pass_alone

pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")


def test_real_ray_in_a_process_of_its_own() -> None:
    pass_alone(Path(__file__).with_name("real_ray.py"))
