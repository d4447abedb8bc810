"""One recorded candidate, and the documents that a storage holds of it.

In the storage a trial is Optuna's, with these user attributes: ``request``, ``fingerprint``, ``genotype``, ``recipe``,
``costs`` (and each cost once more under its own name, a column in other tools), ``contract`` (the fingerprint of the
timing contract that is in the study once), ``seed``, ``version``; ``claim``, which says who evaluates it; and
``outcome``, once there is one. ``outcome`` is written before the trial's state and is what counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from hwnas.search.strategy import Outcome, Request, decisions_from_json

REQUEST, FINGERPRINT, COSTS, CLAIM, OUTCOME = "request", "fingerprint", "costs", "claim", "outcome"

Place: TypeAlias = tuple[str, float, str | None]
"""Fingerprint, fidelity, checkpoint gone on from: what makes an evaluation the same evaluation."""


@dataclass(frozen=True)
class Trial:
    """One recorded candidate. ``outcome`` is None while it is being evaluated (or its process was killed).

    ``told`` counts the outcomes of the study in the order in which they came; ``costs`` are its known prices.
    ``stream`` numbers the searches that share the study: 0 is the one that began it. ``member`` is the process that
    evaluates it, or did so last.
    """

    number: int
    storage_id: int
    request: Request
    fingerprint: str
    costs: Mapping[str, float] = field(default_factory=dict, hash=False)
    attempts: int = 1
    outcome: Outcome | None = None
    told: int = -1
    duration_s: float = 0.0
    stream: int = 0
    member: int = 0

    @property
    def place(self) -> Place:
        return place_of(self.fingerprint, self.request)


@dataclass(frozen=True)
class Record:
    """What a storage holds of one of our trials. ``open``: it has not got its final state yet."""

    number: int
    storage_id: int
    open: bool
    attrs: Mapping[str, Any]


def place_of(fingerprint: str, request: Request) -> Place:
    """What the evaluation of ``request`` is known by."""
    return fingerprint, request.fidelity, request.continue_from


def trial_of(record: Record) -> Trial:
    """The trial that a record is of."""
    attrs = record.attrs
    document, claim = attrs[REQUEST], attrs.get(CLAIM, {})
    request = Request(
        decisions_from_json(document["decisions"]), document["id"], document["fidelity"], document["continue_from"]
    )
    trial = Trial(
        record.number,
        record.storage_id,
        request,
        attrs[FINGERPRINT],
        attrs[COSTS],
        attempts=claim.get("attempts", 1),
        stream=document.get("stream", 0),
        member=claim.get("member", 0),
    )
    if OUTCOME not in attrs:
        return trial
    found = attrs[OUTCOME]
    outcome = Outcome(request, found["values"], found["status"], found["note"], found["checkpoint"])
    return replace(trial, outcome=outcome, told=found["told"], duration_s=found["duration_s"])


def request_document(request: Request, stream: int) -> dict[str, Any]:
    return {
        "decisions": dict(request.decisions),
        "id": request.id,
        "fidelity": request.fidelity,
        "continue_from": request.continue_from,
        "stream": stream,
    }


def claim_document(trial: Trial) -> dict[str, Any]:
    return {"member": trial.member, "attempts": trial.attempts}


def outcome_document(trial: Trial, outcome: Outcome) -> dict[str, Any]:
    return {
        "status": outcome.status,
        "values": {name: float(value) for name, value in outcome.values.items()},
        "note": outcome.note,
        "checkpoint": outcome.checkpoint,
        "duration_s": trial.duration_s,
        "told": trial.told,
    }
