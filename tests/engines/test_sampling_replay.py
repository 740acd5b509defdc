"""A batch that was written down is made again, byte for byte; and what was drawn, in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.engines.sampling.drawing.drawn import Draw, Intensity
from medseg.engines.sampling.drawing.replay import drawn, read_batch_record, record_of, replay, table_of
from medseg.engines.sampling.drawing.wording import describe
from medseg.engines.sampling.supplying.batches import batches
from medseg.values.error import Refusal
from tests.engines.batch_cases import CPU, case_of, one_thread, same, sampler_of, written

__all__ = ["one_thread"]

EYE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
PLAIN = Draw(0, (1.0, 2.0, 3.0), EYE, (Intensity(), Intensity()), 7, None)


def test_a_step_is_replayed_from_its_file_to_the_same_bytes(tmp_path: Path) -> None:
    cases = written(tmp_path)
    sampler = sampler_of(cases)
    source = batches(sampler, CPU)
    for step in range(1, 6):
        text = record_of(sampler, step, CPU).model_dump_json()
        assert same([next(source)], [replay(read_batch_record(text), cases[::-1], CPU)])


def test_cases_that_the_batch_does_not_show_need_not_be_there() -> None:
    sampler = sampler_of([case_of(number) for number in range(3)])
    record = record_of(sampler, 1, CPU)
    shown = {draw.case for draw in record.draws}
    only = [case for number, case in enumerate(sampler.cases) if number in shown]
    assert same([replay(record, only, CPU)], [next(batches(sampler, CPU))])
    with pytest.raises(Refusal, match=r"replay: the prepared cases of the batch are there, got no case_\d"):
        replay(record, only[1:], CPU)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 100_000))
def test_draws_survive_json_exactly(step: int) -> None:
    draws = sampler_of([case_of(0), case_of(1)]).draws(step)
    assert drawn(json.loads(json.dumps(table_of(draws)))) == draws


@pytest.mark.parametrize("text", ["", "{}", '{"seed": 1, "step": "1"}', '[{"pickle": 1}]'])
def test_another_file_is_refused(text: str) -> None:
    with pytest.raises(
        Refusal, match=r"batch record: is the batch.json that medseg wrote, got .*; draw the batch again"
    ):
        read_batch_record(text)


def test_words_for_what_was_drawn() -> None:
    case = replace(case_of(0), spacing_mm=(1.0, 2.0, 2.0))
    assert describe(PLAIN, case) == "case_0, placed anywhere\nunchanged"
    on = tuple(int(place) for place in case.seeds[2][0])
    changes = Intensity(noise=0.084, gamma_inverted=1.2, bias=(0.1, 0.2))
    changed = replace(PLAIN, seed_voxel=on, intensity=(changes, changes), blank=(1,))  # type: ignore[arg-type]
    assert describe(changed, case, ["PET", "CT"], ["core", "rim"]) == (
        f"case_0, on rim at {on[0]} {on[1]} {on[2]}\nPET: noise 0.08, inverted gamma 1.20, bias field; CT: blank"
    )


def test_turn_zoom_and_flips_are_told_apart() -> None:
    spacing = np.array([1.0, 2.0, 2.0])
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    matrix = turn * spacing / spacing[:, None] * (np.array([-1, 1, -1]) / 1.25)
    rows = tuple(tuple(map(float, row)) for row in matrix)
    words = describe(replace(PLAIN, matrix=rows), replace(case_of(0), spacing_mm=(1.0, 2.0, 2.0)))  # type: ignore[arg-type]
    assert words.splitlines()[1] == "turned 20 degrees, zoom 1.25, flipped along x z"
    uneven = tuple(tuple(map(float, row)) for row in np.diag([1, 0.5, 1]))
    assert describe(replace(PLAIN, matrix=uneven), case_of(0)).endswith("\nzoom 1.00 x 2.00 x 1.00")  # type: ignore[arg-type]
