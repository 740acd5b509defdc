"""The command as people start it: a real process, its exit code, what it prints and what it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from medseg.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


def medseg(*words: str, cwd: Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "medseg", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, **options)  # type: ignore[call-overload]


def test_help_and_version_import_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys; from medseg.cli.main import main; code = main(sys.argv[1:])\n"
        "heavy = {'torch', 'monai', 'hydra', 'numpy', 'scipy', 'nibabel', 'SimpleITK', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(9 if heavy else code)"
    )
    for words in (["--help"], ["run", "--help"], ["plan", "-h"], ["--version"], []):
        done = subprocess.run(
            [sys.executable, "-c", program, *words], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "medseg" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_settings_are_checked_without_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from medseg.cli.compose import compose; from medseg.experiment.settings import read_settings\n"
        "read_settings(compose([], None, 'config'))\n"
        "sys.exit(9 if {'torch', 'monai', 'SimpleITK'} & set(sys.modules) else 0)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize(("words", "message"), [
    (["rnu"], "error: command: one of run, plan"),
    (["run", "--bogus"], "error: command line: options are -m"),
    (["run", "training.stpes=3"], "error: training.stpes: unknown setting, got 'stpes'; did you mean 'steps'?"),
    (["run", "data.root=nowhere"], "error: data.root: a folder that exists is needed, got nowhere"),
    (["run", "data=folder"], "error: data.root: a folder of scans is needed, got None"),
    (["plan", "-m", "seed=1,2"], "error: plan: sweeps are for run and the commands up to it, got -m; leave -m out"),
    (["clean", "everything"], "error: clean: drafts, all or older=DAYS can be deleted, got everything"),
    (["run", "machine.runs=/proc/nowhere"], "error: machine.runs: the folder of the run must be writable"),
    (["run", "inference.postprocess=atuo"], "error: inference.postprocess: must be 'auto' or 'none', got \"atuo\"; "),
    (["run", "inference.postprocess={keep_largets: [tumour]}"],
     "error: inference.postprocess.keep_largets: unknown setting, got 'keep_largets'; did you mean 'keep_largest'?"),
    (["run", "split.held_out=missing.txt"], "error: split.held_out: a share or a file that exists is needed"),
])  # fmt: skip
def test_wrong_commands_end_with_2_and_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    done = medseg(*words, cwd=tmp_path)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert errors[0].startswith(message)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    assert "Traceback" in medseg("run", "data.root=nowhere", "debug=true", cwd=tmp_path).stderr


def test_plan_runs_nothing(tmp_path: Path) -> None:
    done = medseg("plan", cwd=tmp_path)
    assert done.returncode == 0
    assert "phantom      run: first time" in done.stdout
    assert "report       run: after phantom" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == []


def test_no_environment_variable_is_read_as_a_setting(tmp_path: Path) -> None:
    environment = {**os.environ, "MEDSEG_SEED": "7", "HYDRA_FULL_ERROR": "1"}
    assert medseg("plan", cwd=tmp_path, env=environment).stdout == medseg("plan", cwd=tmp_path).stdout


def test_the_wheel_carries_package_configuration_and_page(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path / "dist"),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    wheel = next((tmp_path / "dist").glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    conf = {f"medseg/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "conf").rglob("*.yaml")}
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "medseg").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert conf <= inside
    assert sources <= inside
    program = "import sys; sys.path.insert(0, sys.argv[1]); from medseg.cli.main import main; sys.exit(main(['plan']))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(tmp_path / "site")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "phantom" in done.stdout


def test_clean_lists_and_deletes(tmp_path: Path) -> None:
    store = tmp_path / ".medseg" / "split" / ("a" * 32)
    store.mkdir(parents=True)
    (store / "manifest.json").write_text(json.dumps({"item": ""}))
    (tmp_path / ".medseg" / "drafts" / f"train-{'b' * 32}").mkdir(parents=True)
    listed = medseg("clean", cwd=tmp_path).stdout
    assert "split" in listed
    assert "train" in listed
    medseg("clean", "drafts", cwd=tmp_path)
    assert store.exists()
    assert not list((tmp_path / ".medseg" / "drafts").iterdir())
    assert "deleted 1 entries" in medseg("clean", "all", cwd=tmp_path).stdout
    assert not store.exists()


def test_an_error_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["r\x1b]0;un\x07\u202e"]) == 2
    told = capsys.readouterr().err
    assert "r?]0;un??" in told
    assert told.strip().isprintable()


@pytest.mark.parametrize("setting", ["data.root", "split.held_out", "machine.store"])
def test_a_path_that_is_no_text_is_refused_by_the_setting(capsys: pytest.CaptureFixture[str], setting: str) -> None:
    assert main(["plan", f"{setting}=caf\udce9"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == rf"error: {setting}: a text in UTF-8 is needed, got 'caf\udce9'; rename the file or folder"
