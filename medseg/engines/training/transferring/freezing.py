"""Parts of a network that training leaves as they are."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from medseg.values.error import wrong_setting

SETTING = "training.freeze"


def freeze(network: nn.Module, parts: Sequence[str], unknown: Sequence[str] = ()) -> None:
    """Take the weights of `parts` (names of modules: `encoder`, `encoder.0`) out of training, in place.

    unknown: names of tensors that hold random or zero values; none of them may lie in a part that stays as it is.
    Running means of a batch norm stay as well. Refuses (exit 2) names that the network does not have, and to freeze
    everything.
    """
    modules = dict(network.named_modules())
    for part in parts:
        if part not in modules or not any(True for _ in modules[part].parameters()):
            raise _no_part(network, part)
        _check_known(part, unknown)
        modules[part].requires_grad_(False)
        for module in modules[part].modules():
            if isinstance(module, _BatchNorm):
                module.momentum = 0.0
    if not any(weight.requires_grad for weight in network.parameters()):
        raise wrong_setting(SETTING, "something is left to train", list(parts), "leave one of them out")


def _no_part(network: nn.Module, part: str) -> Exception:
    top = [name for name, child in network.named_children() if any(True for _ in child.parameters())]
    inner = [name for name, module in network.named_modules() if name and any(True for _ in module.parameters())]
    near = difflib.get_close_matches(part, inner, 1)
    guess = f"did you mean '{near[0]}'? " if near else ""
    rule = f"the network has the parts {', '.join(top)}, and parts of them such as {_example(inner)}"
    return wrong_setting(SETTING, rule, f"'{part}'", f"{guess}name one of them")


def _example(names: Sequence[str]) -> str:
    return next((name for name in names if "." in name), names[0])


def _check_known(part: str, unknown: Sequence[str]) -> None:
    inside = [name for name in unknown if name.startswith(f"{part}.")]
    if inside:
        rule = "what stays as it is has all its weights from the package"
        remedy = f"freeze smaller parts, without {inside[0]}"
        raise wrong_setting(SETTING, rule, f"'{part}' with {len(inside)} that have not", remedy)
