"""Processes that tests start: none is a copy of the tests' own, whose other threads (Ray's, gRPC's, PyTorch's) would be
missing in it with their locks held. They come from a server that is started once and has imported what most need."""

from __future__ import annotations

import multiprocessing

FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(["torch", "optuna", "hwnas.search.run"])
