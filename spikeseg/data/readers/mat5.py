"""MATLAB v5 files, as far as recordings need them: numbers, and structs of numbers.

Source: MathWorks, MAT-File Format (Level 5). Our own reader, because scipy's loadmat (1.17) reads past its
buffers on damaged files and takes the process down. Here every length is checked before it is used; on sound
files the result equals loadmat's. (Files of v7.3 are HDF5, which loadmat refuses and h5py reads: `ebssa_mat`.)
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from spikeseg.errors import InputError

HEADER_BYTES = 128
TAG_BYTES = 8
MATRIX, COMPRESSED = 14, 15
STORAGE = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Type of a data element -> how its numbers are stored."""
STRUCT = 2
NUMERIC = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""Class of an array -> its dtype, which may be wider than its storage."""
OTHER = {1: "cell", 3: "object", 4: "char", 5: "sparse", 16: "function", 17: "opaque"}
COMPLEX_FLAG = 0x0800

Value = np.ndarray | dict[str, np.ndarray | str] | str
"""An array; a 1 x 1 struct of arrays; or, for everything else, the word for what it is."""


def load_mat5(path: str | Path) -> dict[str, Value]:
    """The variables of a MATLAB v5 file by name; arrays keep MATLAB's shape and class.

    Raises InputError if the file is truncated or damaged.
    """
    data = Path(path).read_bytes()
    try:
        order = {b"IM": "<", b"MI": ">"}.get(data[126:HEADER_BYTES])
        if order is None:
            raise ValueError("its header has no byte order")
        variables, at = {}, HEADER_BYTES
        while at < len(data):
            kind, body, at = _element(data, at, order, padded=False)
            if kind == COMPRESSED:
                kind, body = _unpacked(body, order)
            if kind != MATRIX:
                raise ValueError(f"element of type {kind} where a variable belongs")
            name, value = _matrix(body, order, nested=False)
            variables[name] = value
    except (ValueError, struct.error, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: truncated or damaged MATLAB file ({error}); get the file again") from error
    return variables


def _element(data: bytes, at: int, order: str, padded: bool = True) -> tuple[int, bytes, int]:
    """(type, payload, where the next one begins) of the data element at a position."""
    kind, size = struct.unpack_from(order + "II", data, at)
    start = at + TAG_BYTES
    if kind >> 16:
        kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
        if size > 4:
            raise ValueError(f"small element of {size} bytes")
        return kind, data[start : start + size], at + TAG_BYTES
    if start + size > len(data):
        raise ValueError(f"{start + size - len(data)} bytes are missing at its end")
    return kind, data[start : start + size], start + size + (-size % 8 if padded else 0)


def _unpacked(body: bytes, order: str) -> tuple[int, bytes]:
    """The element inside a compressed one; never more bytes than its own tag announces."""
    stream = zlib.decompressobj()
    tag = stream.decompress(body, TAG_BYTES)
    kind, size = struct.unpack(order + "II", tag)
    payload = stream.decompress(stream.unconsumed_tail, size + 1)
    if len(payload) != size or not stream.eof:
        raise ValueError(f"compressed variable of {len(payload)} bytes where {size} were announced")
    return kind, payload


def _matrix(body: bytes, order: str, nested: bool) -> tuple[str, Value]:
    """(name, value) of an array; inside a struct (``nested``) only numbers are taken."""
    if not body:
        return "", np.empty((0, 0))
    _, flags, at = _element(body, 0, order)
    _, sides, at = _element(body, at, order)
    _, name, at = _element(body, at, order)
    word = struct.unpack_from(order + "I", flags)[0]
    shape = tuple(int(side) for side in np.frombuffer(sides, order + "i4"))
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"array of shape {shape}")
    kind = word & 0xFF
    if kind in NUMERIC and not word & COMPLEX_FLAG:
        value: Value = _numbers(body, at, order, shape, NUMERIC[kind])
    elif kind == STRUCT and not nested and shape == (1, 1):
        value = _struct(body, at, order)
    elif kind == STRUCT or kind in NUMERIC:
        value = f"{'struct' if kind == STRUCT else 'complex'} array {' x '.join(map(str, shape))}"
    elif kind in OTHER:
        value = OTHER[kind]
    else:
        raise ValueError(f"array of unknown class {kind}")
    return name.decode("ascii"), value


def _numbers(body: bytes, at: int, order: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    kind, data, _ = _element(body, at, order)
    if kind not in STORAGE:
        raise ValueError(f"numbers stored as type {kind}")
    flat = np.frombuffer(data, order + STORAGE[kind])
    count = 1
    for side in shape:
        count *= side
    if len(flat) != count:
        raise ValueError(f"{len(flat)} numbers in an array of shape {shape}")
    return flat.astype(dtype).reshape(shape, order="F")


def _struct(body: bytes, at: int, order: str) -> dict[str, np.ndarray | str]:
    _, width, at = _element(body, at, order)
    _, names, at = _element(body, at, order)
    length = struct.unpack_from(order + "i", width)[0]
    if length <= 0 or len(names) % length:
        raise ValueError(f"struct with field names of {length} bytes")
    fields: dict[str, np.ndarray | str] = {}
    for start in range(0, len(names), length):
        kind, part, at = _element(body, at, order)
        if kind != MATRIX:
            raise ValueError(f"struct field of type {kind}")
        value = _matrix(part, order, nested=True)[1]
        name = names[start : start + length].split(b"\0", 1)[0].decode("ascii")
        fields[name] = value if not isinstance(value, dict) else "struct"
    return fields
