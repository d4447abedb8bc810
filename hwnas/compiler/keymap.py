"""Pretrained weights of other libraries, brought to our nodes by name: what matched, and what did not.

A keymap is a small JSON file in ``keymaps/``. ``modules`` takes the name of each of their modules to a place of ours,
``unit.part``; a layout replaces the beginnings of units by those of our nodes, since skeletons name them differently
(``layer1/`` is ``stage2/`` in one space and ``encoder/layer1/`` in another). The layout that matches most is taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.errors import HwnasError, RunError

if TYPE_CHECKING:
    from torch import Tensor

OWN = "hwnas"
"""The keymap of our own weight files: names of nodes as they are."""
COUNTER = "num_batches_tracked"
PICKLES = (".pth", ".pt", ".pkl", ".pickle", ".bin", ".ckpt", ".tar")


@dataclass(frozen=True)
class Keymap:
    """Their module → our ``unit.part``; layout → (beginning of a unit → beginning of a node)."""

    name: str
    source: str
    layouts: Mapping[str, Mapping[str, str]]
    modules: Mapping[str, str]

    def renamed(self, layout: str) -> dict[str, str]:
        """Their module → our module, in a layout."""
        starts = self.layouts[layout]

        def node(place: str) -> str:
            for start, ours in starts.items():
                if place.startswith(start):
                    return ours + place[len(start) :]
            return place

        return {theirs: node(place) for theirs, place in self.modules.items()}


def keymap_names() -> list[str]:
    """The names that ``--keymap`` takes."""
    files = resources.files("hwnas.compiler.keymaps").iterdir()
    return sorted([OWN, *(Path(file.name).stem for file in files if file.name.endswith(".json"))])


def load_keymap(name: str) -> Keymap | None:
    """The keymap called ``name``, None for our own; an unknown name is a HwnasError that offers the nearest ones."""
    import difflib

    if name == OWN:
        return None
    if name not in (known := keymap_names()):
        near = difflib.get_close_matches(name, known, n=3)
        offer = f"did you mean {', '.join(near)}?" if near else f"there are: {', '.join(known)}"
        raise HwnasError(f"unknown keymap {name!r}", offer)
    document = json.loads(resources.files("hwnas.compiler.keymaps").joinpath(f"{name}.json").read_text("utf-8"))
    return Keymap(document["name"], document["source"], document["layouts"], document["modules"])


@dataclass(frozen=True)
class Matched:
    """Pretrained weights under our names, and the report of how they came to them.

    ``tensors`` fit a network by name and shape. ``wrong_shape`` are (theirs, ours, their shape, our shape); ``missing``
    are tensors of ours that got nothing, ``unused`` those of theirs that have no place (a classifier).
    """

    tensors: Mapping[str, Tensor]
    layout: str
    wrong_shape: tuple[tuple[str, str, tuple[int, ...], tuple[int, ...]], ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as a JSON document, without the tensors."""
        return {
            "layout": self.layout,
            "matched": len(self.tensors),
            "parameters": sum(tensor.numel() for tensor in self.tensors.values()),
            "wrong_shape": [
                {"theirs": theirs, "ours": ours, "their_shape": list(a), "our_shape": list(b)}
                for theirs, ours, a, b in self.wrong_shape
            ],
            "missing": list(self.missing),
            "unused": list(self.unused),
        }

    def lines(self, most: int = 4) -> list[str]:
        """The report in a few lines."""
        matched = sum(not name.endswith(COUNTER) for name in self.tensors)
        total = matched + len(self.missing) + len(self.wrong_shape)
        said = [f"pretrained weights: {matched} of {total} tensors of the backbone matched"]
        if self.wrong_shape:
            shown = [f"{ours} ({_size(b)}, theirs {_size(a)})" for _, ours, a, b in self.wrong_shape]
            said.append(f"  of another shape: {_some(shown, most)}")
        if self.missing:
            said.append(f"  without weights: {_some(list(self.missing), most)}")
        if self.unused:
            said.append(f"  no place for: {_some(list(self.unused), most)}")
        return said


def read_pretrained(path: Path) -> dict[str, Tensor]:
    """The tensors of any safetensors file. A pickle is refused, with how to convert it."""
    from safetensors import SafetensorError, safe_open

    if path.suffix.lower() in PICKLES or _is_pickle(path):
        raise RunError(
            f"{path} is a pickle: reading it could run any code that is in it",
            'convert it where you trust it: python -c "import torch; from safetensors.torch import save_file; '
            f"s = torch.load('{path.name}', map_location='cpu', weights_only=True); s = s.get('state_dict', s); "
            f"save_file({{k: v.contiguous() for k, v in s.items()}}, '{path.stem}.safetensors')\"",
        )
    try:
        with safe_open(path, framework="pt") as stream:
            return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a mapping)
    except OSError as error:
        raise RunError(f"cannot read the weights {path}: {error.strerror or error}", "check the path") from error
    except SafetensorError as error:
        raise RunError(
            f"the weights {path} are damaged, truncated or not a safetensors file ({error})", "download them again"
        ) from error


def match(tensors: Mapping[str, Tensor], keymap: Keymap | None, state: Mapping[str, Tensor]) -> Matched:
    """Bring ``tensors`` to the names of ``state``, a network's ``state_dict`` or the part that is its backbone.

    HwnasError where nothing fits.
    """
    if keymap is None:
        found = _matched(dict.fromkeys(tensors), tensors, {key: key for key in tensors}, state, OWN)
    else:
        prefix = _prefix(tensors, keymap)
        candidates = []
        for layout in keymap.layouts:
            modules = keymap.renamed(layout)
            names = {}
            for key in tensors:
                module, _, parameter = key.removeprefix(prefix).rpartition(".")
                if module in modules:
                    names[key] = f"{modules[module]}.{parameter}"
            candidates.append(_matched(dict.fromkeys(tensors), tensors, names, state, layout))
        found = max(candidates, key=lambda each: (len(each.tensors), len(each.wrong_shape)))
    if not found.tensors:
        named = keymap.name if keymap else OWN
        raise HwnasError(
            f"none of the {len(tensors)} pretrained tensors fits the backbone by the keymap {named}",
            f"they begin with {_some(sorted(tensors), 3)}; the backbone's with {_some(sorted(state), 3)}; "
            f"keymaps are: {', '.join(keymap_names())}",
        )
    return found


def _matched(
    order: Mapping[str, None],
    tensors: Mapping[str, Tensor],
    names: Mapping[str, str],
    state: Mapping[str, Tensor],
    layout: str,
) -> Matched:
    fitting: dict[str, Tensor] = {}
    wrong, unused = [], []
    for theirs in order:
        ours = names.get(theirs)
        if ours is None or ours not in state:
            unused.append(theirs)
        elif tensors[theirs].shape != state[ours].shape:
            wrong.append((theirs, ours, tuple(tensors[theirs].shape), tuple(state[ours].shape)))
        else:
            fitting[ours] = tensors[theirs].to(state[ours].dtype)
    misshaped = {ours for _, ours, _, _ in wrong}
    missing = [key for key in state if key not in fitting and key not in misshaped and not key.endswith(COUNTER)]
    return Matched(fitting, layout, tuple(wrong), tuple(missing), tuple(unused))


def _prefix(tensors: Mapping[str, Tensor], keymap: Keymap) -> str:
    """What stands before their names: ``module.`` of DataParallel, ``backbone.`` of a larger network, mostly nothing.

    The one under which most of the keymap's modules are there.
    """
    first = f"{next(iter(keymap.modules))}.weight"
    prefixes = {key[: -len(first)] for key in tensors if key.endswith(first)} | {""}
    prefixes = {prefix for prefix in prefixes if not prefix or prefix.endswith(".")}

    def there(prefix: str) -> int:
        return sum(f"{prefix}{module}.weight" in tensors for module in keymap.modules)

    return max(sorted(prefixes), key=there)


def _is_pickle(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError:
        return False
    return head[:2] == b"PK" or (head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"))


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"


def _some(names: list[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
