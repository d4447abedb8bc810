"""By CPU time a process is charged for what it and its children did, and not for waiting."""

from __future__ import annotations

import subprocess
import sys
import time

from hwnas.clock import CLOCKS, cpu_seconds


def test_waiting_costs_no_cpu_time() -> None:
    before = {name: clock() for name, clock in CLOCKS.items()}
    time.sleep(0.3)
    took = {name: clock() - before[name] for name, clock in CLOCKS.items()}
    assert took["wall"] >= 0.3 > took["cpu"]


def test_what_children_did_counts_when_they_have_ended() -> None:
    work = "import time\nwhile time.process_time() < 0.2: pass"
    before = cpu_seconds()
    with subprocess.Popen([sys.executable, "-c", work]) as child:
        child.wait()
    assert cpu_seconds() - before >= 0.2
