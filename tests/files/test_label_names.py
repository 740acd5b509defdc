"""Names of labels travel in the header of an NRRD mask, where 3D Slicer looks for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from medseg.files.scans import read_mask
from medseg.files.writing import write_volume
from medseg.values.palette import colour_of
from medseg.values.volume import Volume

LABELS = {"oedema": 2, "core: enhancing": 1, "Tumör\nrest\\x := y": 4}


def mask() -> Volume:
    voxels = np.random.default_rng(0).integers(0, 5, (1, 7, 6, 5)).astype(np.uint8)
    return Volume(voxels, np.diag([1.0, 2.0, 3.0, 1.0]))


def test_slicers_fields_are_there_in_the_order_of_the_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.seg.nrrd"
    write_volume(path, mask(), LABELS)
    image = SimpleITK.ReadImage(str(path))
    fields = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith("Segment")}
    assert [fields[f"Segment{place}_Name"] for place in range(3)] == [
        "core: enhancing",
        "oedema",
        "Tumör\nrest\\x := y",
    ]
    assert [fields[f"Segment{place}_LabelValue"] for place in range(3)] == ["1", "2", "4"]
    assert len({fields[f"Segment{place}_ID"] for place in range(3)}) == 3
    for place, value in enumerate((1, 2, 4)):
        assert fields[f"Segment{place}_Layer"] == "0"
        assert fields[f"Segment{place}_Extent"] == "0 6 0 5 0 4", "the first extent cuts all segments of a layer"
        colour = np.array(fields[f"Segment{place}_Color"].split(), float) * 255
        assert np.allclose(colour, colour_of(value), atol=0.01)
    assert "Segment3_ID" not in fields
    assert fields["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"
    assert fields["Segmentation_SourceRepresentation"] == fields["Segmentation_MasterRepresentation"]


def test_the_mask_itself_comes_back_to_every_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    write_volume(path, mask(), LABELS)
    found = read_mask(path)
    assert np.array_equal(found.voxels, mask().voxels)
    assert np.array_equal(found.affine, mask().affine)
    stored = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    assert np.array_equal(stored.transpose(2, 1, 0), mask().voxels[0])


def test_the_order_of_the_names_does_not_change_the_bytes(tmp_path: Path) -> None:
    write_volume(tmp_path / "a.nrrd", mask(), LABELS)
    write_volume(tmp_path / "b.nrrd", mask(), dict(reversed(LABELS.items())))
    assert (tmp_path / "a.nrrd").read_bytes() == (tmp_path / "b.nrrd").read_bytes()


@pytest.mark.parametrize("ending", ["nii.gz", "mha", "nrrd"])
def test_nothing_is_added_where_there_is_no_room_or_no_name(tmp_path: Path, ending: str) -> None:
    volume = Volume(mask().voxels.astype(np.float32), mask().affine)
    for name, one, labels in (("a", volume, LABELS), ("b", volume, None), ("c", mask(), {}), ("d", mask(), None)):
        write_volume(tmp_path / f"{name}.{ending}", one, labels)
    contents = {name: (tmp_path / f"{name}.{ending}").read_bytes() for name in "abcd"}
    assert contents["a"] == contents["b"]
    assert contents["c"] == contents["d"]
    assert b"Segment" not in b"".join(contents.values())
