"""Kill a real search at ten random moments, go on with --resume each time, and count what was lost.

    python benchmarks/kill_resume.py --data streets --size 180x240 --budget 3ms --table table.json

runs ``hwnas search`` in a scratch directory and kills it (SIGKILL) ten times, each at a random moment after it began to
evaluate candidates, then lets it end. After each kill it reads the study. Printed at the end: how many recorded
candidates were lost, how many trials have two outcomes, and how many candidates were begun as two trials. A candidate
that was under evaluation when its process was killed is evaluated again, once: it had no result to lose.

``--joined`` does the same to a search of several processes on one study, at ten random moments of which one of them is
killed and another one joins: 3 processes, 200 candidates of a made-up space that take 0.1 s each, on a journal and with
``--storage URL``, on a database. It needs none of the other options.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

KILLS = 10


def outcomes(journal: Path) -> dict[int, list[dict]]:
    """Recorded outcomes by trial, in the order of the journal; a torn last line is left out."""
    found: dict[int, list[dict]] = {}
    if not journal.exists():
        return found
    for line in journal.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "outcome" in entry.get("user_attr", {}):
            found.setdefault(entry["trial_id"], []).append(entry["user_attr"]["outcome"])
    return found


def decisions(journal: Path) -> list[str]:
    """The decisions of every trial that was begun, canonical JSON."""
    begun = []
    for line in journal.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "request" in (entry.get("user_attrs") or {}):
            begun.append(json.dumps(entry["user_attrs"]["request"]["decisions"], sort_keys=True))
    return begun


def joined(where: str, kills: int = KILLS, evaluations: int = 200) -> bool:
    """Searches that join one another and are killed; whether nothing was lost, left over or evaluated without need."""
    sys.path[:0] = [str(Path(__file__).parent.parent / "tests" / folder) for folder in ("search", "contracts")]
    from joining_worker import Worker, opened

    rng = np.random.default_rng()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "evaluated.jsonl"
        workers = [Worker(where, log, evaluations, join=number > 0, pause_s=0.1) for number in range(3)]
        for _ in range(kills):
            time.sleep(float(rng.uniform(0.0, 0.5)))
            workers.pop(int(rng.integers(len(workers)))).kill()
            workers.append(Worker(where, log, evaluations, join=True, pause_s=0.1))
        ended = [worker.evaluations() for worker in workers]
        trials = opened(where).trials
        tries = {json.dumps(dict(each.request.decisions), sort_keys=True): each.attempts for each in trials}
        times = Counter(
            json.dumps(json.loads(line)["decisions"], sort_keys=True) for line in log.read_text().splitlines()
        )
    without = sum(trial.outcome is None for trial in trials)
    needless = sum(count > tries.get(decisions, 0) for decisions, count in times.items())
    repeated = len(trials) - len(tries)
    print(
        f"{where.partition(':')[0] if '://' in where else 'journal'}: {kills} kills, the processes ended with {ended}; "
        f"{len(trials)} recorded, {without} without an outcome, {repeated} candidates as two trials, {needless} "
        f"evaluated again though not cut off, {sum(count > 1 for count in tries.values())} tried twice"
    )
    return len(trials) == evaluations and not (without or needless or repeated)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("data", "size", "budget", "table"):
        parser.add_argument(f"--{name}", required="--joined" not in sys.argv)
    parser.add_argument("--joined", action="store_true")
    parser.add_argument("--storage")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.joined:
        with tempfile.TemporaryDirectory() as folder:
            good = joined(str(Path(folder) / "study.journal"))
        return int(not (good and (arguments.storage is None or joined(arguments.storage))))
    rng = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        journal = run / "study.journal"
        command = [sys.executable, "-m", "hwnas.cli", "search", "--run", str(run), "--seed", str(arguments.seed), "-q"]
        for name in ("data", "size", "budget", "table", "minutes"):
            command += [f"--{name}", str(getattr(arguments, name))]
        lost, recorded = 0, outcomes(journal)
        for life in range(KILLS):
            again = ["--resume"] if (run / "config.json").exists() else []
            process = subprocess.Popen([*command, *again], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            size = journal.stat().st_size if journal.exists() else 0
            while process.poll() is None and not (journal.exists() and journal.stat().st_size > size):
                time.sleep(0.02)
            time.sleep(float(rng.uniform(0.0, 1.5)))
            if process.poll() is not None:
                print(f"life {life}: ended by itself, exit code {process.returncode}")
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            now = outcomes(journal)
            lost += sum(trial not in now for trial in recorded)
            recorded = now
            print(f"life {life}: killed, {len(recorded)} candidates recorded", flush=True)
        ended = subprocess.run([*command, "--resume", "--json"], capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            print(ended.stdout, ended.stderr)
            return 1
        after = outcomes(journal)
        lost += sum(trial not in after for trial in recorded)
        twice = sum(len(found) > 1 for found in after.values())
        repeated = sum(count > 1 for count in Counter(decisions(journal)).values())
        print(f"ended with {json.loads(ended.stdout)['evaluations']} evaluations; {len(after)} recorded")
        print(f"lost {lost}, trials with two outcomes {twice}, candidates begun as two trials {repeated}")
        return int(bool(lost or twice or repeated))


if __name__ == "__main__":
    sys.exit(main())
