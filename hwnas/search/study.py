"""The record of a search: an Optuna study in a journal file or a database, which optuna-dashboard and others open.

A trial is written RUNNING with its decisions before it is evaluated, and closed after. Its user attributes hold all
that is known of it; ``outcome`` is written first and is what counts, the trial's state follows. So a candidate whose
outcome was written is never lost or evaluated again, whatever moment the process is killed at.

Several processes may work on one study. Each is a *member*; what it begins it has claimed, and no other evaluates it
while that member is alive. Everything is written under a lock that the others wait for (:meth:`Store.exclusive`), after
what they have written meanwhile was read. A storage that goes away is tried again for minutes (patience.py).

The study is read once, when it is opened; after that only what is new.
"""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hwnas import __version__
from hwnas.errors import RunError
from hwnas.ir.serialize import genotype_to_dict
from hwnas.search.entering import MEMBER, enter, find_or_create, identity_of, members_of
from hwnas.search.members import BEAT_S, Member, machine
from hwnas.search.patience import PATIENCE_S, patiently
from hwnas.search.problem import Problem
from hwnas.search.reading import WORK
from hwnas.search.storage import STUDY_NAME, Store, open_store
from hwnas.search.strategy import Outcome, Request
from hwnas.search.trial import (
    CLAIM,
    COSTS,
    FINGERPRINT,
    OUTCOME,
    REQUEST,
    Place,
    Trial,
    claim_document,
    outcome_document,
    place_of,
    request_document,
    trial_of,
)

if TYPE_CHECKING:
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import FrozenTrial

T = TypeVar("T")

GOODBYE_S = 10.0
"""So long a storage that is away is waited for to say goodbye: without that, others see for themselves who is gone."""


class Study:
    """The trials of a search. Made by :func:`open_study`; safe for several processes, and for a process's threads.

    :meth:`begin` before a candidate is evaluated, :meth:`finish` after; :meth:`refresh` for what others did meanwhile.
    """

    def __init__(self, store: Store, study_id: int, problem: Problem, seed: int, member: Member, contract: str) -> None:
        self._store = store
        self._study_id = study_id
        self._problem = problem
        self._seed = seed
        self._contract = contract
        self._member = member
        self._distributions: dict[str, CategoricalDistribution] = _distributions(problem)
        self._trials: dict[int, Trial] = {}
        self._places: dict[Place, int] = {}
        self._open: set[int] = set()
        self._news: list[Trial] = []
        self._told = 0
        self._closing = threading.Event()
        self._update()
        self._news.clear()

    @property
    def stream(self) -> int:
        """Whose requests this process asks for: 0 for the search that the study was made by, and when it is resumed."""
        return self._member.stream

    @property
    def member(self) -> int:
        """The number by which this process is known in :attr:`Trial.member`."""
        return self._member.number

    @property
    def is_led(self) -> bool:
        """Whether a process that began or resumed the search, rather than joined it, is at work elsewhere."""
        return any(member.stream == 0 and member.alive() for member in self._patiently(self._members))

    def neighbours(self) -> list[Trial]:
        """What other processes on this machine are evaluating now."""
        self.refresh()
        if not self.running:
            return []
        here = machine()
        busy = {each.number for each in self._patiently(self._members) if each.machine == here and each.alive()}
        return [trial for trial in self.running if trial.member in busy]

    def offer(self, work: Mapping[str, Any]) -> None:
        """Say what other processes must know and have to take part in the search, as JSON."""

        def note() -> None:
            with self._store.exclusive():
                self._store.storage.set_study_user_attr(self._study_id, WORK, dict(work))

        self._patiently(note)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial that is known by now, in the order in which they were begun."""
        return tuple(self._trials[number] for number in sorted(self._trials))

    @property
    def finished(self) -> list[Trial]:
        """The trials with an outcome, in the order in which the outcomes came."""
        return sorted((trial for trial in self._trials.values() if trial.outcome), key=lambda trial: trial.told)

    @property
    def running(self) -> list[Trial]:
        """The trials without an outcome, as far as is known by now."""
        return [self._trials[number] for number in sorted(self._open)]

    @property
    def orphans(self) -> list[Trial]:
        """The trials whose process ended while it evaluated them. Reads the members' notes."""
        if all(trial.member == self._member.number for trial in self.running):
            return []
        alive = {member.number for member in self._patiently(self._members) if member.alive()}
        return [trial for trial in self.running if trial.member not in {*alive, self._member.number}]

    @property
    def begun(self) -> int:
        """How many trials there are, as far as is known by now."""
        return len(self._trials)

    def known(self, place: Place) -> Trial | None:
        """The trial of this candidate at this fidelity, if there is one, as far as is known by now."""
        number = self._places.get(place)
        return None if number is None else self._trials[number]

    def is_mine(self, trial: Trial) -> bool:
        """Whether this process is the one to evaluate it."""
        return trial.outcome is None and trial.member == self._member.number

    def refresh(self) -> list[Trial]:
        """Read what other processes did since the last call; the trials that they finished, in the order of that."""
        self._patiently(self._update)
        news = sorted(self._news, key=lambda trial: trial.told)
        self._news.clear()
        return news

    def begin(
        self, request: Request, fingerprint: str, costs: Mapping[str, float], *, most: int | None = None
    ) -> Trial | None:
        """Record that ``request`` is about to be evaluated.

        If another process has the same candidate at the same fidelity, the trial is that one: it :meth:`is_mine` only
        if this process is to evaluate it. None if there are ``most`` trials already.
        """
        place = place_of(fingerprint, request)
        attributes = self._attributes(request, fingerprint, costs)

        def claim() -> Trial | None:
            with self._store.exclusive():
                self._update()
                known = self.known(place)
                if known is not None:
                    return known
                if most is not None and self.begun >= most:
                    return None
                template = self._template(request, attributes)
                storage_id = self._store.storage.create_new_trial(self._study_id, template_trial=template)
                self._update()
                (trial,) = (self._trials[number] for number in self._open if self._trials[number].place == place)
                assert trial.storage_id == storage_id
                return trial

        return self._patiently(claim)

    def retry(self, trial: Trial) -> Trial | None:
        """Claim a trial whose evaluation was cut off. None if another process was first, or it has an outcome by now.

        Of a trial that is this process's own (its worker was lost) it counts one attempt more.
        """

        def claim() -> Trial | None:
            with self._store.exclusive():
                self._update()
                current = self._trials[trial.number]
                if current.outcome is not None or (current.member, current.attempts) != (trial.member, trial.attempts):
                    return None
                claimed = replace(current, member=self._member.number, attempts=current.attempts + 1)
                self._write_attribute(trial, CLAIM, claim_document(claimed))
                self._trials[trial.number] = claimed
                return claimed

        return self._patiently(claim)

    def finish(self, trial: Trial, outcome: Outcome, duration_s: float) -> Trial:
        """Record what came of a trial. Values that are not finite are left out: JSON has none.

        If another process took this one for dead and has recorded an outcome, that one stands and is returned.
        """
        outcome = replace(outcome, values={name: value for name, value in outcome.values.items() if isfinite(value)})

        def close() -> Trial:
            with self._store.exclusive():
                self._update()
                current = self._trials[trial.number]
                if current.outcome is not None:
                    self._news = [news for news in self._news if news.number != trial.number]
                    return current
                closed = replace(current, outcome=outcome, told=self._told, duration_s=round(duration_s, 6))
                self._write_attribute(trial, OUTCOME, outcome_document(closed, outcome))
                self._take(closed)
                self._close(trial.storage_id, outcome)
                return closed

        return self._patiently(close)

    def close(self) -> None:
        """Say that this process is done with the study, so that others need not wait for what it has not finished."""
        if not self._closing.is_set():
            self._closing.set()
            with suppress(RunError):
                self._note_member(replace(self._member, left=True), GOODBYE_S)

    def beat(self) -> None:
        """Say that this process is alive, once: RunError where the storage is away, for the next beat is not far. A
        thread does so; see :data:`hwnas.search.members.BEAT_S`."""
        self._note_member(Member.here(self._member.number, self._member.stream), 0.0)

    def _patiently(self, action: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
        return patiently(action, self._store, patience_s=patience_s)

    def _update(self) -> None:
        """Read what is new in the storage."""
        for record in self._store.changes(self._study_id):
            trial = trial_of(record)
            before = self._trials.get(trial.number)
            if trial == before:
                continue
            self._take(trial)
            if trial.outcome is not None:
                if before is None or before.outcome is None:
                    self._news.append(trial)
                if record.open and self._is_deserted(trial):
                    self._close(trial.storage_id, trial.outcome)

    def _take(self, trial: Trial) -> None:
        self._trials[trial.number] = trial
        self._places.setdefault(trial.place, trial.number)
        if trial.outcome is None:
            self._open.add(trial.number)
        else:
            self._open.discard(trial.number)
            self._told = max(self._told, trial.told + 1)

    def _is_deserted(self, trial: Trial) -> bool:
        """Whether who wrote this outcome ended before it gave the trial its state."""
        if trial.member == self._member.number:
            return False
        return all(member.number != trial.member or not member.alive() for member in self._members())

    def _attributes(self, request: Request, fingerprint: str, costs: Mapping[str, float]) -> dict[str, Any]:
        candidate = self._problem.space.decode(request.decisions)
        return {
            **costs,  # once more, flat: a column each in other tools
            REQUEST: request_document(request, self.stream),
            FINGERPRINT: fingerprint,
            COSTS: dict(costs),
            CLAIM: {"member": self._member.number, "attempts": 1},
            "genotype": genotype_to_dict(candidate.genotype),
            "recipe": dict(candidate.recipe),
            "contract": self._contract,
            "seed": self._seed,
            "version": __version__,
        }

    def _template(self, request: Request, attributes: dict[str, Any]) -> FrozenTrial:
        from optuna.trial import FrozenTrial, TrialState

        params = {name: _option(value) for name, value in request.decisions.items() if name in self._distributions}
        return FrozenTrial(
            number=-1,
            trial_id=-1,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params=params,
            distributions={name: self._distributions[name] for name in params},
            user_attrs=attributes,
            system_attrs={},
            intermediate_values={},
        )

    def _write_attribute(self, trial: Trial, name: str, document: Mapping[str, Any]) -> None:
        self._store.storage.set_trial_user_attr(trial.storage_id, name, document)

    def _close(self, storage_id: int, outcome: Outcome) -> None:
        """Give the trial the state by which other tools know it: infeasible is PRUNED, so that it is never 'best'."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        states = {"ok": TrialState.COMPLETE, "infeasible": TrialState.PRUNED, "failed": TrialState.FAIL}
        values = self._values(outcome) if outcome.status == "ok" else None
        with self._store.exclusive(), suppress(UpdateFinishedTrialError):
            self._store.storage.set_trial_state_values(storage_id, states[outcome.status], values)

    def _values(self, outcome: Outcome) -> list[float]:
        """What other tools show as the trial's values: the score, or every metric of a search for a front."""
        objective = self._problem.objective
        if objective.also:
            return [float(outcome.values[name]) for name in objective.metrics]
        score = objective.score(outcome)
        return [] if score is None else [score]

    def _members(self) -> list[Member]:
        return members_of(self._store, self._study_id)

    def _note_member(self, member: Member, patience_s: float) -> None:
        def note() -> None:
            with self._store.exclusive():
                if self._closing.is_set() and not member.left:  # closed while a beat was on its way
                    return
                name = f"{MEMBER}{member.number}"
                self._store.storage.set_study_user_attr(self._study_id, name, member.to_dict())

        self._patiently(note, patience_s)


def open_study(
    where: Path | str,
    problem: Problem,
    *,
    identity: Mapping[str, Any],
    seed: int,
    join: bool = False,
    name: str = STUDY_NAME,
    contract: Mapping[str, Any] | None = None,
) -> Study:
    """The study ``name`` in the journal file or the storage URL ``where``, made if it is not there.

    ``identity`` is what the study is of, as JSON (data, size, budget, table's fingerprint, …). A study of anything
    else, of another space or of another schema is a RunError that names the first difference. So is one that another
    process is at work on, unless ``join``: then this process becomes one more of its members, with requests of its own
    (:attr:`Study.stream`). ``contract`` is the timing contract of the latencies, kept once.
    """
    import optuna

    from hwnas.files import sha256_of_text

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces every new study on stderr
    text = "" if contract is None else json.dumps(contract, sort_keys=True)
    fingerprint = sha256_of_text(text)[:16] if text else ""
    wanted = identity_of(problem, {**identity, "contract": fingerprint} if text else identity, seed)
    try:
        store = open_store(where, name)

        def entered() -> tuple[int, Member]:
            with store.exclusive():
                study_id = find_or_create(store, problem, wanted, contract)
                return study_id, enter(store, study_id, join)

        study_id, member = patiently(entered, store)
        study = patiently(lambda: Study(store, study_id, problem, seed, member, fingerprint), store)
    finally:
        optuna.logging.set_verbosity(verbosity)
    _keep_beating(study)
    return study


def seed_of(seed: int, stream: int) -> int:
    """The seed of a process's strategy: those that join a search must not ask for what it asks for."""
    return seed if stream == 0 else int(np.random.SeedSequence([seed, stream]).generate_state(1)[0])


def _keep_beating(study: Study) -> None:
    """Let a thread say that this process is alive until the study is closed or forgotten."""
    forgotten, closing = weakref.ref(study), study._closing

    def beat() -> None:
        while not closing.wait(BEAT_S):
            study = forgotten()
            if study is None:
                return
            with suppress(RunError):  # the search itself says what is wrong with its storage
                study.beat()
            del study

    threading.Thread(target=beat, name="hwnas-study", daemon=True).start()


def _distributions(problem: Problem) -> dict[str, CategoricalDistribution]:
    from optuna.distributions import CategoricalDistribution

    choices = problem.space.choices
    return {choice.name: CategoricalDistribution(tuple(map(_option, choice.options))) for choice in choices}


def _option(value: Any) -> Any:
    """An option as Optuna can hold it: tuples become text."""
    return json.dumps(value) if isinstance(value, tuple) else value
