"""Every command killed at random moments and given again: nothing is lost, nothing half-written is taken for a result.

Each command runs on a tiny configuration, first undisturbed, twice: how long it takes, and which of its files are the
same both times. Then it is started in a new folder, killed with SIGKILL together with all processes that it has started
after a time drawn uniformly from that of the undisturbed run, and given again until it ends. Compared are all files
that two undisturbed runs make the same: weights, images and tables bit for bit. A run that ended before it was killed
does not count. Columns:

kills      runs that were killed
resumed    of these, those whose second run ended well
whole      of these, those that had finished their work when they were killed: a result was there, and it was right
differing  those whose files differ from the undisturbed ones in the end
half       those that left something under a result's name that was no whole result (commands of all or nothing)
leftovers  hidden files that were still there in the end

A run is forked from a process that has loaded the modules already: kills then fall into work, not into imports.
``--workers`` starts real worker processes for the simulations, as a user has them; without it the tasks run in the
command's own process. POSIX only. The last line is one JSON object.

    python benchmarks/interruptions.py --kills 50
    python benchmarks/interruptions.py --kills 10 --workers --commands simulate study physics
"""

import argparse
import json
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from interruptible import COMMANDS, Command, prepare, result_of
from interruptible_run import run, start


def main() -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="kills of each command")
    parser.add_argument("--commands", nargs="+", default=list(COMMANDS), choices=list(COMMANDS))
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no kill begins after this time")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--workers", action="store_true", help="real worker processes")
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs"
        prepare(inputs)
        campaigns = [
            Campaign(COMMANDS[name], inputs, Path(folder), chosen.seed, chosen.workers) for name in chosen.commands
        ]
        # In turn, so that a campaign that runs out of time has as many kills of each.
        while waiting := [one for one in campaigns if one.count["kills"] < chosen.kills]:
            for campaign in waiting:
                if time.monotonic() - began > 60 * chosen.minutes:
                    break
                campaign.kill_once()
            else:
                continue
            break
    rows = {one.command.name: {"seconds": round(one.seconds, 2), **one.count} for one in campaigns}
    names = list(next(iter(rows.values())))
    print(f"{'command':<14}", *(f"{name:>10}" for name in names))
    for name, row in rows.items():
        print(f"{name:<14}", *(f"{row[key]:>10}" for key in names))
    minutes = round((time.monotonic() - began) / 60, 1)
    print(json.dumps({"seed": chosen.seed, "workers": chosen.workers, "minutes": minutes, "commands": rows}))


class Campaign:
    """The kills of one command.

    Parameters
    ----------
    command
        What is run.
    inputs
        Folder of what it reads.
    folder
        Folder for its runs.
    seed
        Of the moments.
    workers
        Whether simulations have worker processes.
    """

    def __init__(self, command: Command, inputs: Path, folder: Path, seed: int, workers: bool) -> None:
        self.command, self._workers = command, workers
        self._inputs, self._folder = inputs, folder / command.name
        self._moments = random.Random(f"{seed} {command.name}")
        self.count = Counter(dict.fromkeys(("kills", "resumed", "whole", "differing", "half", "leftovers"), 0))
        results, times = [], []
        for number in range(2):
            began = time.monotonic()
            trial = self._new(f"undisturbed {number}")
            status, said = run(command.words, trial, workers=workers)
            if status:
                raise SystemExit(f"{command.name} fails undisturbed with status {status}:\n{said}")
            times.append(time.monotonic() - began)
            results.append(result_of(trial))
        # The first run may fill caches.
        self.seconds = times[1]
        self._right = {name: content for name, content in results[0].items() if results[1].get(name) == content}
        print(
            f"{command.name}: {self.seconds:.1f} s, {len(self._right)} of {len(results[0])} files compared", flush=True
        )

    def kill_once(self) -> None:
        """Kill one run, and look at what the next one makes of it."""
        trial = self._new("killed")
        process = start(self.command.words, trial, workers=self._workers)
        moment = self._moments.uniform(0, self.seconds)
        if not process.killed_after(moment):
            return
        self.count["kills"] += 1
        left = result_of(trial)
        self.count["whole"] += self._is_right(left)
        if self.command.at_once and any(
            self._right.get(name) != content for name, content in left.items() if name in self._right
        ):
            self._tell(f"killed after {moment:.2f} s it left a half result: {sorted(left)}")
            self.count["half"] += 1
        status, said = self._again(trial, left)
        self.count["resumed"] += status == 0
        made = result_of(trial)
        if status or not self._is_right(made):
            wrong = sorted(name for name, content in self._right.items() if made.get(name) != content)
            self._tell(f"killed after {moment:.2f} s, then status {status}, differing {wrong}: {said[-300:]}")
            self.count["differing"] += 1
        hidden = [path for path in trial.rglob(".*") if not path.name.startswith(".lock")]
        self.count["leftovers"] += len(hidden)

    def _again(self, trial: Path, left: dict[str, str]) -> tuple[int, str]:
        """Give the command again; where its folder is finished it must be refused, which is no failure."""
        status, said = run(self.command.words, trial, workers=self._workers)
        if status == 2 and self.command.at_once and self._is_right(left) and "nothing is overwritten" in said:
            return 0, said
        return status, said

    def _is_right(self, result: dict[str, str]) -> bool:
        return all(result.get(name) == content for name, content in self._right.items())

    def _new(self, name: str) -> Path:
        trial = self._folder / name
        shutil.rmtree(trial, ignore_errors=True)
        trial.mkdir(parents=True)
        (trial / "in").symlink_to(self._inputs)
        return trial

    def _tell(self, what: str) -> None:
        print(f"{self.command.name}: {what}", flush=True)


if __name__ == "__main__":
    main()
