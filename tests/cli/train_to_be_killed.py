"""Run by test_train_verb.py in a process of its own: a training that is killed as the step named first begins, and that
keeps its state after every step."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import small_world  # noqa: F401 (registers its space)

from hwnas.cli.main import main
from hwnas.training import train

if __name__ == "__main__":
    fatal, seed_step = int(sys.argv[1]), train.seed_step

    def seed_or_die(seed: int, step: int, device: object) -> None:
        if step == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        seed_step(seed, step, device)

    train.train_network.__kwdefaults__["checkpoint_seconds"] = 0.0
    train.seed_step = seed_or_die
    sys.exit(main(sys.argv[2:]))
