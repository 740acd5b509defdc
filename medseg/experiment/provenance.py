"""What the report says of how its numbers came about: the settings of the experiment, and what made each stage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from medseg.experiment.settings import ExperimentSettings
from medseg.pipeline.store import Finished

_PEOPLE = ("name", "debug")  # settings that change nothing in a result
_FILES = {("split", "held_out"): "file", ("training", "start_from"): "package"}  # what stands for a path
_STAGES = ("train", "predict", "score")  # those that decide the numbers


def settings_of(settings: ExperimentSettings) -> str:
    """Return everything that was set and may change a number, as YAML; where files lie is not part of it."""
    tree = settings.model_dump(mode="json", exclude=set(_PEOPLE))
    tree["data"].pop("root", None)
    for (group, name), kind in _FILES.items():
        if isinstance(tree[group].get(name), str):
            tree[group][name] = kind
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def provenance_of(
    stages: Mapping[str, Finished], predictions: Iterable[Finished], scores: Iterable[Finished], seed: int
) -> str:
    """Return as JSON, as pairs of name and value: seed, versions, commits and machines of the stages.

    It is that of the stages when they were done, which may have been long before the report. The same results give the
    same text.
    """
    made = {"train": [stages["train"]] if "train" in stages else [], "predict": predictions, "score": scores}
    manifests = {name: [one.manifest for one in made[name]] for name in _STAGES}
    pairs = [("Seed of everything", str(seed))]
    pairs += [(f"{name}: commit", _listed(m.get("commit") for m in found)) for name, found in manifests.items()]
    pairs += [(f"{name}: versions", _listed(map(_versions, found))) for name, found in manifests.items()]
    pairs += [(f"{name}: done on", _listed(map(_machine, found))) for name, found in manifests.items()]
    return json.dumps(_merged([pair for pair in pairs if pair[1]]), ensure_ascii=False)


def _merged(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join neighbours that say the same of several stages into one."""
    found: list[tuple[str, str]] = []
    for name, value in pairs:
        stage, _, what = name.partition(": ")
        if found and what and found[-1][1] == value and found[-1][0].endswith(f": {what}"):
            found[-1] = (f"{found[-1][0].partition(': ')[0]}, {stage}: {what}", value)
        else:
            found.append((name, value))
    return found


def _listed(values: Iterable[str | None]) -> str:
    return "; ".join(sorted({value for value in values if value}))


def _versions(manifest: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted((manifest.get("versions") or {}).items()))


def _machine(manifest: Mapping[str, Any]) -> str:
    device = (manifest.get("machine") or {}).get("device")
    return ", ".join(str(part) for part in (device, manifest.get("platform")) if part)
