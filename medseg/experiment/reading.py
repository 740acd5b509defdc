"""From plain values to typed settings, and from pydantic's findings to one line a person understands."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from medseg.values.error import Refusal, wrong_setting
from medseg.values.settings import Settings

Model = TypeVar("Model", bound=Settings)
KINDS = {
    "int_type": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "float_type": "a number is needed",
    "float_parsing": "a number is needed",
    "bool_type": "true or false is needed",
    "bool_parsing": "true or false is needed",
    "string_type": "a text is needed",
    "tuple_type": "a list is needed, like [1,2,3]",
    "list_type": "a list is needed, like [1,2,3]",
    "dict_type": "a group of settings is needed, like {name: value}",
    "model_type": "a group of settings is needed, like {name: value}",
    "model_attributes_type": "a group of settings is needed, like {name: value}",
    "missing": "a value is needed",
}


def build(model: type[Model], tree: Mapping[str, Any], root: str) -> Model:
    """Make the settings from plain values; `root` is the dotted path of the tree, "" at the top.

    Refuses unknown names (with the nearest known one), wrong types and values out of range, with exit code 2.
    """
    try:
        return model.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        raise _refusal(model, error.errors(), root) from None
    except (TypeError, ValueError) as error:
        raise wrong_setting(
            root or "settings", "plain values are needed", str(error), "use numbers, texts and lists"
        ) from None


def _refusal(model: type[Settings], findings: list[ErrorDetails], root: str) -> Refusal:
    finding = min(findings, key=lambda one: (one["type"] != "extra_forbidden", -len(one["loc"])))
    steps, owner = _locate(model, finding["loc"])
    path = ".".join([root, *steps] if root else steps)
    if finding["type"] == "extra_forbidden":
        return _unknown(path, steps[-1], owner)
    original = finding.get("ctx", {}).get("error")
    if isinstance(original, Refusal):
        return original
    rule = KINDS.get(finding["type"], _plain(finding["msg"]))
    return wrong_setting(path, rule, json.dumps(finding["input"], default=str)[:120], _remedy(owner, steps))


def _unknown(path: str, name: str, owner: type[BaseModel] | None) -> Refusal:
    known = sorted(owner.model_fields) if owner else []
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    remedy = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
    return wrong_setting(path, "unknown setting", f"'{name}'", remedy)


def _remedy(owner: type[BaseModel] | None, steps: list[str]) -> str:
    field = owner.model_fields.get(steps[-1]) if owner and steps else None
    if field is None:
        return "see the documentation of this setting"
    described = f"{field.description}; " if field.description else ""
    return f"{described}the default is {json.dumps(field.default, default=_shown)}"


def _shown(value: object) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


def _plain(message: str) -> str:
    for start in ("Input should be ", "Value error, ", "Input tag "):
        if message.startswith(start):
            text = message[len(start) :]
            return f"must be {text}" if start == "Input should be " else text
    return message


def _locate(model: type[Settings], location: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel] | None]:
    """Follow a finding's location to the settings class that owns its last step; what names a choice is left out."""
    steps: list[str] = []
    owner: type[BaseModel] | None = model
    here: list[type[BaseModel]] = [model]
    for step in location:
        tagged = [one for one in here if step in _tags(one)]
        if len(here) > 1 and tagged:
            here = tagged
            continue
        if _names_choice(step, here):
            continue
        steps.append(str(step))
        owner = here[0] if here else None
        here = (
            [found for one in here for found in _models(one.model_fields[str(step)].annotation) if found]
            if any(str(step) in one.model_fields for one in here)
            else []
        )
    return steps, owner


def _names_choice(step: int | str, here: list[type[BaseModel]]) -> bool:
    """Tell whether a step is pydantic's name of one side of `A or B`: a class, words to choose from, a kind of number.

    A number with bounds is called constrained-float there, a mapping to such numbers dict[str,constrained-float].
    """
    return any(one.__name__ == step for one in here) or str(step).startswith(("literal[", "constrained-", "dict["))


def _tags(model: type[BaseModel]) -> Iterable[object]:
    kind = model.model_fields.get("kind")
    return get_args(kind.annotation) if kind else ()


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
