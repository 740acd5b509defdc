"""The folder of a run: what people open, linked from the store, and the record of how it came about."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import medseg
from medseg.engines.ranks import current
from medseg.experiment.formats import Format, write_predictions
from medseg.experiment.outcome import Outcome
from medseg.experiment.runner import Line
from medseg.experiment.settings import ExperimentSettings
from medseg.pipeline.store import write_whole
from medseg.values.error import Refusal
from medseg.values.machine import Machine

LIBRARIES = ("torch", "monai", "numpy", "scipy", "nibabel", "SimpleITK", "hydra-core", "pydantic", "safetensors")
MADE = (
    "model", "weights", "predictions", "report", "curve.csv", "log.jsonl", "transfer.json", "trackers",
    "calibration.json",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Return the versions of Python, medseg and the libraries that take part in a result."""
    return {
        "python": platform.python_version(),
        "medseg": medseg.__version__,
        **{name: metadata.version(name) for name in LIBRARIES},
    }


def open_folder(settings: ExperimentSettings, machine: Machine) -> Path:
    """Make the run's folder and write settings.yaml; refuses (exit 2) a place that cannot be written to."""
    folder = Path(machine.runs) / settings.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "settings.yaml", settings_text(settings, machine))
    except OSError as error:
        raise Refusal(
            "machine.runs",
            "the folder of the run must be writable",
            f"{folder} ({error.strerror})",
            "set machine.runs to a folder you may write to",
            exit_code=2,
        ) from error
    return folder


def settings_in(settings: ExperimentSettings, machine: Machine) -> str:
    """Return the settings.yaml that an earlier command left in the folder of the run, "" where there is none."""
    try:
        return (Path(machine.runs) / settings.name / "settings.yaml").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def settings_text(settings: ExperimentSettings, machine: Machine) -> str:
    """Return the complete settings as YAML that `--config-dir RUN --config-name settings` runs again."""
    tree = settings.model_dump(mode="json")
    for group, name in (("data", "root"), ("split", "held_out"), ("training", "start_from")):
        if isinstance(tree[group].get(name), str):
            tree[group][name] = str(Path(tree[group][name]).resolve())
    return yaml.safe_dump({**tree, "machine": machine.model_dump(mode="json")}, sort_keys=False, allow_unicode=True)


def publish(folder: Path, outcome: Outcome, write: Format = "nifti") -> dict[str, str]:
    """Link what the stages made into the run's folder, replacing what an earlier run left there.

    Returns why a label map could not be written in the format that was asked for, by case.
    """
    for name in MADE:
        _remove(folder / name)
    train = outcome.stages.get("train")
    if train:
        _publish_training(train.folder, folder)
        _publish_model(outcome.stages.get("calibrate", train).folder, folder)
    for case, finished in outcome.predictions.items():
        link(finished.folder / "prediction.nii.gz", folder / "predictions" / f"{case}.nii.gz")
    report = outcome.stages.get("report")
    if report:
        for path in sorted(
            path for path in report.folder.rglob("*") if path.is_file() and path.name != "manifest.json"
        ):
            link(path, folder / "report" / path.relative_to(report.folder))
    return write_predictions(folder / "predictions", outcome, write)


def _publish_training(made: Path, folder: Path) -> None:
    for path in sorted(made.glob("weights/*")):
        link(path, folder / path.relative_to(made))
    for path in (made / name for name in ("curve.csv", "log.jsonl", "transfer.json")):
        if path.is_file():
            link(path, folder / path.name)
    if (made / "trackers").is_dir():  # copied, because looking at an MLflow run writes into its file
        shutil.copytree(made / "trackers", folder / "trackers", symlinks=True, copy_function=shutil.copyfile)


def _publish_model(made: Path, folder: Path) -> None:
    """Link the package of the stage that came last: training's, and calibrate's once it is there."""
    for path in sorted((*made.glob("model/*"), *made.glob("calibration.json"))):
        link(path, folder / path.relative_to(made))


def record(
    folder: Path, lines: Iterable[Line], outcome: Outcome, settings: ExperimentSettings, facts: Mapping[str, Any]
) -> None:
    """Write stages.json and provenance.json."""
    tasks = [
        {
            "stage": line.stage,
            "case": line.case or None,
            "key": line.key,
            "status": line.status,
            "because": line.because,
            "seconds": line.seconds,
            "peak_memory_mb": line.peak_memory_mb,
        }
        for line in lines
    ]
    write_whole(folder / "stages.json", json.dumps({"stages": totals(tasks), "tasks": tasks}, indent=1) + "\n")
    index = outcome.stages.get("index")
    cases = json.loads((index.folder / "cases.json").read_text(encoding="utf-8"))["cases"] if index else []
    digests = {
        one["case"]: {
            "channels": {name: file["sha256"] for name, file in one["channels"].items()},
            "mask": one["mask"]["sha256"] if one["mask"] else None,
        }
        for one in cases
    }
    provenance = {
        **facts,
        "device": _device(),
        "seed": settings.seed,
        "data": digests,
        "refused": outcome.told,
        "failed": outcome.failed,
    }
    write_whole(folder / "provenance.json", json.dumps(provenance, indent=1) + "\n")


def totals(tasks: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Add up the tasks of each stage: how many were run, reused or failed, seconds in all, the largest peak memory."""
    result: dict[str, dict[str, Any]] = {}
    for task in tasks:
        total = result.setdefault(
            task["stage"], {"run": 0, "reused": 0, "failed": 0, "seconds": 0.0, "peak_memory_mb": 0.0}
        )
        total[task["status"]] += 1
        total["seconds"] = round(total["seconds"] + task["seconds"], 3)
        total["peak_memory_mb"] = max(total["peak_memory_mb"], task["peak_memory_mb"])
    return result


def facts(machine: Machine) -> dict[str, Any]:
    """Return what is recorded with every result and is part of no key: versions, commit, machine, processes."""
    return {
        "versions": versions(),
        "commit": _commit(),
        "machine": machine.model_dump(mode="json"),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "processes": current().world,
        "command": sys.argv[1:],
    }


def link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: a hard link where the disk allows one, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _remove(path: Path) -> None:
    """Delete a file or a folder; of a link only the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _device() -> str:
    """Name what computed: the CUDA device, or the processor; nothing is imported for it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """Return the git commit of the checkout that medseg runs from, with `+` where files differ from it."""
    root = Path(medseg.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None
