"""One export of one package: traced, written to bytes, and compared with PyTorch before anybody gets it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from medseg.engines.exporting.extras import require, versions
from medseg.engines.exporting.parity import compare
from medseg.engines.exporting.programs import onnx_bytes, torch_bytes, trace
from medseg.engines.exporting.record import ExportRecord, Format, record_of
from medseg.engines.exporting.runtimes import Runtime, program_of, runtime_of
from medseg.engines.exporting.windows import windows_of_noise, windows_of_scan
from medseg.engines.inference.frame import Forward
from medseg.engines.packages.package import WEIGHTS, Card, load_model
from medseg.files.appearing import appearing_at_once
from medseg.values.digests import digest_of_file
from medseg.values.machine import Machine

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """The bytes of an export, what is written beside it, and the card it was made from."""

    content: bytes
    record: ExportRecord
    card: Card


def make_export(
    package: Path, made: Format, machine: Machine, images: Sequence[Path] = (), runtime: Runtime = "onnx"
) -> Exported:
    """Export a package; ONNX is compared as `runtime` computes it, everything else as PyTorch loads it again.

    images: the channels of a scan whose windows are looked at; without them it is noise like a scan.
    Refuses packages that are damaged, networks that cannot be exported, exports that answer something else, and (exit
    2) extras that are not installed. A bundle has the same content as `torch`.
    """
    if made == "onnx":
        require(runtime, "format" if runtime == "onnx" else "machine.runtime", "take format=torch")
    network, card = load_model(package)
    windows = windows_of_scan(images, card) if images else windows_of_noise(card)
    program = trace(network, card)
    content = onnx_bytes(program, card) if made == "onnx" else torch_bytes(program)
    forward = _forward(content, made, machine, runtime)
    parity = compare(network, forward, windows, "scan" if images else "noise", card.activation)
    digests = (hashlib.sha256(content).hexdigest(), digest_of_file(package / WEIGHTS))
    record = record_of(made, card, digests, versions(runtime if made == "onnx" else ""), parity)
    return Exported(content, record, card)


def write_export(path: Path, exported: Exported) -> None:
    """Write the file and, beside it, `record_place(path)`; each appears whole or not at all."""
    write_bytes(path, exported.content)
    write_bytes(record_place(path), as_json(exported.record))


def record_place(path: Path) -> Path:
    """Return where the record of an exported file lies."""
    return path.with_name(f"{path.name}.json")


def as_json(record: ExportRecord) -> bytes:
    """Return the record as indented JSON."""
    return (record.model_dump_json(indent=1) + "\n").encode()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole, in a folder that is made if missing; refuses one that cannot be written."""
    with appearing_at_once(path) as file:
        file.write(content)


def _forward(content: bytes, made: Format, machine: Machine, runtime: Runtime) -> Forward:
    if made != "onnx":
        return program_of(content)
    return runtime_of(runtime, content, machine.model_copy(update={"device": "cpu"}), CPU)
