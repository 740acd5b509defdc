"""Every setting with its type, default and meaning, as a page of Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from medseg.experiment.settings import ExperimentSettings
from medseg.values.machine import Machine

HEAD = """# Settings

Everything that can be set, as `name=value` on the command line or in a YAML file below a folder given by
`--config-dir`; `group=choice` picks a file of `conf/`. Settings may change a result and are part of what finds it
again; `machine` is not.
This page is made from the settings classes: `python -m medseg.experiment.describe`.
"""


def describe() -> str:
    """Return the page: one table per group, choices of a `kind` one after the other."""
    parts = [HEAD, _table("", ExperimentSettings, deep=False)]
    for name, field in ExperimentSettings.model_fields.items():
        for model in _models(field.annotation):
            choices = get_args(model.model_fields["kind"].annotation) if "kind" in model.model_fields else ()
            title = f"{name}, kind `{choices[0]}`" if len(choices) == 1 else name
            parts.append(f"## {title}\n\n{_first_line(model)}\n\n{_table(name, model)}")
    parts.append(f"## machine\n\n{_first_line(Machine)}\n\n{_table('machine', Machine)}")
    return "\n".join(parts)


def _table(path: str, model: type[BaseModel], deep: bool = True) -> str:
    rows = "".join(
        f"| `{name}` | {kind} | {default} | {text} |\n" for name, kind, default, text in _rows(path, model, deep)
    )
    return f"| setting | type | default | meaning |\n|---|---|---|---|\n{rows}" if rows else ""


def _rows(path: str, model: type[BaseModel], deep: bool) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        full = f"{path}.{name}" if path else name
        inner = _models(field.annotation)
        if not inner or (deep and field.annotation not in inner):
            yield full, _type(field), f"`{_default(field)}`", field.description or ""
        if inner and deep:
            yield from _rows(full, inner[0], deep)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)] if get_origin(annotation) else []


def _type(field: FieldInfo) -> str:
    return _word(field.annotation).replace("|", "\\|")


def _word(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(_word(part) for part in inner)
    if annotation is type(None):
        return "null"
    if isinstance(annotation, type) and origin is None and issubclass(annotation, BaseModel):
        return "the settings below"
    if isinstance(annotation, type) and origin is None:
        return {"int": "whole number", "float": "number", "str": "text", "bool": "true or false"}.get(
            annotation.__name__, annotation.__name__
        )
    if origin is tuple:
        return "list"
    if origin is dict:
        return "mapping"
    text = re.sub(r"typing\.|<class '(\w+)'>", r"\1", str(annotation))
    found = re.findall(r"'([^']*)'", text)
    return ", ".join(f"`{one}`" for one in found) if text.startswith("Literal") else _word(inner[0]) if inner else text


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return json.dumps(value, default=str)


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ")


if __name__ == "__main__":
    print(describe(), end="")  # noqa: T201
