"""The intake of scans beside nnU-Net's dataset integrity check: seconds, peak memory, and faults found.

    python -m benchmarks.intake benchmarks/results/intake.json --peer PEER/bin/python --data ../shared/data

PEER is a virtual environment of its own with nnunetv2 in it. Both sides read the same files, in turns, after every
file was read once (the disk's cache is warm for both). Times are medians over the repeats. Whole commands are
measured with all that they start; memory is the largest sum of resident memory over the process tree, sampled every
20 ms. A call is measured in a process that has imported what it calls. The peer runs with 1, 2 and 8 processes and
its fastest counts. Both sides run once before the first measurement, as after every installation: Python compiles
what it imports then, and medseg keeps what it learned of its own code beside that bytecode. Nothing that ours has seen
of the scans is remembered between runs, except in the row that says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.intake_faults import FAULTS, planted
from benchmarks.intake_sets import DataSet, arrange, data_sets
from benchmarks.process_tree import Measured, measure

HERE = Path(__file__).parent
PROCESSES = (1, 2, 8)
Row = dict[str, float]


class Sides:
    """Both sides of the comparison, each in a scratch folder."""

    def __init__(self, peer: str, scratch: Path) -> None:
        self.peer, self.scratch = peer, scratch
        self.count = 0

    def fresh(self) -> Path:
        """Return an empty folder."""
        self.count += 1
        folder = self.scratch / f"run_{self.count}"
        folder.mkdir(parents=True)
        return folder

    def check(self, overrides: Sequence[str], folder: Path) -> Measured:
        """Run `medseg check` in a folder; what is in its store is used again."""
        command = [sys.executable, "-m", "medseg", "check", *overrides, "out=checked", "machine.store=store"]
        return measure(command, folder)

    def index(self, data: DataSet, root: Path, calls: int) -> tuple[Measured, Any]:
        """Call the index stage in a process of its own."""
        folder = self.fresh()
        settings = json.dumps(dict(data.settings))
        command = [
            sys.executable,
            str(HERE / "intake_own.py"),
            "result.json",
            settings,
            str(root),
            "scratch",
            str(calls),
        ]
        return measure(command, folder), _result(folder)

    def verify(self, arranged: Path, processes: int, calls: int = 1) -> tuple[Measured, Any]:
        """Call nnU-Net's check in a process of its own."""
        folder = self.fresh()
        command = [self.peer, str(HERE / "intake_peer.py"), "result.json", str(processes), str(arranged), str(calls)]
        return measure(command, folder), _result(folder)


def _result(folder: Path) -> Any:
    path = folder / "result.json"
    if not path.exists():
        raise SystemExit((folder / "output.txt").read_text()[-3000:])
    return json.loads(path.read_text())


def timed(sides: Sides, data: DataSet, repeats: int, whole: bool) -> dict[str, Any]:
    """Measure one data set on both sides, in turns."""
    arranged = arrange(data, sides.fresh() / "Dataset001_Intake")
    overrides = data.overrides if whole else [f"data.root={arranged}"]
    given = data if whole else DataSet(data.name, arranged, data.files, data.labels, {})
    for pair in data.files.values():
        for path in pair:
            path.read_bytes()
    _warm(sides, overrides, arranged)
    runs: dict[str, list[Row]] = {}
    for _ in range(repeats):
        place = sides.fresh()
        for name in ("check, first time", "check, again"):
            found = sides.check(overrides, place)
            _accept(found, name)
            runs.setdefault(name, []).append({"seconds": found.seconds, "peak_mb": found.peak_mb})
        found, result = sides.index(given, given.root, 2)
        runs.setdefault("index", []).append(_called(found, result))
        for processes in PROCESSES:
            found, result = sides.verify(arranged, processes, 1)
            if result["raised"]:
                raise SystemExit(f"{data.name}: {result['raised']}\n{found.output}")
            runs.setdefault(f"nnU-Net, {processes} processes", []).append(_called(found, result))
    return {
        "cases": len(data.files),
        "megabytes": round(sum(one.stat().st_size for pair in data.files.values() for one in pair) / 2**20, 1),
        **{name: _medians(rows) for name, rows in runs.items()},
    }


def _warm(sides: Sides, overrides: Sequence[str], arranged: Path) -> None:
    """Run both sides once, so that bytecode is compiled."""
    _accept(sides.check(overrides, sides.fresh()), "check")
    sides.verify(arranged, PROCESSES[0])


def _accept(found: Measured, name: str) -> None:
    if found.code != 0:
        raise SystemExit(f"{name} ended with {found.code}: {found.output[-3000:]}")


def _called(found: Measured, result: Any) -> Row:
    return {
        "seconds": found.seconds,
        "peak_mb": found.peak_mb,
        "import_seconds": result["import_seconds"],
        "call_seconds": result["call_seconds"][0],
        "last_call_seconds": result["call_seconds"][-1],
    }


def _medians(rows: list[Row]) -> Row:
    found = {key: round(statistics.median(row[key] for row in rows), 3) for key in rows[0]}
    return {**found, "slowest_seconds": round(max(row["seconds"] for row in rows), 3)}


def ours_finds(sides: Sides, arranged: Path) -> dict[str, set[str]]:
    """Return, by case, the rules of all findings that refuse or warn."""
    folder = sides.fresh()
    sides.check([f"data.root={arranged}"], folder)
    report = json.loads((folder / "checked" / "check.json").read_text())
    found: dict[str, set[str]] = {}
    for case, one in report["cases"].items():
        found[case] = {finding["rule"] for finding in one["findings"] if finding["severity"] != "note"}
    for finding in report["dataset"]:
        for case in finding.get("cases", ()) if finding["severity"] != "note" else ():
            found.setdefault(case, set()).add(finding["rule"])
    return found


def peer_finds(sides: Sides, arranged: Path, case: str) -> str:
    """Return "stops" where it raised, "tells" where it printed a complaint that names the case, "" if neither."""
    measured, result = sides.verify(arranged, PROCESSES[1])
    if result["raised"]:
        return "stops"
    complains = any(word in measured.output for word in ("rror", "arning", "NaN"))
    return "tells" if complains and case in measured.output else ""


def faults(sides: Sides, data: DataSet) -> list[dict[str, Any]]:
    """Plant one fault after the other into a copy of its own, and see who finds it."""
    clean = arrange(data, sides.fresh() / "Dataset001_Intake")
    case = sorted(data.files)[len(data.files) // 2]
    before = ours_finds(sides, clean)
    rows = []
    for fault in FAULTS:
        spoilt = _copy(sides, clean)
        planted(fault, spoilt, case, data.labels)
        new = ours_finds(sides, spoilt).get(case, set()) - before.get(case, set())
        told = peer_finds(sides, spoilt, case)
        rows.append(
            {"fault": fault.name, "looked for by nnU-Net": fault.looked_for, "medseg": sorted(new), "nnU-Net": told}
        )
        print(rows[-1], flush=True)
    if peer_finds(sides, clean, case):
        raise SystemExit("nnU-Net tells something of the sound data set")
    return rows


def together(sides: Sides, data: DataSet) -> dict[str, Any]:
    """Plant all ten into ten cases of one copy: one run each."""
    spoilt = _copy(sides, arrange(data, sides.fresh() / "Dataset001_Intake"))
    before = ours_finds(sides, spoilt)
    cases = sorted(data.files)[2 : 2 + len(FAULTS)]
    for fault, case in zip(FAULTS, cases, strict=True):
        planted(fault, spoilt, case, data.labels)
    after = ours_finds(sides, spoilt)
    ours = [
        fault.name
        for fault, case in zip(FAULTS, cases, strict=True)
        if after.get(case, set()) - before.get(case, set())
    ]
    measured, result = sides.verify(spoilt, PROCESSES[1])
    named = [
        fault.name for fault, case in zip(FAULTS, cases, strict=True) if case in measured.output + result["raised"]
    ]
    others = sorted(case for case, rules in after.items() if case not in cases and rules - before.get(case, set()))
    return {
        "medseg": ours,
        "nnU-Net": named,
        "nnU-Net raised": result["raised"][:300],
        "other cases that medseg names": others,
    }


def _copy(sides: Sides, arranged: Path) -> Path:
    target = sides.fresh() / arranged.name
    shutil.copytree(arranged, target, symlinks=True)
    return target


def machine(peer: str) -> dict[str, str]:
    """Say where this was measured, and with what."""
    code = "import importlib.metadata as m; print(*[m.version(n) for n in ('nnunetv2', 'torch', 'SimpleITK')])"
    versions = subprocess.run([peer, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return {
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "peer": ", ".join(
            f"{name} {one}" for name, one in zip(("nnunetv2", "torch", "SimpleITK"), versions, strict=True)
        ),
    }


def table(found: dict[str, Any]) -> str:
    """Return both tables in Markdown."""
    lines = ["| data | what | whole command s | call s | peak MB |", "|---|---|---|---|---|"]
    for name, one in found["times"].items():
        fastest = _fastest(one)
        for what in ("check, first time", "check, again", "index", fastest):
            row = one[what]
            call = f"{row['call_seconds']:.2f}" if "call_seconds" in row else "-"
            lines.append(
                f"| {name} ({one['cases']} cases) | {what} | {row['seconds']:.2f} | {call} | {row['peak_mb']:.0f} |"
            )
        ours, peer = one["check, first time"], one[fastest]
        calls, ratio = peer["call_seconds"] / one["index"]["call_seconds"], peer["seconds"] / ours["seconds"]
        memory = ours["peak_mb"] / peer["peak_mb"]
        lines.append(f"| | times as fast | **{ratio:.1f}** | **{calls:.1f}** | {memory:.2f} of its memory |")
    lines += ["", "| fault | medseg | nnU-Net |", "|---|---|---|"]
    for row in found["faults"]:
        lines.append(
            f"| {row['fault']} | {'; '.join(row['medseg']) or 'not found'} | {row['nnU-Net'] or 'not found'} |"
        )
    ours, theirs = (sum(bool(row[side]) for row in found["faults"]) for side in ("medseg", "nnU-Net"))
    lines.append(f"| found, one fault per run | **{ours}** of {len(FAULTS)} | **{theirs}** of {len(FAULTS)} |")
    both = found["all faults in one run"]
    lines.append(f"| found, all in one run | {len(both['medseg'])} | {len(both['nnU-Net'])} |")
    lines += ["", "NaN: SimpleITK, which nnU-Net reads NIfTI with, turns it into 0 before anything can be looked at."]
    return "\n".join(lines)


def _fastest(one: dict[str, Any]) -> str:
    return min((name for name in one if name.startswith("nnU-Net")), key=lambda name: one[name]["seconds"])


def main(words: Sequence[str]) -> None:
    """Measure, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--peer", required=True, help="Python of an environment with nnunetv2")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--cases", type=int, default=0, help="at most so many cases of each set, 0 for all")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as scratch:
        sides, sets = Sides(asked.peer, Path(scratch)), data_sets(asked.data.resolve(), asked.cases)
        found = {"machine": machine(asked.peer), "repeats": asked.repeats}
        found["times"] = {one.name: timed(sides, one, asked.repeats, not asked.cases) for one in sets}
        found["faults"] = faults(sides, sets[0])
        found["all faults in one run"] = together(sides, sets[0])
    print(table(found))
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
