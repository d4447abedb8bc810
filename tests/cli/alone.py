"""A command in a process of its own that knows the small space: ``python alone.py VERB …``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import small_world  # noqa: F401 (registers its space)

from hwnas.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
