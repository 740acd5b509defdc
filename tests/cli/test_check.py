"""The doctor as people start it: faults are found, said with their remedy, and mended by the setting it names."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.tiny_data import make_data, medseg, save, scan

SETTINGS = ("data.root=data", "data.labels={tumour: 1}", "name=tiny", "machine.threads=1")


def plant(folder: Path) -> None:
    """Spoil three of eight scans: a mask of halves, a file cut short, a NaN; and copy one scan to another subject."""
    data = make_data(folder)
    save(data / "labels" / "case_0.nii.gz", scan(0)[1].astype(np.float32) * 0.9)
    whole = (data / "images" / "case_1.nii.gz").read_bytes()
    (data / "images" / "case_1.nii.gz").write_bytes(whole[: len(whole) // 2])
    image = scan(2)[0]
    image[3, 3, 3] = np.nan
    save(data / "images" / "case_2.nii.gz", image)
    for part in ("images", "labels"):
        (data / part / "case_4.nii.gz").write_bytes((data / part / "case_3.nii.gz").read_bytes())


def digests(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def read(page: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(page).with_suffix(".json").read_text(encoding="utf-8"))
    return found


def test_faults_are_found_and_mended_by_the_command_on_the_page(tmp_path: Path) -> None:
    plant(tmp_path)
    before = digests(tmp_path / "data")
    code, output, errors = medseg(tmp_path, "check", *SETTINGS)
    assert code == 1
    assert output == "runs/tiny/check.html\n"
    found = read(str(tmp_path / "runs" / "tiny" / "check.html"))
    assert [case for case, one in found["cases"].items() if not one["accepted"]] == ["case_0", "case_1", "case_2"]
    told = [line for line in errors.splitlines() if line.startswith("error:")]
    assert [line.split(": ")[1] for line in told] == ["case_0", "case_1", "case_2"]
    assert "warning: data set: no two subjects share a scan, got 1 scan under more than one subject" in errors
    assert "5 of 8 scans can be used, 3 refused" in errors
    page = (tmp_path / "runs" / "tiny" / "check.html").read_text(encoding="utf-8")
    command = shlex.split(unescape(re.findall(r'<pre class="command"><code[^>]*>(.*?)</code>', page)[0]))
    assert command[:2] == ["medseg", "check"]
    code, _, errors = medseg(tmp_path, *command[1:])
    assert code == 1
    found = read(str(tmp_path / "runs" / "tiny" / "check.html"))
    assert [case for case, one in found["cases"].items() if not one["accepted"]] == ["case_1"], errors
    assert digests(tmp_path / "data") == before, "the scans are never written to"


def test_a_sound_set_ends_with_0_where_out_says_and_leaves_nothing_else(tmp_path: Path) -> None:
    make_data(tmp_path)
    code, output, errors = medseg(tmp_path, "check", *SETTINGS, "out=look/here")
    assert code == 0, errors
    assert output == "look/here/check.html\n"
    assert sorted(path.name for path in (tmp_path / "look" / "here").iterdir()) == ["check.html", "check.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".medseg", "data", "look"]
    again, _, errors = medseg(tmp_path, "check", *SETTINGS, "out=look/here")
    assert again == 0
    assert "index        reused" in errors


@pytest.mark.parametrize(("words", "message"), [
    (["data.root=nowhere"], "error: data.root: "),
    (["data.root=data", "data.repair=[sing]"], "error: data.repair"),
    (["data.root=data", "data.assume_orientation=up"], "error: data.assume_orientation: "),
    (["data.root=data", "out="], "error: out: one folder is needed, got ; write out=DIR once"),
    (["data.root=data", "out=a", "out=b"], "error: out: one folder is needed, got a, b; "),
    (["data.root=data", "out=/proc/x"], "error: out: the folder of the check must be writable, got /proc/x"),
    (["data.root=data", "machine.runs=/proc/x"], "error: machine.runs: the folder of the check must be writable"),
    (["data.root=data", "-m", "seed=1,2"], "error: check: one data set is checked at a time, got -m; leave -m out"),
])  # fmt: skip
def test_wrong_settings_end_with_2_and_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    make_data(tmp_path, scans=2, healthy=0)
    code, output, errors = medseg(tmp_path, "check", *words)
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert (code, output, len(lines)) == (2, "", 1), errors
    assert lines[0].startswith(message), lines[0]


def test_a_set_of_which_no_scan_can_be_used_has_a_page_too(tmp_path: Path) -> None:
    data = make_data(tmp_path, scans=2, healthy=0)
    for path in (data / "images").iterdir():
        path.write_bytes(b"not a scan")
    code, output, errors = medseg(tmp_path, "check", *SETTINGS)
    assert code == 1
    assert "None of 2 scans can be used" in (tmp_path / output.strip()).read_text(encoding="utf-8")
    assert "0 of 2 scans can be used, 2 refused" in errors


def test_help_and_guide_name_every_repair() -> None:
    from typing import get_args

    from medseg.cli.help import about
    from medseg.files.reading import Repair

    guide = (Path(__file__).parents[2] / "docs" / "check.md").read_text(encoding="utf-8")
    for repair in get_args(Repair):
        assert re.search(rf"\b{repair}\b", about("check"))
        assert f"`data.repair=[{repair}]`" in guide


def test_the_doctor_needs_no_torch(tmp_path: Path) -> None:
    make_data(tmp_path)
    program = (
        "import sys; from medseg.cli.main import main; code = main(sys.argv[1:])\n"
        "sys.exit(9 if {'torch', 'monai', 'highdicom'} & set(sys.modules) else code)"
    )
    command = [sys.executable, "-c", program, "check", *SETTINGS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ}, check=False)
    assert done.returncode == 0, done.stderr
