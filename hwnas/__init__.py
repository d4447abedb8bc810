"""hwnas: a hardware-aware deployment compiler and exporter for real-time semantic segmentation.

Importing this package imports neither torch nor any engine; every subpackage loads what it needs where it is used.
"""

from __future__ import annotations

__version__ = "0.1.0"
