from __future__ import annotations

import gzip
import hashlib
import json
from importlib.resources import files
from pathlib import Path

import pytest

from medseg.report.viewer.asset import LICENCE, NAME, ORIGIN, SCRIPT, packed_script, read_origin, update_script
from medseg.report.viewer.update import main
from medseg.values.error import Refusal

CONTENT = b"globalThis.niivue = {};\n"


def unpacked_package(folder: Path, name: str = NAME, licence: str = LICENCE, content: bytes | None = CONTENT) -> Path:
    (folder / "dist").mkdir(parents=True)
    about = {"name": name, "version": "9.9.9", "license": licence, "homepage": "somewhere"}
    (folder / "package.json").write_text(json.dumps(about), encoding="utf-8")
    if content is not None:
        (folder / "dist" / "niivue.umd.js").write_bytes(content)
    return folder


def test_the_script_is_the_one_whose_origin_is_recorded() -> None:
    origin, script = read_origin(), gzip.decompress(packed_script())
    assert (origin.name, origin.licence) == (NAME, LICENCE)
    assert hashlib.sha256(script).hexdigest() == origin.sha256
    assert len(script) == origin.size
    assert packed_script()[4:8] == bytes(4), "the time of packing is not in the file"


def test_the_terms_of_the_script_travel_with_it() -> None:
    text = (files("medseg.report.viewer") / "LICENSE.txt").read_text(encoding="utf-8")
    assert "Copyright (c) 2021, Niivue" in text
    assert "Redistributions in binary form must reproduce the above copyright" in text
    assert read_origin().version in text


def test_a_new_version_is_taken_in_and_the_same_one_gives_the_same_bytes(tmp_path: Path) -> None:
    package = unpacked_package(tmp_path / "package")
    origin = update_script(package, tmp_path / "into")
    first = {name: (tmp_path / "into" / name).read_bytes() for name in (SCRIPT, ORIGIN)}
    assert origin.version == "9.9.9"
    assert gzip.decompress(first[SCRIPT]) == CONTENT
    update_script(package, tmp_path / "into")
    assert {name: (tmp_path / "into" / name).read_bytes() for name in first} == first


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "niivue-too"}, "its name is @niivue/niivue, got niivue-too"),
        ({"licence": "UNLICENSED"}, "its license is BSD-2-Clause, got UNLICENSED"),
        ({"content": None}, "the package holds dist/niivue.umd.js, got none"),
        (
            {"content": b"x = '</script>'"},
            "allows no more than it needs, got </script",
        ),
        ({"content": b"new Function('x')"}, "allows no more than it needs, got new Function("),
    ],
)
def test_another_package_or_a_script_that_needs_more_is_refused(
    tmp_path: Path, changed: dict[str, str], message: str
) -> None:
    package = unpacked_package(tmp_path / "package", **changed)  # type: ignore[arg-type]
    with pytest.raises(Refusal) as refused:
        update_script(package, tmp_path / "into")
    assert message in str(refused.value)
    assert not (tmp_path / "into").exists()


def test_updating_without_a_folder_says_what_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "give one folder" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert "an unpacked npm package has a package.json, got none" in capsys.readouterr().err
