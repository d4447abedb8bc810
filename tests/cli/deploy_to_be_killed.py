"""Run by test_deploy.py in a process of its own: a deployment that is killed when the stage named first begins."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest
from small_world import shorten_timing  # and registers its space

from hwnas.cli import deployment
from hwnas.cli.main import main


def killed(*arguments: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    shorten_timing(pytest.MonkeyPatch())
    setattr(deployment.Deployment, sys.argv[1], killed)
    sys.exit(main(sys.argv[2:]))
