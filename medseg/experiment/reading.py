"""From plain values to typed settings, and from pydantic's findings to one line a person understands."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from medseg.experiment.suggesting import kinds_of, models_in, suggestion
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


def build(
    model: type[Model], tree: Mapping[str, Any], root: str, beside: Mapping[str, type[Settings]] | None = None
) -> Model:
    """Make the settings from plain values; `root` is the dotted path of the tree, "" at the top.

    `beside` are other trees by their dotted paths, in which an unknown name may have been meant.
    Refuses (exit 2) unknown names (with the nearest known one), wrong types, values out of range, and texts that are
    not UTF-8.
    """
    for path, text in _texts(tree, root):
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise wrong_setting(path, "a text in UTF-8 is needed", ascii(text), "rename the file or folder")
    try:
        return model.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        raise _refusal(model, error.errors(), root, beside or {}) from None
    except (TypeError, ValueError) as error:
        raise wrong_setting(
            root or "settings", "plain values are needed", str(error), "use numbers, texts and lists"
        ) from None


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Yield every text of a tree with its dotted path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner, path)


def _refusal(
    model: type[Settings], findings: list[ErrorDetails], root: str, beside: Mapping[str, type[Settings]]
) -> Refusal:
    finding = min(findings, key=lambda one: (one["type"] != "extra_forbidden", -len(one["loc"])))
    steps, owner = _locate(model, finding["loc"])
    path = ".".join([root, *steps] if root else steps)
    if finding["type"] == "extra_forbidden":
        remedy = suggestion(path.split("."), owner, {root: model, **beside})
        return wrong_setting(path, "unknown setting", f"'{steps[-1]}'", remedy)
    original = finding.get("ctx", {}).get("error")
    if isinstance(original, Refusal):
        return original
    lacking = finding["type"] == "missing"  # pydantic gives what is around the place then
    value = "none" if lacking else json.dumps(finding["input"], default=str, ensure_ascii=False)[:120]
    if finding["type"] == "literal_error":
        words = _words(findings, finding["loc"], model)
        return wrong_setting(path, f"must be {_listed(words)}", value, _nearest(words, finding, owner, steps))
    return wrong_setting(path, _rule(finding, owner, steps), value, _remedy(owner, steps))


def _words(findings: list[ErrorDetails], location: tuple[int | str, ...], model: type[Settings]) -> list[str]:
    """Return the words that may stand at a place: pydantic finds a fault for each side of `A or B`."""
    steps, _ = _locate(model, location)
    there = [one for one in findings if one["type"] == "literal_error" and _locate(model, one["loc"])[0] == steps]
    return [word for one in there for word in re.findall(r"'([^']*)'", one.get("ctx", {}).get("expected", ""))]


def _listed(words: list[str]) -> str:
    quoted = [f"'{word}'" for word in words]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def _nearest(words: list[str], finding: ErrorDetails, owner: type[BaseModel] | None, steps: list[str]) -> str:
    near = difflib.get_close_matches(str(finding["input"]), words, n=1)
    return f"did you mean '{near[0]}'?" if near else _remedy(owner, steps)


def _rule(finding: ErrorDetails, owner: type[BaseModel] | None, steps: list[str]) -> str:
    field = owner.model_fields.get(steps[-1]) if owner and steps else None
    if finding["type"] == "string_pattern_mismatch" and field and field.examples:
        return f"is written like {', '.join(map(str, field.examples))}"
    return KINDS.get(finding["type"], _plain(finding["msg"]))


def _remedy(owner: type[BaseModel] | None, steps: list[str]) -> str:
    named = [step for step in steps if not step.isdecimal()]  # members of a list are described by the list
    field = owner.model_fields.get(named[-1]) if owner and named else None
    if field is None:
        return "see the documentation of this setting"
    described = f"{field.description}; " if field.description else ""
    if field.is_required():
        return f"{described}it has no default"
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
        tagged = [one for one in here if step in kinds_of(one)]
        if len(here) > 1 and tagged:
            here = tagged
            continue
        if _names_choice(step, here):
            continue
        steps.append(str(step))
        owner = here[0] if here else None
        here = (
            [found for one in here for found in models_in(one.model_fields[str(step)].annotation) if found]
            if any(str(step) in one.model_fields for one in here)
            else []
        )
    return steps, owner


def _names_choice(step: int | str, here: list[type[BaseModel]]) -> bool:
    """Tell whether a step is pydantic's name of one side of `A or B`: a class, words to choose from, a kind of number.

    A number with bounds is called constrained-float there, a mapping to such numbers dict[str,constrained-float].
    """
    return any(one.__name__ == step for one in here) or str(step).startswith(("literal[", "constrained-", "dict["))
