"""What the extras `onnx` and `openvino` bring, and what is said where they are missing."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from medseg.values.error import Refusal, wrong_setting

NEEDED = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}


def require(extra: str, setting: str, instead: str) -> None:
    """Refuse (exit 2) what needs an extra that is not installed, naming it; nothing is imported.

    setting: what asked for it, like `machine.runtime`.  instead: what else the reader can do.
    """
    missing = [name for name in NEEDED[extra] if find_spec(name) is None]
    if missing:
        remedy = f"pip install 'medseg[{extra}]', or {instead}"
        raise wrong_setting(setting, f"{extra} needs the extra '{extra}'", f"no {missing[0]}", remedy)


def unusable(extra: str, error: ImportError) -> Refusal:
    """Make the refusal of an extra that is installed and cannot be imported."""
    return Refusal(extra, "the installed package can be imported", error, f"pip install --upgrade 'medseg[{extra}]'")


def versions(extra: str) -> dict[str, str]:
    """Return the installed versions of what an extra brings, by name; without an extra, of PyTorch alone."""
    return {name: _version(name) for name in ("torch", *NEEDED.get(extra, ()))}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
