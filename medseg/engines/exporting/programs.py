"""A network as one fixed graph for any number of windows, and the bytes of that graph as files hold it."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from medseg.engines.exporting.extras import unusable
from medseg.engines.packages.package import Card
from medseg.values.error import Refusal

INPUT, OUTPUT, BATCH = "windows", "logits", "batch"
OPSET = 18  # the one that PyTorch's translations are written for; runtimes of 2023 and later read it
_MOST_ONNX_BYTES = 2**31 - 2**20  # protobuf's own limit, less room for the graph
_SOURCES = ("stack_trace", "source_fn_stack")  # where on this computer a line of code lies: nobody else's business


def window_shape(card: Card) -> tuple[int, ...]:
    """Return channels and space `(C, *space)` of one window, in 2D without the flat axis."""
    space = [size for axis, size in enumerate(card.plan.patch) if axis != card.plan.plane]
    return (card.channels, *space)


def trace(network: nn.Module, card: Card) -> ExportedProgram:
    """Return the graph of a network in eval mode on the CPU: windows `(B, C, *space)` in, logits `(B, K, *space)` out.

    B is free; the space is the plan's patch, for that is what windows always have. Refuses a network that PyTorch
    cannot trace, which some of MONAI's are.
    """
    network = network.eval().requires_grad_(False)
    example = torch.zeros(2, *window_shape(card))
    try:
        with torch.no_grad(), _quiet():
            return torch.export.export(network, (example,), dynamic_shapes=({0: Dim(BATCH, min=1)},), strict=False)
    except Exception as error:  # whatever a network makes of the tracer, and the tracer of a network
        raise _untraceable(card, error) from error


def torch_bytes(program: ExportedProgram) -> bytes:
    """Return the content of a .pt2 file, which `torch.export.load` reads; it holds no pickle.

    The example that PyTorch would keep in it, as a pickle, is left out.
    """
    program.example_inputs = None
    for node in _nodes(program.graph_module):
        for name in _SOURCES:
            node.meta.pop(name, None)
    buffer = io.BytesIO()
    with _quiet():
        torch.export.save(program, buffer)
    return buffer.getvalue()


def onnx_bytes(program: ExportedProgram, card: Card) -> bytes:
    """Return the content of an .onnx file: one input `windows`, one output `logits`, the first axis free.

    Names of files on this computer are left out, and the same graph gives the same bytes. Refuses what ONNX has no
    operator for, and weights of more than 2 GB, which one ONNX file cannot hold.
    """
    size = sum(weight.numel() * weight.element_size() for weight in program.state_dict.values())
    if size > _MOST_ONNX_BYTES:
        raise Refusal("network", "one ONNX file holds 2 GB", f"{size / 1e9:.1f} GB of weights", "take format=torch")
    try:
        with torch.no_grad(), _quiet():
            model = _onnx_model(program)
    except ImportError as error:
        raise unusable("onnx", error) from error
    except Exception as error:  # the exporter has no common error type
        raise _untraceable(card, error) from error
    _tidy(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _onnx_model(program: ExportedProgram) -> Any:
    made = torch.onnx.export(
        program,
        input_names=[INPUT],
        output_names=[OUTPUT],
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    if made is None:
        raise RuntimeError("the exporter of PyTorch returned nothing")
    return made.model_proto


def _tidy(model: Any) -> None:
    """Take out what tells of this computer, and give the free axis its name."""
    model.ClearField("doc_string")
    model.ClearField("metadata_props")
    for graph in (model.graph, *model.functions):
        graph.ClearField("doc_string")
        graph.ClearField("metadata_props")
        graph.ClearField("value_info")  # runtimes infer these shapes themselves
        for node in graph.node:
            node.ClearField("doc_string")
            node.ClearField("metadata_props")
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("doc_string")
        value.ClearField("metadata_props")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH


def _nodes(module: GraphModule) -> Iterator[Any]:
    for inner in module.modules():
        if isinstance(inner, GraphModule):
            yield from inner.graph.nodes


def _untraceable(card: Card, error: Exception) -> Refusal:
    network = getattr(card.network, "name", card.network.kind)
    told = str(error).strip().splitlines() or [type(error).__name__]
    rule, remedy = f"PyTorch's exporter takes {network}", "use the package itself, with machine.runtime=torch"
    return Refusal("network", rule, f"{type(error).__name__}: {told[0][:200]}", remedy)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks to itself: they are for those who write exporters."""
    names = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir", "torch.fx")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
