"""Very many ways to spoil a sound file: the same number always gives the same file."""

from __future__ import annotations

import gzip
import random
import re
import struct
import zlib
from collections.abc import Callable, Mapping

import nibabel

from tests.intake.sound_files import FAMILIES, Family, samples

Content = dict[str, bytes]
INTEGERS = (
    0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 64, 127, 128, 255, 256, 348, 352, 540, 544, 1024, 32767, 32768, 65535,
    2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, -1, -2, -3, -128, -32768, -(2**31), -(2**63),
)  # fmt: skip
REALS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e-30, 1e-7, 1e7, 3.4e38, -3.4e38, *map(float, ("nan", "inf", "-inf")))
TOKENS = (
    "0", "1", "-1", "nan", "inf", "1e308", "9999999999999999999999", "2", "4", "", "None", "???", "3 3 3", "(1,0,0)",
    "none", "LOCAL", "LIST", "../../etc/passwd", "/dev/zero", "/etc/passwd", "%d", "\x00", "raw", "gzip", "short",
    "True", "False",
)  # fmt: skip


def mutated(family: Family, number: int) -> tuple[Content, str]:
    """Return spoilt file number `number` of a family: its files, and the name by which it is opened."""
    chance = random.Random(f"{family} {number}")  # noqa: S311
    sample = chance.choice(samples(family))
    files = dict(sample.files)
    for _ in range(chance.choice((1, 1, 1, 1, 2, 4))):
        name = chance.choice(sorted(files))
        files[name] = _spoilt(files[name], family, chance)
    if len(files) > 1 and chance.random() < 0.03:
        del files[chance.choice(sorted(files))]
    return files, sample.opened


def _spoilt(data: bytes, family: Family, chance: random.Random) -> bytes:
    if data[:2] == b"\x1f\x8b":
        if chance.random() < 0.6:
            return _repacked(data, family, chance)
        return chance.choice(_STREAM)(data, chance)
    return chance.choice((*_ANY, *_OF_FAMILY[family] * 3))(data, chance)


def _repacked(data: bytes, family: Family, chance: random.Random) -> bytes:
    try:
        plain = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return chance.choice(_ANY)(data, chance)
    return gzip.compress(_spoilt(plain, family, chance) if plain[:2] != b"\x1f\x8b" else plain, mtime=0)


def _place(data: bytes, chance: random.Random) -> int:
    """Return a place in the data, most often near its beginning, where headers are."""
    return chance.randrange(min(len(data), chance.choice((400, 400, len(data))))) if data else 0


def _over(data: bytes, place: int, piece: bytes) -> bytes:
    return data[:place] + piece + data[place + len(piece) :]


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 40)) if data else 0):
        changed[_place(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _set(data: bytes, chance: random.Random) -> bytes:
    return _over(data, _place(data, chance), bytes([chance.choice((0, 1, 0x20, 0x7F, 0x80, 0xFE, 0xFF))]))


def _number(chance: random.Random) -> bytes:
    order = chance.choice("<>")
    code = chance.choice("bhiqfd")
    if code in "fd":
        return struct.pack(order + code, chance.choice(REALS))
    return struct.pack(order + code.upper(), chance.choice(INTEGERS) & ((1 << 8 * struct.calcsize(code)) - 1))


def _put(data: bytes, chance: random.Random) -> bytes:
    place = _place(data, chance)
    return _over(data, place - place % chance.choice((1, 2, 4)), _number(chance))


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[
        : chance.choice((_place(data, chance), int(len(data) * chance.random()), len(data) - chance.randrange(1, 12)))
    ]


def _drop(data: bytes, chance: random.Random) -> bytes:
    place = _place(data, chance)
    return data[:place] + data[place + chance.choice((1, 2, 4, 16, 200)) :]


def _double(data: bytes, chance: random.Random) -> bytes:
    place = _place(data, chance)
    block = data[place : place + chance.choice((1, 8, 64, 512, len(data)))]
    return data[:place] + block * chance.choice((2, 2, 3, 20)) + data[place + len(block) :]


def _insert(data: bytes, chance: random.Random) -> bytes:
    place = _place(data, chance)
    return data[:place] + chance.randbytes(chance.choice((1, 4, 100))) + data[place:]


def _splice(data: bytes, chance: random.Random) -> bytes:
    other = chance.choice([*chance.choice(samples(chance.choice(FAMILIES))).files.values()])
    return data[: _place(data, chance)] + other[_place(other, chance) :]


def _tail(data: bytes, chance: random.Random) -> bytes:
    return data + chance.choice(
        (b"\0", b"garbage", bytes(1000), data, data[:20], gzip.compress(b""), gzip.compress(bytes(5000)))
    )


def _trailer(data: bytes, chance: random.Random) -> bytes:
    return data[: -chance.choice((4, 8))] + struct.pack("<I", chance.choice(INTEGERS) & 0xFFFFFFFF) * chance.choice(
        (1, 2)
    )


def _gzip_head(data: bytes, chance: random.Random) -> bytes:
    return _over(data, chance.choice((2, 3, 3, 3, 4, 8, 9, 10, 11)), bytes([chance.randrange(256)]))


def _members(data: bytes, chance: random.Random) -> bytes:
    plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    middle = _place(plain, chance)
    return gzip.compress(plain[:middle]) + gzip.compress(plain[middle:] + bytes(chance.choice((0, 0, 1))))


def _members_if_whole(data: bytes, chance: random.Random) -> bytes:
    try:
        return _members(data, chance)
    except (OSError, EOFError, zlib.error):
        return data[:-1]


def _nifti_field(data: bytes, chance: random.Random) -> bytes:
    """Put a value that matters into a field of the header."""
    two = 540 in (int.from_bytes(data[:4], "little"), int.from_bytes(data[:4], "big"))
    layout = (nibabel.Nifti2Header if two else nibabel.Nifti1Header).template_dtype
    big = int.from_bytes(data[:4], "big") in (348, 540)
    name = chance.choice(_FIELDS)
    inner, offset = layout.fields[name][:2]
    base = inner.base
    place = offset + base.itemsize * chance.randrange(max(1, inner.itemsize // base.itemsize))
    if base.kind in "iu":
        value = chance.choice(INTEGERS) & ((1 << 8 * base.itemsize) - 1)
        return _over(data, place, value.to_bytes(base.itemsize, "big" if big else "little"))
    if base.kind == "f":
        return _over(data, place, struct.pack((">" if big else "<") + base.char, chance.choice(REALS)))
    return _over(data, place, chance.choice((b"n+1\0", b"ni1\0", b"n+2\0", b"ni2\0", b"\0\0\0\0")))


def _text_line(data: bytes, chance: random.Random) -> bytes:
    """Change, double, drop or swap lines of a header of text."""
    lines = data[:1200].split(b"\n")
    number = chance.randrange(len(lines))
    what = chance.randrange(5)
    if what < 3:
        sign = b"=" if b"=" in lines[number] else b":"
        words = lines[number].partition(sign)[2].split()
        token = chance.choice(TOKENS).encode()
        if words and what:
            words[chance.randrange(len(words))] = token
        lines[number] = lines[number].partition(sign)[0] + sign + b" " + (b" ".join(words) if words and what else token)
    elif what == 3:
        lines.insert(chance.randrange(len(lines)), lines[number])
    else:
        del lines[number]
    return b"\n".join(lines) + data[1200:]


def _text_number(data: bytes, chance: random.Random) -> bytes:
    """Put a number near the right one into a header of text."""
    found = [match for match in re.finditer(rb"-?\d+(\.\d*)?(e-?\d+)?", data[:1200]) if match.start() > 8]
    if not found:
        return data
    match = chance.choice(found)
    number = float(match.group())
    near = (number + 1, number - 1, -number, 2 * number, number / 2, number * 1.0001, number + 1e-7)
    shown = f"{chance.choice(near):.10g}".encode()
    return data[: match.start()] + shown + data[match.end() :]


def _inside(data: bytes, chance: random.Random) -> bytes:
    """Change a byte in the second half, where voxels are."""
    place = chance.randrange(len(data) // 2, len(data)) if len(data) > 1 else 0
    return _over(data, place, chance.randbytes(1)) if data else data


def _dicom_element(data: bytes, chance: random.Random) -> bytes:
    """Change length or value of an element that says how voxels lie."""
    group, element = chance.choice(_ELEMENTS)
    place = data.find(struct.pack("<HH", group, element))
    if place < 0:
        return _put(data, chance)
    piece = chance.choice(
        (_number(chance), chance.choice(TOKENS).encode(), b"\\".join([b"1"] * 3), chance.randbytes(2))
    )
    return _over(data, place + chance.choice((4, 6, 8, 8, 8, 8)), piece)


_FIELDS = (
    "sizeof_hdr", "dim", "dim", "dim", "datatype", "datatype", "bitpix", "pixdim", "pixdim", "vox_offset",
    "vox_offset", "scl_slope", "scl_inter", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c",
    "qoffset_x", "srow_x", "srow_y", "srow_z", "magic", "intent_code", "dim_info",
)  # fmt: skip
_ELEMENTS = (
    (2, 0x10), (2, 0), (8, 0x16), (0x20, 0x32), (0x20, 0x37), (0x20, 0xE), (0x28, 2), (0x28, 4), (0x28, 8), (0x28,
    0x10), (0x28, 0x11), (0x28, 0x30), (0x28, 0x100), (0x28, 0x101), (0x28, 0x102), (0x28, 0x103), (0x28, 0x1052),
    (0x28, 0x1053), (0x7FE0, 0x10),
)  # fmt: skip
_ANY = (_flip, _set, _put, _cut, _drop, _double, _insert, _splice, _tail)
_STREAM = (*_ANY, _trailer, _gzip_head, _members_if_whole)
_OF_FAMILY: Mapping[Family, tuple[Callable[[bytes, random.Random], bytes], ...]] = {
    "nifti": (_nifti_field, _nifti_field, _inside),
    "nrrd": (_text_line, _text_number, _inside),
    "meta": (_text_line, _text_number, _inside),
    "dicom": (_dicom_element, _dicom_element, _text_number, _inside),
}
