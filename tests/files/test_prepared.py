"""The prepared folder: same values back, read-only, incomplete folders refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medseg.files.prepared import PreparedCase, read_prepared, write_prepared
from medseg.values.error import Refusal

FILES = ("classes.npy", "image.npy", "prepared.json", "seeds.npy")


def prepared_case() -> PreparedCase:
    generator = np.random.default_rng(0)
    classes = generator.choice([0, 1, 3], (6, 5, 4)).astype(np.uint8)
    return PreparedCase(
        case="p01",
        image=generator.normal(size=(2, 6, 5, 4)).astype(np.float32),
        classes=classes,
        seeds={index: np.argwhere(classes == index).astype(np.int32) for index in (3, 1)},
        spacing_mm=(1.0, 1.5, 0.1 + 0.2),
        placement={"crop_start": [0, 1, 2], "stored": {"shape": [6, 6, 6]}},
    )


def test_round_trip(tmp_path: Path) -> None:
    case = prepared_case()
    write_prepared(tmp_path / "p01", case)
    back = read_prepared(tmp_path / "p01")
    assert (back.case, back.spacing_mm, back.placement) == (case.case, case.spacing_mm, case.placement)
    assert np.array_equal(back.image, case.image)
    assert np.array_equal(back.classes, case.classes)
    assert sorted(back.seeds) == [1, 3]
    for index, places in back.seeds.items():
        assert places.dtype == np.int32
        assert np.array_equal(places, case.seeds[index])


@pytest.mark.parametrize(("annotated", "missing"), [(None, ()), ((), (1,)), ((1, 3), (0, 1))])
def test_what_was_annotated_and_what_is_missing_comes_back(
    tmp_path: Path, annotated: tuple[int, ...] | None, missing: tuple[int, ...]
) -> None:
    write_prepared(tmp_path, replace(prepared_case(), annotated=annotated, missing=missing))
    back = read_prepared(tmp_path)
    assert (back.annotated, back.missing) == (annotated, missing)


def test_lesions_and_sizes_come_back(tmp_path: Path) -> None:
    case = prepared_case()
    lesions = {index: np.arange(1, len(places) + 1, dtype=np.int32) for index, places in case.seeds.items()}
    write_prepared(tmp_path, replace(case, lesions=lesions, voxels={3: 70_000, 1: 5}))
    back = read_prepared(tmp_path)
    assert back.voxels == {1: 5, 3: 70_000}
    assert sorted(back.lesions) == sorted(back.seeds) == [1, 3]
    for index, found in back.lesions.items():
        assert found.dtype == np.int32
        assert np.array_equal(found, lesions[index])
        assert np.array_equal(back.seeds[index], case.seeds[index])
    write_prepared(tmp_path / "none", case)
    plain = read_prepared(tmp_path / "none")
    assert (plain.lesions, plain.voxels) == ({}, {})


def test_arrays_are_read_only_maps(tmp_path: Path) -> None:
    write_prepared(tmp_path, prepared_case())
    back = read_prepared(tmp_path)
    assert isinstance(back.image, np.memmap)
    assert isinstance(back.classes, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        back.image[0, 0, 0, 0] = 1


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    case = prepared_case()
    turned = np.asfortranarray(case.image)
    write_prepared(tmp_path / "a", case)
    write_prepared(tmp_path / "b", replace(case, image=turned, seeds=dict(sorted(case.seeds.items()))))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(FILES)
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_case_without_foreground_has_no_seeds(tmp_path: Path) -> None:
    case = prepared_case()
    write_prepared(tmp_path, replace(case, classes=np.zeros_like(case.classes), seeds={}))
    assert read_prepared(tmp_path).seeds == {}


@pytest.mark.parametrize("name", FILES)
def test_an_incomplete_folder_is_refused(tmp_path: Path, name: str) -> None:
    write_prepared(tmp_path, prepared_case())
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(Refusal, match=r"a prepared folder is complete, got .*; run prepare again"):
        read_prepared(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(Refusal, match="a prepared folder is complete"):
        read_prepared(tmp_path)


def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    case = prepared_case()
    with pytest.raises(Refusal, match=r"a prepared image is float32 \(C, X, Y, Z\), got float64"):
        write_prepared(tmp_path, replace(case, image=case.image.astype(np.float64)))
    with pytest.raises(Refusal, match=r"classes are uint8 \(6, 5, 4\), got uint8 \(5, 5, 4\)"):
        write_prepared(tmp_path, replace(case, classes=case.classes[1:]))
    write_prepared(tmp_path, case)
    np.save(tmp_path / "image.npy", case.image[:1])
    with pytest.raises(Refusal, match=r"arrays fit prepared.json \(6, 5, 4\), got \(1, 6, 5, 4\)"):
        read_prepared(tmp_path)


def test_seeds_are_views_of_their_file_and_take_no_memory(tmp_path: Path) -> None:
    """A set of many cases must not need more memory than a small one."""
    write_prepared(tmp_path, prepared_case())
    for places in read_prepared(tmp_path).seeds.values():
        assert isinstance(places, np.memmap)
        assert places.base is not None


def test_a_table_of_seeds_out_of_order_is_refused(tmp_path: Path) -> None:
    write_prepared(tmp_path, prepared_case())
    np.save(tmp_path / "seeds.npy", np.load(tmp_path / "seeds.npy")[::-1])
    with pytest.raises(Refusal, match=r"arrays fit prepared\.json"):
        read_prepared(tmp_path)
