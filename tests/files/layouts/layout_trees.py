"""Data sets of empty files: layouts look at names only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medseg.files.layouts.find import DataSettings, Found, find_cases
from medseg.values.error import Refusal

Summary = dict[str, tuple[dict[str, str], str | None]]


def touch(root: Path, *names: str) -> Path:
    """Make empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def write(root: Path, name: str, content: Any) -> Path:
    """Write a text, or a value as JSON."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return root


def described(root: Path, *cases: str, **more: Any) -> Path:
    """Make a data set in the MSD layout."""
    pairs = [{"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"} for case in cases]
    touch(root, *(path for pair in pairs for path in pair.values()))
    return write(root, "dataset.json", {"training": pairs, **more})


def refusal(root: Path, settings: DataSettings | None = None, exit_code: int = 2) -> str:
    """Return the message of the refusal."""
    with pytest.raises(Refusal) as caught:
        find_cases(root, settings or DataSettings())
    assert caught.value.exit_code == exit_code
    return str(caught.value)


def summary(found: Found) -> Summary:
    """Return the files of each case as texts."""
    return {
        case.case: (
            {name: file.path.as_posix() for name, file in case.channels.items()},
            case.mask.as_posix() if case.mask else None,
        )
        for case in found.cases
    }
