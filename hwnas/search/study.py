"""The record of a search: an Optuna study in a journal file, which optuna-dashboard and others open.

A trial is written RUNNING with its decisions before it is evaluated, and closed after. Its user attributes hold all
that is known of it; ``outcome`` is written first and is what counts, the trial's state follows. So a candidate whose
outcome was written is never lost or evaluated again, whatever moment the process is killed at.

The study is read once, when it is opened; the search loop only appends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas import __version__
from hwnas.errors import RunError
from hwnas.search.journal import open_journal
from hwnas.search.problem import Problem
from hwnas.search.strategy import Outcome, Request, decisions_from_json
from hwnas.spaces.base import Choice

if TYPE_CHECKING:
    from optuna.distributions import CategoricalDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

SCHEMA_VERSION = 1
STUDY_NAME = "search"


@dataclass(frozen=True)
class Trial:
    """One recorded candidate. ``outcome`` is None while it is being evaluated (or its process was killed).

    ``told`` counts the outcomes of the study in the order in which they came; ``costs`` are its known prices.
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


class Study:
    """Appends trials to a storage. Made by :func:`open_study`; ``trials`` are those that were there by then."""

    def __init__(self, storage: BaseStorage, study_id: int, problem: Problem, seed: int) -> None:
        self._storage = storage
        self._study_id = study_id
        self._problem = problem
        self._seed = seed
        self._distributions: dict[str, CategoricalDistribution] = _distributions(problem.space.choices)
        everything = storage.get_all_trials(study_id, deepcopy=False)
        self._count = len(everything)
        read = [frozen for frozen in everything if "request" in frozen.user_attrs]  # others are another tool's
        self.trials: tuple[Trial, ...] = tuple(_trial_of(frozen) for frozen in read)
        self._told = 1 + max((trial.told for trial in self.trials), default=-1)
        for frozen, trial in zip(read, self.trials, strict=True):
            if trial.outcome is not None and not frozen.state.is_finished():
                self._close(trial.storage_id, trial.outcome)

    @property
    def finished(self) -> list[Trial]:
        """The trials with an outcome, in the order in which the outcomes came."""
        return sorted((trial for trial in self.trials if trial.outcome is not None), key=lambda trial: trial.told)

    @property
    def orphans(self) -> list[Trial]:
        """The trials that were being evaluated when their process ended."""
        return [trial for trial in self.trials if trial.outcome is None]

    def begin(self, request: Request, fingerprint: str, costs: Mapping[str, float]) -> Trial:
        """Record that ``request`` is about to be evaluated."""
        from optuna.trial import FrozenTrial, TrialState

        params = {name: _option(value) for name, value in request.decisions.items() if name in self._distributions}
        template = FrozenTrial(
            number=-1,
            trial_id=-1,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params=params,
            distributions={name: self._distributions[name] for name in params},
            user_attrs={
                **costs,  # once more, flat: a column each in other tools
                "request": _request_document(request),
                "fingerprint": fingerprint,
                "seed": self._seed,
                "version": __version__,
                "costs": dict(costs),
            },
            system_attrs={},
            intermediate_values={},
        )
        with _writing():
            storage_id = self._storage.create_new_trial(self._study_id, template_trial=template)
        self._count += 1
        return Trial(self._count - 1, storage_id, request, fingerprint, dict(costs))

    def retry(self, trial: Trial) -> Trial:
        """Record that an orphan is evaluated once more."""
        with _writing():
            self._storage.set_trial_user_attr(trial.storage_id, "attempts", trial.attempts + 1)
        return replace(trial, attempts=trial.attempts + 1)

    def finish(self, trial: Trial, outcome: Outcome, duration_s: float) -> Trial:
        """Record what came of a trial. Values that are not finite are left out: JSON has none."""
        outcome = replace(outcome, values={name: value for name, value in outcome.values.items() if isfinite(value)})
        closed = replace(trial, outcome=outcome, told=self._told, duration_s=round(duration_s, 6))
        self._told += 1
        with _writing():
            self._storage.set_trial_user_attr(trial.storage_id, "outcome", _outcome_document(closed, outcome))
        self._close(trial.storage_id, outcome)
        return closed

    def _close(self, storage_id: int, outcome: Outcome) -> None:
        """Give the trial the state by which other tools know it: infeasible is PRUNED, so that it is never 'best'."""
        from optuna.trial import TrialState

        states = {"ok": TrialState.COMPLETE, "infeasible": TrialState.PRUNED, "failed": TrialState.FAIL}
        score = self._problem.objective.score(outcome)
        with _writing():
            self._storage.set_trial_state_values(storage_id, states[outcome.status], None if score is None else [score])


def open_study(path: Path, problem: Problem, *, identity: Mapping[str, Any], seed: int) -> Study:
    """The study in the journal file ``path``, made if it is not there.

    ``identity`` is what the study is of, as JSON (data, size, budget, table's fingerprint, …). A study of anything
    else, of another space or of another schema is a RunError that names the first difference.
    """
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces every new study on stderr
    try:
        storage = open_journal(path)
        with _writing():
            study_id = _find_or_create(storage, path, problem, _identity(problem, identity, seed))
            return Study(storage, study_id, problem, seed)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _find_or_create(storage: BaseStorage, path: Path, problem: Problem, identity: dict[str, Any]) -> int:
    from optuna.study import StudyDirection

    try:
        study_id = storage.get_study_id_from_name(STUDY_NAME)
    except KeyError:
        study_id = storage.create_new_study([StudyDirection.MAXIMIZE], STUDY_NAME)
    attrs = storage.get_study_user_attrs(study_id)
    if "hwnas" not in attrs:  # new, or its maker was killed before it could say what it is of
        storage.set_study_system_attr(study_id, "study:metric_names", [problem.objective.metric])
        storage.set_study_user_attr(study_id, "hwnas", identity)
        return study_id
    recorded = attrs["hwnas"]
    for name in sorted(set(identity) | set(recorded)):
        if identity.get(name) != recorded.get(name):
            raise RunError(
                f"the study {path} is of another search: its {name} is {_short(recorded.get(name))}, "
                f"not {_short(identity.get(name))}",
                "continue it with the same settings, or search in another run directory",
            )
    return study_id


def _identity(problem: Problem, identity: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """All that must agree for a study to be continued, as JSON gives it back."""
    own = {
        "schema_version": SCHEMA_VERSION,
        "space": problem.space.name,
        "choices": [[choice.name, list(choice.options)] for choice in problem.space.choices],
        "metric": problem.objective.metric,
        "limits": dict(problem.objective.limits),
        "seed": seed,
    }
    document: dict[str, Any] = json.loads(json.dumps({**identity, **own}))
    return document


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _trial_of(frozen: FrozenTrial) -> Trial:
    attrs = frozen.user_attrs
    document = attrs["request"]
    request = Request(
        decisions_from_json(document["decisions"]), document["id"], document["fidelity"], document["continue_from"]
    )
    trial = Trial(
        frozen.number,
        frozen._trial_id,
        request,
        attrs["fingerprint"],
        attrs["costs"],
        attempts=attrs.get("attempts", 1),
    )
    if "outcome" not in attrs:
        return trial
    found = attrs["outcome"]
    outcome = Outcome(request, found["values"], found["status"], found["note"], found["checkpoint"])
    return replace(trial, outcome=outcome, told=found["told"], duration_s=found["duration_s"])


def _request_document(request: Request) -> dict[str, Any]:
    return {
        "decisions": dict(request.decisions),
        "id": request.id,
        "fidelity": request.fidelity,
        "continue_from": request.continue_from,
    }


def _outcome_document(trial: Trial, outcome: Outcome) -> dict[str, Any]:
    return {
        "status": outcome.status,
        "values": {name: float(value) for name, value in outcome.values.items()},
        "note": outcome.note,
        "checkpoint": outcome.checkpoint,
        "duration_s": trial.duration_s,
        "told": trial.told,
    }


def _distributions(choices: tuple[Choice, ...] | Any) -> dict[str, CategoricalDistribution]:
    from optuna.distributions import CategoricalDistribution

    return {choice.name: CategoricalDistribution(tuple(map(_option, choice.options))) for choice in choices}


def _option(value: Any) -> Any:
    """An option as Optuna can hold it: tuples become text."""
    return json.dumps(value) if isinstance(value, tuple) else value


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot write the study: {error.strerror or error}",
            "what was recorded is safe: free some space, then continue with --resume",
        ) from error
