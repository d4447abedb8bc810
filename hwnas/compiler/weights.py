"""A network's weights on disk: a safetensors file with a few texts of metadata. Nothing is ever unpickled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.errors import RunError
from hwnas.files import write_bytes

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = {"hwnas_format": "weights", "hwnas_format_version": "1"}
"""Metadata by which our files are told from other safetensors files."""


def save_weights(weights: nn.Module | Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write a network's (or a ``state_dict``'s) tensors to ``path``, beside and renamed, with ``metadata``."""
    write_bytes(path, serialised(weights, metadata))


def serialised(weights: nn.Module | Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The bytes of such a file; the same for the same tensors and texts."""
    from safetensors.torch import save
    from torch import nn

    state: Mapping[str, Tensor] = weights.state_dict() if isinstance(weights, nn.Module) else weights
    # clone: safetensors refuses tensors that share memory, as sliced supernet weights do
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
    texts = {**{key: str(value) for key, value in metadata.items()}, **FORMAT}
    return _in_order(save(tensors, metadata=texts))


def _in_order(content: bytes) -> bytes:
    """The same file with the texts in its header sorted: safetensors writes them in an order that changes."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header = {"__metadata__": dict(sorted(header.pop("__metadata__").items())), **header}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return b"".join((len(text).to_bytes(8, "little"), text, memoryview(content)[start:]))


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors (on the CPU) and the metadata in ``path``; a damaged or foreign file is a RunError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stream:
            metadata = dict(stream.metadata() or {})
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a mapping)
    except OSError as error:
        raise RunError(f"cannot read the weights {path}: {error.strerror or error}", "check the path") from error
    except SafetensorError as error:
        raise RunError(
            f"the weights {path} are damaged, truncated or not a safetensors file ({error})",
            "train the network again, or give the weights.safetensors of a run",
        ) from error
    if any(metadata.pop(key, None) != value for key, value in FORMAT.items()):
        raise RunError(f"{path} holds no weights of hwnas", "give a weights.safetensors that hwnas train wrote")
    return tensors, metadata


def apply_weights(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load ``tensors`` into ``network``. All of its tensors and no others must be there; else nothing is changed.

    They are copied one by one: ``load_state_dict`` looks through all of them for every module of a supernet.
    """
    import torch

    state = network.state_dict()
    complaints = {
        "lack": sorted(set(state) - set(tensors)),
        "hold, with no place for it,": sorted(set(tensors) - set(state)),
        "have another shape for": [
            f"{name} ({_size(tensors[name])} instead of {_size(state[name])})"
            for name in sorted(set(state) & set(tensors))
            if state[name].shape != tensors[name].shape
        ],
    }
    found = [f"{verb} {_list(names)}" for verb, names in complaints.items() if names]
    if found:
        raise RunError(
            f"the weights do not fit the network: they {'; they '.join(found)}",
            "give the genotype and the class count that these weights were trained with",
        )
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(tensors[name])


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _list(names: Iterable[str], most: int = 4) -> str:
    """The first few names, and how many there are beyond them."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
