"""A drawn batch as a record, and the same batch again, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

import medseg
from medseg.engines.sampling.cutting.cut import Batch, cut
from medseg.engines.sampling.drawing.drawn import Draw
from medseg.engines.sampling.supplying.batches import Sampler, finished
from medseg.files.prepared import PreparedCase
from medseg.values.error import Refusal
from medseg.values.settings import Settings

_DRAWS = TypeAdapter(tuple[Draw, ...])


class BatchRecord(Settings):
    """A batch as it was drawn. `draws` count cases in the order of `cases`; `device` is the kind it was made on."""

    medseg: str = medseg.__version__
    seed: int
    step: int
    patch: tuple[int, int, int]
    plane: int | None
    device: str
    cases: tuple[str, ...]
    draws: tuple[Draw, ...]


def record_of(sampler: Sampler, step: int, device: torch.device) -> BatchRecord:
    """Draw the whole batch of a step and write down all that it was drawn from."""
    return BatchRecord(
        seed=sampler.seed,
        step=step,
        patch=sampler.plan.patch,
        plane=sampler.plan.plane,
        device=device.type,
        cases=tuple(case.case for case in sampler.cases),
        draws=sampler.draws(step),
    )


def replay(record: BatchRecord, cases: Sequence[PreparedCase], device: torch.device) -> Batch:
    """Make the batch of a record again, from prepared cases in any order: the same bytes on the same kind of device.

    Refuses a case that is missing.
    """
    known = {case.case: case for case in cases}
    missing = sorted({record.cases[draw.case] for draw in record.draws} - set(known))
    if missing:
        raise Refusal("replay", "the prepared cases of the batch are there", f"no {', '.join(missing)}",
                      "give the prepared cases that the batch was drawn from")  # fmt: skip
    own = [known.get(name, cases[0]) for name in record.cases]
    return finished(cut(record.draws, own, record.patch, record.plane, device), record.draws)


def read_batch_record(text: str) -> BatchRecord:
    """Read batch.json. Refuses what is not such a record."""
    try:
        return BatchRecord.model_validate_json(text)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise Refusal("batch record", "is the batch.json that medseg wrote", f"{where}: {error.errors()[0]['msg']}",
                      "draw the batch again with training.show_batch") from None  # fmt: skip


def table_of(draws: Sequence[Draw]) -> list[dict[str, Any]]:
    """Return draws as JSON values, one row for each patch; `drawn` brings exactly the same draws back."""
    rows: list[dict[str, Any]] = _DRAWS.dump_python(tuple(draws), mode="json")
    return rows


def drawn(table: Sequence[Mapping[str, Any]]) -> tuple[Draw, ...]:
    """Return the draws of a table."""
    return _DRAWS.validate_python(table)
