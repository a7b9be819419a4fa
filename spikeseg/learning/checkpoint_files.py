"""The two forms of a checkpoint's file: torch's zip, which training writes, and safetensors, which holds the network alone.

Both are read in two steps, so that no file makes more work than a sound one of its size: first what it describes, its tensors
with types and shapes but without numbers; and, when that has been checked, the rest, with its checksums.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol

import torch
from torch import Tensor

from spikeseg.core.kinds import DAMAGED_ZIP, TORCH, kind_of
from spikeseg.errors import InputError

FORMAT = "spikeseg-checkpoint"
EXPECTED = "expected a run's folder, a checkpoint of training (checkpoints/*.pt in it), or a network saved as .safetensors"
INDEX_BYTES = 16 * 2**20
"""Of the part of a checkpoint that describes all others, at most; that of a demo has 10 kB."""
FOOTPRINT = "footprint"
TEXTS = ("version", "config", "drives")
"""Of the content, what a safetensors file holds as JSON, under FORMAT; the rest are tensors."""


class Form(Protocol):
    """How a checkpoint is kept in a file."""

    def described(self, path: str | Path) -> Any:
        """The content; tensors lie on the device 'meta', without numbers. Raises InputError for what is no such file."""

    def content(self, path: str | Path, described: Mapping[str, Any]) -> dict[str, Any]:
        """The content, its checksums compared, tensors on the CPU. Raises InputError where it is damaged."""


def form_of(path: str | Path) -> Form:
    """The form that a file has, by its first bytes; the zip's, which then says what is wrong, where it has neither."""
    try:
        with open(path, "rb") as file:
            head = file.read(9)
    except OSError:
        return ZipFile()
    return SafetensorsFile() if head[8:] == b"{" and not head.startswith(b"PK") else ZipFile()


def require_torch(path: str | Path) -> None:
    """Raise InputError for a file of another kind than training writes; what is in it is not looked at."""
    if kind_of(path) not in (TORCH, DAMAGED_ZIP):
        other_kind(path, "not a readable checkpoint")


def other_kind(path: str | Path, what: str) -> NoReturn:
    """Raise InputError for a file that is no checkpoint: what it is, and what was expected.

    Args:
        path: of the file.
        what: it is not.
    """
    raise InputError(f"{path}: {what}: it is {kind_of(path)}; {EXPECTED}") from None


def unreadable(path: str | Path, reason: object) -> NoReturn:
    """Raise InputError: whatever it is, the file is at fault."""
    text = " ".join(str(reason).split()) or type(reason).__name__
    raise InputError(f"{path}: not a readable checkpoint ({text[:300]})") from None


class SafetensorsFile:
    """The tensors of a network, and one text of JSON with TEXTS and the SHA-256 of all; see `write_safetensors`."""

    def described(self, path: str | Path) -> Any:
        """See `Form`."""
        from safetensors import safe_open

        with open(path, "rb") as file:
            if int.from_bytes(file.read(8), "little") > INDEX_BYTES:
                unreadable(path, f"its index is larger than {INDEX_BYTES} bytes")
        try:
            with safe_open(path, "pt", device="cpu") as opened:
                text = (opened.metadata() or {}).get(FORMAT)
                slices = {name: opened.get_slice(name) for name in opened.keys()}
                tensors = {
                    name: torch.empty(own.get_shape(), dtype=_torch_type(own.get_dtype()), device="meta")
                    for name, own in slices.items()
                }
            texts = None if text is None else json.loads(text)
        except MemoryError:
            raise
        except Exception as error:  # whatever it is, the file is at fault
            unreadable(path, error)
        if not isinstance(texts, dict):
            return None
        return {"format": FORMAT, **{name: texts.get(name) for name in TEXTS if name in texts}, **_sorted_out(tensors)}

    def content(self, path: str | Path, described: Mapping[str, Any]) -> dict[str, Any]:
        """See `Form`."""
        from safetensors import safe_open

        try:
            with safe_open(path, "pt", device="cpu") as opened:
                tensors = {name: opened.get_tensor(name) for name in opened.keys()}
                texts = json.loads(opened.metadata()[FORMAT])
        except MemoryError:
            raise
        except Exception as error:  # whatever it is, the file is at fault
            unreadable(path, error)
        if texts.pop("sha256", None) != _digest(texts, tensors):
            unreadable(path, "its checksum is not that of its content")
        return {**described, **_sorted_out(tensors)}


def write_safetensors(file: BinaryIO, content: Mapping[str, Any]) -> None:
    """Write the network of a checkpoint's content; what training and `sweep` keep beside it is left out.

    Args:
        file: open, binary.
        content: as `checkpoint.save` makes it.
    """
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in content["model"].items()}
    if FOOTPRINT in content:
        tensors[FOOTPRINT] = content[FOOTPRINT].contiguous()
    texts = {name: content[name] for name in TEXTS if name in content}
    texts["sha256"] = _digest(texts, tensors)
    file.write(save(tensors, {FORMAT: _json(texts)}))  # one entry alone: safetensors writes several in no fixed order


def _sorted_out(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The tensors of a file as parts of a checkpoint's content."""
    model = {name: tensor for name, tensor in tensors.items() if name != FOOTPRINT}
    return {"model": model, **({FOOTPRINT: tensors[FOOTPRINT]} if FOOTPRINT in tensors else {})}


def _torch_type(name: str) -> torch.dtype:
    """That of safetensors' name; uint8 stands for those that no checkpoint has."""
    return {"F32": torch.float32, "F64": torch.float64}.get(name, torch.uint8)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(texts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of everything."""
    digest = hashlib.sha256(_json(texts).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


class ZipFile:
    """What `torch.save` writes, read under ``weights_only=True``, so that nothing in it can run code."""

    def described(self, path: str | Path) -> Any:
        """See `Form`."""
        self._check_directory(path)
        return self._loaded(path, "meta")

    def content(self, path: str | Path, described: Mapping[str, Any]) -> dict[str, Any]:
        """See `Form`."""
        self._check_storages(path, described)
        self._check_sums(path)
        content: dict[str, Any] = self._loaded(path, "cpu")
        return content

    def _check_directory(self, path: str | Path) -> None:
        """Refuse what torch has not written: compressed data, which may be a thousand times larger than the file."""
        if Path(path).exists():
            require_torch(path)
        try:
            size = Path(path).stat().st_size
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
        except FileNotFoundError:
            raise InputError(f"{path}: no such checkpoint; `spikeseg train` makes one") from None
        except MemoryError:
            raise
        except Exception as error:  # whatever it is, the file is at fault
            unreadable(path, error)
        if any(entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size for entry in entries):
            unreadable(path, "it is compressed, which checkpoints are not")
        if sum(entry.file_size for entry in entries) > size:
            unreadable(path, "its parts are larger than the file")
        if any(entry.filename.endswith("data.pkl") and entry.file_size > INDEX_BYTES for entry in entries):
            unreadable(path, f"its index is larger than {INDEX_BYTES} bytes")
        if len({entry.filename for entry in entries}) < len(entries):
            unreadable(path, "two parts have the same name")

    def _loaded(self, path: str | Path, device: str) -> Any:
        """The content, its tensors on this device; on 'meta' they have shapes and no values."""
        try:
            return torch.load(path, map_location=device, weights_only=True)
        except MemoryError:
            raise
        except Exception as error:  # whatever it is, the file is at fault
            unreadable(path, str(error).splitlines()[0] if str(error) else type(error).__name__)

    def _check_storages(self, path: str | Path, described: Mapping[str, Any]) -> None:
        """Refuse parts of the zip that no tensor needs."""
        needed, seen, left = {}, set(), [described]
        while left:
            value: Any = left.pop()
            if isinstance(value, Tensor):
                if value.layout != torch.strided:
                    unreadable(path, f"it holds a tensor of layout {value.layout}")
                storage = value.untyped_storage()
                needed[storage._cdata] = storage.nbytes()
            elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
                seen.add(id(value))
                left += value.values() if isinstance(value, dict) else value
        with zipfile.ZipFile(path) as archive:
            stored = sum(entry.file_size for entry in archive.infolist() if "/data/" in entry.filename)
        if stored != sum(needed.values()):
            unreadable(path, f"it stores {stored} bytes of numbers, and its tensors need {sum(needed.values())}")

    def _check_sums(self, path: str | Path) -> None:
        """torch does not compare the checksums that it writes."""
        try:
            with zipfile.ZipFile(path) as archive:
                fault = archive.testzip()
        except Exception as error:  # whatever it is, the file is at fault
            unreadable(path, error)
        if fault is not None:
            unreadable(path, f"{fault} is damaged")
