"""The configuration that pykan writes beside a checkpoint, ``NAME_config.yml``; nothing in it is run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ...errors import InputError
from ...file_content import is_file, read_text

_STATE, _CONFIG, _CACHE = "_state", "_config.yml", "_cache_data"

_MOST_VALUES = 1 << 20
"""Of a configuration, with what stands in several places counted in each; one of pykan has a few for each edge."""


class _InertLoader(yaml.SafeLoader):  # type: ignore[misc]  # the library ships no types
    """Reads plain values, and objects of Python as the names of their classes."""


def _name_of_tag(_loader: yaml.SafeLoader, tag: str, _node: yaml.Node) -> str:
    return tag.rpartition(":")[2]


_InertLoader.add_multi_constructor("tag:yaml.org,2002:python/", _name_of_tag)


def read_configuration(source: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    """Read a configuration: ``width``, ``base_fun_name``, ``symbolic.funs_name.0`` and so on.

    Raises
    ------
    InputError
        If the file cannot be read, or is no configuration.
    """
    if isinstance(source, Mapping):
        return source
    path = Path(source)
    try:
        content = yaml.load(read_text(path), _InertLoader)
    except OSError as error:
        raise InputError(f"config: {str(path)!r}: {error.strerror or 'cannot be read'}; give NAME_config.yml") from None
    except InputError as error:
        raise InputError(f"config: {str(path)!r}: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError):  # such as a date that is none
        raise InputError(f"config: {str(path)!r}: is not YAML; give NAME_config.yml as pykan wrote it") from None
    if _count_values(content, {}) > _MOST_VALUES:
        raise InputError(
            f"config: {str(path)!r}: more than {_MOST_VALUES} values; give NAME_config.yml as pykan wrote it"
        )
    if not isinstance(content, Mapping) or not {"width", "base_fun_name"} & set(content):
        raise InputError(f"config: {str(path)!r}: has neither width nor base_fun_name; give NAME_config.yml of pykan")
    return content


def _count_values(content: Any, known: dict[int, float]) -> float:
    """Count values as often as they stand there: those of an alias are each time the same object, and those of aliases
    in one another become very many. What stands in itself holds infinitely many."""
    if not isinstance(content, (Mapping, list, tuple, set)):
        return 1
    if id(content) not in known:
        known[id(content)] = math.inf
        inner = content.values() if isinstance(content, Mapping) else content
        known[id(content)] = 1 + sum(_count_values(one, known) for one in inner)
    return known[id(content)]


def configuration_beside(path: Path) -> Path | None:
    """Give the path of the configuration that stands beside a file ``NAME_state``, if one does."""
    if not path.name.endswith(_STATE):
        return None
    beside = path.with_name(path.name.removesuffix(_STATE) + _CONFIG)
    return beside if is_file(beside) else None


def weights_path(path: Path) -> Path:
    """Give the path of the weights for any of pykan's names of a checkpoint: ``NAME``, its state or configuration.

    Raises
    ------
    InputError
        If it is the training data that stands beside.
    """
    for end in (_CONFIG, _CACHE, ""):
        # A folder such as "." has no name.
        if path.name and path.name.endswith(end) and (end or not is_file(path)):
            state = path.with_name(path.name.removesuffix(end) + _STATE)
            if is_file(state):
                if end == _CACHE:
                    raise InputError(f"{str(path)!r}: training data of pykan; give {str(state)!r}")
                return state
    return path
