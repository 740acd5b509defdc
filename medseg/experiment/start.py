"""The model package that a training starts from, as an input of stages: found again by what is in it."""

from __future__ import annotations

from pathlib import Path

from medseg.pipeline.store import Source
from medseg.values.digests import digest_of, digest_of_file
from medseg.values.error import wrong_setting

CARD, WEIGHTS = "card.json", "weights.safetensors"
SETTING = "training.start_from"


def package_source(named: str, own_run: Path) -> Source:
    """Return the package in the folder `named`, or in its model/; the digest covers card and weights.

    Refuses (exit 2) a folder without one, and the folder of the run itself, whose package training replaces.
    """
    folder = _package(Path(named))
    if folder.resolve().is_relative_to(own_run.resolve()):
        rule = "a package that this run does not replace is needed"
        raise wrong_setting(SETTING, rule, named, "give the new run another name=")
    return Source(folder, digest_of({name: digest_of_file(folder / name) for name in (CARD, WEIGHTS)}))


def card_source(package: Source) -> Source:
    """Return the same folder under the digest of its card alone, for what reads nothing else."""
    return Source(package.path, digest_of_file(package.path / CARD))


def _package(named: Path) -> Path:
    for folder in (named, named / "model"):
        if all((folder / name).is_file() for name in (CARD, WEIGHTS)):
            return folder
    rule = f"a folder with {CARD} and {WEIGHTS}, or of a run that holds model/, is needed"
    raise wrong_setting(SETTING, rule, named, "check the path")
