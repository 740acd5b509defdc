"""NiiVue, the viewer that travels with the package, and where it came from."""

from __future__ import annotations

import gzip
import hashlib
import json
from importlib.resources import files
from pathlib import Path

from medseg.files.appearing import appearing_at_once
from medseg.values.error import Refusal
from medseg.values.settings import Settings

SCRIPT = "niivue.umd.js.gz"
ORIGIN = "origin.json"
LICENCE = "BSD-2-Clause"
NAME = "@niivue/niivue"
_SOURCE = "dist/niivue.umd.js"
_LEVEL = 9


class Origin(Settings):
    """Where the script came from: the npm package, the file in it, and the SHA-256 of that file unpacked."""

    name: str
    version: str
    licence: str
    homepage: str
    file: str
    sha256: str
    size: int


def packed_script() -> bytes:
    """Return NiiVue as it lies in the package: gzip of one script that sets `niivue`."""
    return (files("medseg.report.viewer") / SCRIPT).read_bytes()


def read_origin() -> Origin:
    """Return where the script in the package came from."""
    return Origin.model_validate_json((files("medseg.report.viewer") / ORIGIN).read_text(encoding="utf-8"))


def update_script(package: Path, into: Path) -> Origin:
    """Take the script from an unpacked npm package into the folder `into`; the same package gives the same bytes.

    Refuses another package, another licence, a script that could end the element it is put into, and one that loads
    workers or compiles text.
    """
    about = _read_about(package)
    script = package / _SOURCE
    if not script.is_file():
        raise Refusal(str(package), f"the package holds {_SOURCE}", "none", "unpack another version")
    content = script.read_bytes()
    for word in (b"</script", b"<!--", b"new Worker(", b"new Function(", b"eval("):
        if word in content:
            rule = "the script runs inside a page that allows no more than it needs"
            raise Refusal(str(script), rule, word.decode(), "look whether the page can do without it")
    origin = Origin(
        name=about["name"],
        version=about["version"],
        licence=about["license"],
        homepage=about.get("homepage", ""),
        file=_SOURCE,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )
    with appearing_at_once(into / SCRIPT) as file:
        file.write(gzip.compress(content, _LEVEL, mtime=0))
    with appearing_at_once(into / ORIGIN) as file:
        file.write((origin.model_dump_json(indent=1) + "\n").encode("utf-8"))
    return origin


def _read_about(package: Path) -> dict[str, str]:
    about = package / "package.json"
    if not about.is_file():
        raise Refusal(str(package), "an unpacked npm package has a package.json", "none", f"unpack {NAME} first")
    content: dict[str, str] = json.loads(about.read_text(encoding="utf-8"))
    for field, wanted in (("name", NAME), ("license", LICENCE)):
        if content.get(field) != wanted:
            raise Refusal(
                str(about), f"its {field} is {wanted}", content.get(field), "look at the package and its terms"
            )
    return content
