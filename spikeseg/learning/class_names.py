"""What users call the classes of a network, the maps of conv3: a file in the run's folder.

::

    version: 1
    networks:
      3f0c2a7be4d19a55:    # of the network's weights, see `network_id`
        0: satellite
        3: cloud

Names belong to weights, not to a folder: where a run is trained anew, those of the old weights stay in the file and are not taken
for those of the new ones.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from spikeseg.config.files import parse_yaml
from spikeseg.core.files import atomic_write
from spikeseg.errors import InputError

from .run_files import CLASS_NAMES

if TYPE_CHECKING:
    from spikeseg.models import SpikeSEG

log = logging.getLogger(__name__)

VERSION = 1
LONGEST = 40
"""Characters that a name may have."""
ID_DIGITS = 16
"""Hexadecimal digits of `network_id`."""

Names = dict[int, str]
"""Class, from 0 -> name."""


def network_id(model: SpikeSEG) -> str:
    """ID_DIGITS of SHA-256 over all weights and thresholds: the same in every checkpoint that holds this network, with or without
    its motion layer or a calibration."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.encoder.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:ID_DIGITS]


def names_in(folder: Path, model: SpikeSEG) -> Names:
    """The names of a network's classes, by the file in a folder, in order of the classes; none where it has none.

    Raises:
        InputError: the file cannot be read, or is not as described above.
    """
    networks = _read(folder / CLASS_NAMES)
    own = networks.get(network_id(model), {}) if networks else {}
    if own and max(own) >= model.config.n_classes:
        known = _range(model.config.n_classes)
        raise InputError(f"{folder / CLASS_NAMES}: names class {max(own)}: the network's classes are {known}; remove that line")
    if networks and not own:
        log.warning("%s: names classes of other weights, none of this network's", folder / CLASS_NAMES)
    return own


def name_classes(folder: Path, model: SpikeSEG, names: Mapping[int, str], forgotten: Collection[int] = ()) -> Names:
    """Write names of a network's classes into the file in a folder; those of others stay.

    Args:
        folder: of the run.
        model: the network.
        names: to give or to change.
        forgotten: classes whose name goes.

    Returns:
        all names that the network's classes now have.

    Raises:
        InputError: no such class, a class without a name to forget, a name that is empty, too long or not one line, or a file
            that cannot be read or written.
    """
    path, known = folder / CLASS_NAMES, network_id(model)
    networks = _read(path)
    own = dict(networks.get(known, {}))
    for number in (*names, *forgotten):
        if not 0 <= number < model.config.n_classes:
            raise InputError(f"class {number}: the network's classes are {_range(model.config.n_classes)}")
    for number in forgotten:
        if number not in own:
            raise InputError(f"class {number}: has no name to forget; named are {_listed(own)}")
        del own[number]
    own |= {number: _checked(name, f"class {number}") for number, name in names.items()}
    networks[known] = dict(sorted(own.items()))
    content = {"version": VERSION, "networks": {key: value for key, value in networks.items() if value}}
    atomic_write(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return networks[known]


def _read(path: Path) -> dict[str, Names]:
    """Names by network; none where there is no file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    content = parse_yaml(text, str(path))
    if not isinstance(content, dict) or content.get("version") != VERSION or set(content) != {"version", "networks"}:
        raise InputError(f"{path}: must hold the keys version ({VERSION}) and networks; `spikeseg classes` writes it")
    networks = content["networks"]
    if not isinstance(networks, dict):
        raise InputError(f"{path}: networks: found {networks!r}, must map networks to the names of their classes")
    return {str(network): _names(names, f"{path}: networks.{network}") for network, names in networks.items()}


def _names(names: Any, where: str) -> Names:
    if not isinstance(names, dict):
        raise InputError(f"{where}: found {names!r}, must map classes to names, such as 3: satellite")
    for number, name in names.items():
        if type(number) is not int or number < 0:
            raise InputError(f"{where}: class {number!r}, must be a whole number from 0")
        if _checked(name, f"{where}.{number}") != name:
            raise InputError(f"{where}.{number}: found {name!r}, must not begin or end with a blank")
    return dict(sorted(names.items()))


def _checked(name: Any, where: str) -> str:
    """The name without blanks at its ends."""
    if not isinstance(name, str) or not name.strip() or len(name.strip()) > LONGEST or not name.isprintable():
        raise InputError(f"{where}: name {name!r}, must be 1 to {LONGEST} printable characters in one line")
    return name.strip()


def _range(n: int) -> str:
    return f"0 to {n - 1}" if n > 1 else "0 alone"


def _listed(names: Names) -> str:
    return ", ".join(f"{number} ({name})" for number, name in names.items()) or "none"
