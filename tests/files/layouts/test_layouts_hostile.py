"""Whatever a description or a table says, the answer is cases or a refusal, never another exception."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medseg.files.layouts.find import DataSettings, find_cases, label_scheme
from medseg.files.listing import listing_of
from medseg.values.error import Refusal
from tests.files.layouts.layout_trees import touch

KEYS = ("training", "labels", "modality", "channel_names", "file_ending", "dataset", "image", "images", "label")
WORDS = ("0", "1", "ignore", "core", ".nii", "imagesTr/a_0000.nii", "/dev/null", "..", "", "\0", "a" * 300, "\ud800")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 300) | st.floats(allow_nan=True) | st.sampled_from(WORDS) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS + WORDS[:4]), inner, max_size=4),
    max_leaves=12,
)
PATHS = st.sampled_from([*WORDS, "imagesTr/b_0000.nii", "labelsTr/a.nii", "./imagesTr/a_0000.nii", "/"])
NAMES = st.sampled_from(WORDS) | st.text(max_size=3)
NEAR = st.fixed_dictionaries(
    {},
    optional={
        "training": st.lists(st.fixed_dictionaries({"image": PATHS, "label": PATHS}), min_size=1, max_size=2),
        "dataset": st.dictionaries(
            NAMES, st.fixed_dictionaries({"images": st.lists(PATHS, max_size=2), "label": PATHS}), max_size=2
        ),
        "labels": st.dictionaries(NAMES, st.integers(0, 4) | st.lists(st.integers(0, 4), max_size=2), max_size=4),
        "modality": st.fixed_dictionaries({"0": NAMES}, optional={"1": NAMES}),
        "channel_names": st.fixed_dictionaries({"0": NAMES}),
        "file_ending": st.sampled_from([".nii", ".nii.gz", "nii", ""]),
    },
)
CELLS = st.sampled_from(
    ["case", "label", "MR", "split", "annotated", "a", "a.nii", ",", ",", ";", "\t", '"', "\n", "\r"]
)
FREE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)


def look(root: Path, layout: Any) -> None:
    """Find the cases and read what their masks mean, in words that can be written down."""
    chosen = DataSettings(layout=layout)
    with suppress(Refusal):
        found = find_cases(root, chosen)
        assert found.cases
        listing = listing_of(found, {})
        assert type(listing).model_validate_json(listing.model_dump_json()) == listing
        assert label_scheme(chosen, found).values[0] == 0


@pytest.mark.parametrize("layout", ["auto", "msd", "nnunet"])
@FREE
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5) | VALUES | NEAR)
def test_any_description(tmp_path: Path, layout: str, description: Any) -> None:
    touch(tmp_path, "imagesTr/a_0000.nii", "imagesTr/b_0000.nii", "labelsTr/a.nii")
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    look(tmp_path, layout)


@pytest.mark.parametrize("name", ["cases.csv", "participants.tsv"])
@FREE
@given(st.lists(CELLS, max_size=30).map("".join).map(str.encode) | st.binary(max_size=60))
def test_any_table(tmp_path: Path, name: str, content: bytes) -> None:
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii", "a.nii")
    for start in (b"", b"case,MR,label\n"):
        (tmp_path / name).write_bytes(start + content)
        look(tmp_path / name if name == "cases.csv" else tmp_path, "auto")
