"""What is kept of an evaluation beside its scores: evaluate.json, and how it came about for the report."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import medseg
from medseg.experiment.evaluating.case import Rules
from medseg.experiment.evaluating.pairing import Pair
from medseg.experiment.evaluating.settings import EvaluateSettings
from medseg.values.digests import digest_of
from medseg.values.labels import LabelScheme

_LIBRARIES = ("numpy", "scipy", "nibabel", "SimpleITK")
_FOLDERS = ("truth", "predictions", "images", "probabilities")
_PEOPLE = {"out", "debug"}  # of the settings, what no score depends on
Json = dict[str, Any]
Facts = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was done: pairs in order; `looks` and `outcomes` of them, see `scoring`; predictions without truth."""

    rules: Rules
    layout: str
    pairs: Sequence[Pair]
    looks: Sequence[Json]
    outcomes: Sequence[Json]
    extra: Sequence[str]

    @property
    def scores(self) -> list[Json]:
        """Content of scores.json of each case."""
        return [one["scores"] for one in self.outcomes]

    @property
    def failed(self) -> dict[str, str]:
        """Why a case has no scores or the worst ones, by case."""
        return {one["case"]: str(one["failed"]) for one in self.scores if one["failed"] is not None}

    @property
    def settings(self) -> EvaluateSettings:
        """What was set."""
        return self.rules.settings


def record(done: Evaluation) -> str:
    """Return evaluate.json.

    {"medseg": version, "versions": {...}, "settings": all that was set but `out`, "folders": absolute paths of what
    was read, "layout": of the truth, "scheme": {"labels", "regions", "tumour", "ignore"}, "cases": {CASE: {"truth",
    "prediction", "image", "probabilities": each null or {"path" below its folder, "sha256": null where it could not be
    read}, "failed": null or why, "notes": [...]}}, "extra": [names of predictions without truth]}. Nothing in it
    depends on the time or on how many processes there were.
    """
    content = {
        "medseg": medseg.__version__,
        "versions": versions(),
        "settings": _settings(done.settings),
        "folders": {name: _absolute(getattr(done.settings, name)) for name in _FOLDERS},
        "layout": done.layout,
        "scheme": _scheme(done.rules.scheme),
        "cases": {
            pair.case: _case(pair, look, outcome, done.settings)
            for pair, look, outcome in zip(done.pairs, done.looks, done.outcomes, strict=True)
        },
        "extra": list(done.extra),
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def settings_text(settings: EvaluateSettings) -> str:
    """Return all that was set, as YAML."""
    return yaml.safe_dump(_settings(settings), sort_keys=False, allow_unicode=True)


def versions() -> dict[str, str]:
    """Return the versions of Python, medseg and the libraries that take part in a score."""
    return {
        "python": platform.python_version(),
        "medseg": medseg.__version__,
        **{name: metadata.version(name) for name in _LIBRARIES},
    }


def facts(done: Evaluation) -> Facts:
    """Say for the report what was held against what."""
    settings, missing = done.settings, sum(pair.predicted is None for pair in done.pairs)
    told = [
        ("Predictions", settings.predictions),
        ("Truth", settings.truth if done.layout == "masks" else f"{settings.truth} (layout {done.layout})"),
        ("Scans with a true mask", f"{len(done.pairs)}, {missing} of them without a prediction"),
    ]
    told += _meaning(done.rules.scheme)
    if settings.images is not None:
        told.append(("Images", settings.images))
    if settings.probabilities is not None:
        told.append(("Probability maps", settings.probabilities))
    if settings.labels:
        told.append(("Labels of the predictions", ", ".join(f"{a} read as {b}" for a, b in settings.labels.items())))
    if done.extra:
        told.append(("Predictions without a true mask", f"{len(done.extra)}, left out: {', '.join(done.extra)}"))
    return told


def provenance(done: Evaluation) -> Facts:
    """Say for the report by what and from which files the scores were made."""
    truths = {pair.case: look["sha256"] for pair, look in zip(done.pairs, done.looks, strict=True)}
    masks = {pair.case: one["sha256"].get("prediction") for pair, one in zip(done.pairs, done.outcomes, strict=True)}
    told = list(versions().items())
    told += [("SHA-256 of the true masks", digest_of(truths)), ("SHA-256 of the predictions", digest_of(masks))]
    return [*told, ("Seed of the intervals", str(done.settings.report.seed))]


def _meaning(scheme: LabelScheme) -> Facts:
    names = {number: name for name, number in scheme.labels.items()}
    regions = (f"{name} = {' + '.join(names[one] for one in members)}" for name, members in scheme.regions.items())
    told = [("Labels", ", ".join(f"{name} = {number}" for name, number in scheme.labels.items()))]
    told.append(("Regions", "; ".join(regions)))
    if scheme.ignore is not None:
        told.append(("Left out", f"voxels with the number {scheme.ignore}, which nobody annotated"))
    return told


def _settings(settings: EvaluateSettings) -> Json:
    return settings.model_dump(mode="json", exclude=_PEOPLE)


def _scheme(scheme: LabelScheme) -> Json:
    regions = {name: list(members) for name, members in scheme.regions.items()}
    return {"labels": dict(scheme.labels), "regions": regions, "tumour": scheme.tumour, "ignore": scheme.ignore}


def _case(pair: Pair, look: Mapping[str, Any], outcome: Mapping[str, Any], settings: EvaluateSettings) -> Json:
    digests, scores = outcome["sha256"], outcome["scores"]
    image = None if pair.image is None else pair.image.path
    return {
        "truth": _file(pair.truth, settings.truth, look["sha256"]),
        "prediction": _file(pair.predicted, settings.predictions, digests.get("prediction")),
        "image": _file(image, settings.images or settings.truth, digests.get("image")),
        "probabilities": _file(pair.probabilities, settings.probabilities, digests.get("probabilities")),
        "failed": scores["failed"],
        "notes": scores["notes"],
    }


def _file(path: Path | None, folder: str | None, digest: str | None) -> Json | None:
    if path is None:
        return None
    root = Path(folder or ".").resolve()
    root = root if root.is_dir() else root.parent
    named = path.relative_to(root) if path.is_relative_to(root) else path
    return {"path": named.as_posix(), "sha256": digest}


def _absolute(folder: str | None) -> str | None:
    return None if folder is None else str(Path(folder).resolve())
