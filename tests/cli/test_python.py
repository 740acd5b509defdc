"""The words that Python programs give."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import medseg
from medseg.cli.compose import compose
from medseg.cli.python import quoted
from medseg.pipeline.parsed import parse
from medseg.values.error import Refusal

PACKAGE = Path(medseg.__file__).parent

ODD = (
    "/data/scans", "a b", "it's", 'say "x"', "a,b=c", "[1]", "{x: 1}", "back\\slash\\", "läsion", "$HOME", "1e3",
)  # fmt: skip


@pytest.mark.parametrize("path", ODD)
def test_a_path_arrives_letter_by_letter(path: str) -> None:
    assert compose([f"data.root={quoted(path)}"], None, "config")["data"]["root"] == path


def test_a_word_that_is_no_setting_is_refused() -> None:
    with pytest.raises(Refusal, match=r"words: settings look like name=value, got plan; write them like \"network="):
        medseg.run("plan")
    with pytest.raises(Refusal, match="words: settings look like name=value, got data"):
        medseg.open_data(None, "data")


def test_a_sweep_is_no_data_set() -> None:
    with pytest.raises(Refusal, match="open_data: one data set is opened at a time, got -m; leave -m out"):
        medseg.open_data(None, "-m", "seed=1,2")


def test_settings_are_refused_as_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"training\.stpes: unknown setting, got 'stpes'; did you mean 'steps'\?"):
        medseg.run("training.stpes=3")
    with pytest.raises(Refusal, match=r"data\.root"):
        medseg.open_data(tmp_path / "nowhere", f"machine.store={quoted(str(tmp_path / 'store'))}")


def test_the_types_are_those_of_the_functions() -> None:
    code, types = (ast.parse((PACKAGE / name).read_text()) for name in ("__init__.py", "__init__.pyi"))
    assert signatures(code) == signatures(types)
    assert set(signatures(types)) == {"load", "open_run", "compare_runs", "open_data", "run"}


def test_no_stage_depends_on_what_notebooks_are_given() -> None:
    assert not any(
        "opening" in name or "notebook" in name for name in parse((PACKAGE / "__init__.py").read_bytes()).named
    )


def signatures(tree: ast.Module) -> dict[str, str]:
    return {one.name: ast.unparse(one.args) for one in tree.body if isinstance(one, ast.FunctionDef)}
