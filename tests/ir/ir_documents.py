"""A small valid genotype document that the tests take and break."""

from __future__ import annotations

import copy
from typing import Any

_DOCUMENT: dict[str, Any] = {
    "format": "hwnas-genotype",
    "schema_version": 1,
    "name": "small",
    "skeleton": "encoder_decoder",
    "params": {"stem_width": 16, "widths": [32, 48], "head_width": 32, "dilated_stages": 0},
    "cells": {
        "stage1": {
            "inputs": ["x"],
            "nodes": [
                {"name": "a", "op": "conv_3x3", "inputs": ["x"], "params": {"activation": "none"}},
                {"name": "b", "op": "max_pool_3x3", "inputs": ["x"], "params": {"stride": 2}},
                {"name": "sum", "op": "add", "inputs": ["a", "b", "a"]},
            ],
            "output": "sum",
        },
        "decoder": {
            "inputs": ["stage2"],
            "nodes": [{"name": "pool", "op": "pyramid_pool", "inputs": ["stage2"], "params": {"bins": [1, 2]}}],
            "output": "pool",
        },
    },
}


def document() -> dict[str, Any]:
    """A fresh copy."""
    return copy.deepcopy(_DOCUMENT)
