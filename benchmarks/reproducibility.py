"""The same command, the same bytes: undisturbed twice, and once more with three kills at random moments.

    python benchmarks/reproducibility.py FOLDER benchmarks/results/reproducibility.json [override ...]

Each of the three runs has a store of its own. The third one is killed (SIGKILL) three times after a random time, each
time continued with the same command. Weights, curve and scores are then compared byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path

OVERRIDES = ("training.steps=120", "data.subjects=12", "network.width=8", "machine.checkpoint_seconds=5")
COMPARED = ("report/scores.csv", "report/summary.json", "model/weights.safetensors", "curve.csv")
KILLS = 3


def run(folder: Path, name: str, overrides: list[str], kill_after: float | None = None) -> float:
    """Run the experiment to its end, or kill it after some seconds; return how long it ran."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "medseg", "run", "name=run", f"machine.store={name}_store", *overrides]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        code = process.wait(kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return time.monotonic() - began
    if code != 0:
        raise SystemExit(f"{' '.join(command)} ended with {code}")
    return time.monotonic() - began


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every compared file of the run."""
    return {name: hashlib.sha256((folder / "runs" / "run" / name).read_bytes()).hexdigest() for name in COMPARED}


def main(folder: Path, out: Path, overrides: list[str]) -> None:
    """Do the three runs, print the table and write the JSON."""
    whole = run(folder / "first", "a", overrides)
    run(folder / "second", "a", overrides)
    moments = random.SystemRandom()
    kills = [round(run(folder / "killed", "a", overrides, moments.uniform(0.15, 0.6) * whole), 1) for _ in range(KILLS)]
    run(folder / "killed", "a", overrides)
    found = {name: digests(folder / name) for name in ("first", "second", "killed")}
    print("| file | second run | killed three times |\n|---|---|---|")
    for name in COMPARED:
        same = [
            "same bytes" if found[other][name] == found["first"][name] else "DIFFERS" for other in ("second", "killed")
        ]
        print(f"| {name} | {same[0]} | {same[1]} |")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps({"overrides": overrides, "killed_after_seconds": kills, "seconds": whole, **found}, indent=1)
    )
    if found["second"] != found["first"] or found["killed"] != found["first"]:
        raise SystemExit("the runs differ")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]), [*OVERRIDES, *sys.argv[3:]])
