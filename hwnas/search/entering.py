"""How a process enters a study: it finds or makes it, sees that it is the same search, and notes itself as a member."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hwnas.errors import RunError
from hwnas.search.members import Member
from hwnas.search.problem import Problem
from hwnas.search.reading import CONTRACT, IDENTITY
from hwnas.search.storage import Store

SCHEMA_VERSION = 2
MEMBER = "member:"
"""Begins the user attributes of the study with a note of each member."""


def find_or_create(store: Store, problem: Problem, identity: dict[str, Any], contract: Mapping[str, Any] | None) -> int:
    """The id of the study that the store is for; RunError, naming what differs, if it is of another search."""
    from optuna.study import StudyDirection

    storage, objective = store.storage, problem.objective
    try:
        study_id = storage.get_study_id_from_name(store.name)
    except KeyError:
        sides = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
        directions = [sides[side] for side in objective.metrics.values()] if objective.also else [sides["max"]]
        study_id = storage.create_new_study(directions, store.name)
    attrs = storage.get_study_user_attrs(study_id)
    if IDENTITY not in attrs:  # new, or its maker was killed before it could say what it is of
        storage.set_study_system_attr(study_id, "study:metric_names", list(objective.metrics))
        if contract is not None:
            storage.set_study_user_attr(study_id, CONTRACT, dict(contract))
        storage.set_study_user_attr(study_id, IDENTITY, identity)
        return study_id
    recorded = attrs[IDENTITY]
    for field in sorted(set(identity) | set(recorded)):
        if identity.get(field) != recorded.get(field):
            raise RunError(
                f"the study {store.where} is of another search: its {field} is {_short(recorded.get(field))}, "
                f"not {_short(identity.get(field))}",
                "continue it with the same settings, or search in another run directory",
            )
    return study_id


def enter(store: Store, study_id: int, join: bool) -> Member:
    """Become a member: of stream 0, or of a new one to join those at work."""
    members = members_of(store, study_id)
    busy = next((member for member in members if member.stream == 0 and member.alive()), None)
    if busy is not None and not join:
        raise RunError(
            f"the study {store.where} is already being searched ({busy})",
            "wait for it, or take part in it with --join",
        )
    number = len(members)
    stream = 1 + max((member.stream for member in members), default=0) if join else 0
    member = Member.here(number, stream)
    store.storage.set_study_user_attr(study_id, f"{MEMBER}{number}", member.to_dict())
    return member


def members_of(store: Store, study_id: int) -> list[Member]:
    """Everyone who has entered the study, those that have left it, too."""
    attrs = store.storage.get_study_user_attrs(study_id)
    return [Member.from_dict(note) for name, note in attrs.items() if name.startswith(MEMBER)]


def identity_of(problem: Problem, identity: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """All that must agree for a study to be continued, as JSON gives it back."""
    own = {
        "schema_version": SCHEMA_VERSION,
        "space": problem.space.name,
        "choices": [[choice.name, list(choice.options)] for choice in problem.space.choices],
        **problem.objective.to_dict(),
        "seed": seed,
    }
    document: dict[str, Any] = json.loads(json.dumps({**identity, **own}))
    return document


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "…"
