"""``python -m hwnas.cli`` is ``hwnas``."""

from __future__ import annotations

import sys

from hwnas.cli.main import main

sys.exit(main())
