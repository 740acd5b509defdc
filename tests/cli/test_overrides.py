"""Paths and other texts stand as they are typed, whatever Hydra's grammar would make of them."""

from __future__ import annotations

import pytest

from medseg.cli.compose import compose, plain_tree, sweep
from medseg.values.error import Refusal

PATHS = ("scans", "Müller & Söhne (Kopie)", "a,b", "a=b", "~/scans#1", "12", "1e5", "C:\\data", "a b/c", "O'Brien")


@pytest.mark.parametrize("path", PATHS)
def test_a_path_stands_as_it_is_typed(path: str) -> None:
    assert compose([f"data.root={path}"], None, "config")["data"]["root"] == path
    assert plain_tree([f"model={path}"], ("model",)) == {"model": path}


@pytest.mark.parametrize("expression", [r"^(P\d+)_", r"^(\w{1,3})_", "site"])
def test_a_regular_expression_stands_as_it_is_typed(expression: str) -> None:
    assert plain_tree([f"data.subject={expression}"]) == {"data": {"subject": expression}}


@pytest.mark.parametrize(("typed", "value"), [
    ("'a (b)'", "a (b)"), ('"a,b"', "a,b"), ("null", None), ("", ""), ("[a,b]", ["a", "b"]),
])  # fmt: skip
def test_quotes_null_and_lists_keep_their_meaning(typed: str, value: object) -> None:
    assert plain_tree([f"model={typed}"], ("model",)) == {"model": value}


def test_a_share_stays_a_number_where_a_file_may_be_named() -> None:
    assert plain_tree(["split.held_out=0.25"]) == {"split": {"held_out": 0.25}}
    assert plain_tree(["split.held_out=Liste (neu).txt"]) == {"split": {"held_out": "Liste (neu).txt"}}


def test_a_comma_parts_texts_only_in_a_sweep() -> None:
    assert sweep(["data.root=a,b"]) == [["data.root=a"], ["data.root=b"]]
    jobs = sweep(["seed=1,2", "data.root=Müller (1)"])
    assert [compose(job, None, "config")["data"]["root"] for job in jobs] == ["Müller (1)"] * 2
    with pytest.raises(Refusal, match=r"split\.held_out: one value is needed for one run, got .*; add -m to sweep"):
        plain_tree(["split.held_out=0.1,0.2"])


def test_no_text_reads_the_environment() -> None:
    with pytest.raises(Refusal, match="a plain value is needed, not an interpolation"):
        plain_tree(["data.root=${oc.env:HOME}"])
    with pytest.raises(Refusal, match="a plain value is needed, not an interpolation"):
        plain_tree(["data.root=a(b)${oc.env:HOME}"])
