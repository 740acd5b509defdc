"""The ONNX model of a package: the one that lies beside its weights, or one made once and kept in the store."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

import medseg
from medseg.engines.exporting.extras import require, versions
from medseg.engines.exporting.making import make_export, record_place, write_export
from medseg.engines.exporting.programs import BATCH, window_shape
from medseg.engines.exporting.record import ExportRecord
from medseg.engines.exporting.runtimes import Runtime
from medseg.engines.packages.package import CARD, WEIGHTS, Card, load_model, read_card
from medseg.pipeline.code import digest_of_code
from medseg.pipeline.store import Source, Store, Task
from medseg.values.digests import digest_of, digest_of_file
from medseg.values.machine import Machine

MODEL = "model.onnx"


def onnx_of(package: Path, runtime: Runtime, machine: Machine) -> tuple[bytes, Card]:
    """Return the ONNX model of a package, and its card.

    `model.onnx` in the package is taken where its record says that it was made from these weights. Else it is made,
    compared with PyTorch and kept in `machine.store`, where the next call finds it.
    Refuses (exit 2) a missing extra, and what `make_export` refuses.
    """
    require(runtime, "machine.runtime", "set machine.runtime=torch")
    card = read_card(package)
    if not (package / WEIGHTS).is_file():
        load_model(package)  # says what is missing
    weights = digest_of_file(package / WEIGHTS)
    content = _beside(package / MODEL, card, weights)
    return content or _from_store(package, weights, runtime, machine), card


def _beside(model: Path, card: Card, weights: str) -> bytes | None:
    """Read the export that lies in the package; None where there is none that belongs to these weights."""
    try:
        record = ExportRecord.model_validate_json(record_place(model).read_text(encoding="utf-8"))
        content = model.read_bytes()
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
    own = record.weights == weights and record.sha256 == hashlib.sha256(content).hexdigest()
    return content if own and record.input.shape == (BATCH, *window_shape(card)) else None


def _from_store(package: Path, weights: str, runtime: Runtime, machine: Machine) -> bytes:
    source = Source(package, digest_of({CARD: digest_of_file(package / CARD), WEIGHTS: weights}))
    made_by = {"format": "onnx", "runtime": runtime, "versions": versions(runtime)}
    task = Task("export", "", digest_of_code(__name__), made_by, {"model": source})

    def work(folder: Path) -> None:
        write_export(folder / MODEL, make_export(package, "onnx", machine, runtime=runtime))

    made = Store(Path(machine.store)).make(task, work, {"medseg": medseg.__version__})
    return (made.folder / MODEL).read_bytes()
