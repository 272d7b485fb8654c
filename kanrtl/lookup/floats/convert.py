"""Trained KANs of any kind as files, and the lookup networks made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...numeric.fixed import Format
from ..network import LookupNetwork
from ..quantiser import Quantiser
from .float_kan import FloatKAN
from .importers import (
    from_efficient_kan,
    from_kanele_tables,
    from_pykan,
    kanele_floats,
    kanele_packed_tables,
    read_state_dict,
)

__all__ = ["KINDS", "Converted", "convert"]

KINDS = ("kanele", "kanele-tables", "efficient-kan", "pykan", "float-kan", "network")
"""The kinds of files that can be converted; see :func:`convert`."""

DEFAULT_BITS = 6
"""How many bits codes have where nothing is said: as many as a table has address bits in the logic of these chips."""


@dataclass(frozen=True, eq=False)
class Converted:
    """A network, and how near it is to what it was made of.

    Attributes
    ----------
    kind : str
        What the file was, one of :data:`KINDS`.
    network : LookupNetwork
        What was made of it.
    floats : FloatKAN or None
        The real-valued network that its tables were sampled from, if there was one.
    x : array ``(n, n_in)`` or None
        The samples that were given.
    """

    kind: str
    network: LookupNetwork
    floats: FloatKAN | None
    x: npt.NDArray[np.float64] | None

    def to_json(self) -> dict[str, Any]:
        """Summarise the network in what JSON can hold.

        Where there are samples, ``rms_difference`` is that of the last layer's nodes, between the network and the real
        numbers it was made of, and ``rms_nodes`` is that of the latter alone.
        """
        network = self.network
        found: dict[str, Any] = {
            "kind": self.kind,
            "layer_sizes": list(network.layer_sizes),
            "bits": list(network.bits),
            "edges": network.edges,
            "table_bits": sum(layer.table.size * (layer.bits_out + layer.guard_bits) for layer in network.layers),
            "output": network.output,
            "samples": None if self.x is None else len(self.x),
        }
        if self.floats is not None and self.x is not None:
            exact = self.floats.evaluate(self.x)[-1]
            ours = network.with_output("raw").predict(self.x)
            found["rms_difference"] = float(np.sqrt(np.mean((ours - exact) ** 2)))
            found["rms_nodes"] = float(np.sqrt(np.mean(exact**2)))
        return found


def convert(
    path: str | Path,
    *,
    kind: str | None = None,
    config: str | Path | None = None,
    base: str | None = None,
    bits: Sequence[int] | None = None,
    steps: Sequence[float] | None = None,
    x: npt.ArrayLike | None = None,
    guard_bits: Sequence[int] | None = None,
    output: str | None = None,
    thresholds: Sequence[int] | None = None,
    input_format: Format | None = None,
) -> Converted:
    """Read a trained KAN and make a network of it.

    Parameters
    ----------
    path
        The file: a checkpoint of KANELÉ (``kanele``) or its truth tables (``kanele-tables``), a state dict of
        efficient-kan or pykan, a saved :class:`FloatKAN` (``float-kan``) or :class:`LookupNetwork` (``network``), as
        ``.npz``. State dicts may also be ``.pt`` or ``.pth``, which takes torch, and truth tables ``.json`` or
        ``.json.gz``.
    kind
        One of :data:`KINDS`; by default what the names in the file tell.
    config
        KANELÉ's ``config.json``, where it is not in the file.
    base
        The function beside the splines of efficient-kan and pykan, by default ``silu``.
    bits, steps
        How many bits a code has, and the real value of its LSB: of the inputs, then of every layer's nodes. They are
        for real numbers (efficient-kan, pykan, float-kan). One width serves all; by default it is
        :data:`DEFAULT_BITS`. Where steps are left out, they and offsets are chosen for ``x``; see
        :meth:`FloatKAN.calibrate`.
    x : array ``(n, n_in)``, optional
        Samples such as the network will see.
    guard_bits
        For real numbers, as in :meth:`FloatKAN.quantise`.
    output, thresholds
        As in :meth:`LookupNetwork.with_output`; by default ``raw``, or what a saved network has.
    input_format
        The format of fixed-point inputs, for a quantiser in hardware.

    Returns
    -------
    Converted
        The network, and what it was made of.

    Raises
    ------
    InputError
        If something cannot be represented, or does not belong to this kind; by its name.
    """
    path = Path(path)
    source, kind = _read(path, kind)
    _check_fits(kind, {"bits": bits, "steps": steps, "guard_bits": guard_bits}, kind in _FLOATS, "its codes are set")
    _check_fits(kind, {"base": base}, kind in _FLOATS[:2], "it tells its own")
    _check_fits(kind, {"config": config}, kind.startswith("kanele"), "it has none")
    try:
        network, floats = _make_network(kind, source, config, base, x, bits, steps, guard_bits)
    except InputError as error:
        raise InputError(f"{str(path)!r}: {error}") from None
    if output is not None or thresholds is not None:
        network = network.with_output(output or network.output, thresholds)
    if input_format is not None:
        if not isinstance(network.quantiser, Quantiser):
            raise InputError(f"input_format = {input_format}: the network has a quantiser in hardware; leave it out")
        network = network.with_quantiser(network.quantiser.fixed(input_format))
    rows = None if x is None else network.real_rows(x)[0]
    return Converted(kind, network, floats, rows)


_FLOATS = ("efficient-kan", "pykan", "float-kan")


def _check_fits(kind: str, given: Mapping[str, Any], fits: bool, why: str) -> None:
    """Refuse what is given where it does not fit the kind, and say why."""
    for field, value in given.items():
        if value is not None and not fits:
            raise InputError(f"{field}: not for {kind!r}: {why}; leave it out")


def _read(path: Path, kind: str | None) -> tuple[Mapping[str, Any] | Path, str]:
    """Read what the file holds, or give its path where its importer reads it; and tell what it is."""
    if kind is not None and kind not in KINDS:
        raise InputError(f"kind = {kind!r}: must be one of {', '.join(map(repr, KINDS))}")
    if path.suffix in (".json", ".gz"):
        if kind not in (None, "kanele-tables"):
            raise InputError(f"kind = {kind!r}: {str(path)!r} can only be truth tables; leave it out")
        return path, "kanele-tables"
    if path.suffix not in (".npz", ".pt", ".pth"):
        raise InputError(f"{str(path)!r}: not a kind of file that is known; give .npz, .pt, .pth, .json or .json.gz")
    state = read_state_dict(path)
    return state, kind or _recognise(path, state)


def _recognise(path: Path, state: Mapping[str, Any]) -> str:
    """Tell what a file is, by the names in it."""
    signs = {
        "network": r"network",
        "float-kan": r"kan",
        "kanele-tables": r"L0_table",
        "kanele": r"config_json|input_layer\..*",
        "efficient-kan": r"layers\.0\.grid",
        "pykan": r"act_fun\.0\.coef",
    }
    for kind, sign in signs.items():
        if any(re.fullmatch(sign, name) for name in state):
            return kind
    raise InputError(
        f"{str(path)!r}: not known by its names ({', '.join(sorted(state)[:4]) or 'none'}); "
        f"say what it is: kind is one of {', '.join(map(repr, KINDS))}"
    )


def _make_network(
    kind: str,
    source: Any,
    config: str | Path | None,
    base: str | None,
    x: npt.ArrayLike | None,
    bits: Sequence[int] | None,
    steps: Sequence[float] | None,
    guard_bits: Sequence[int] | None,
) -> tuple[LookupNetwork, FloatKAN | None]:
    """Make the network, and give the real-valued one that it was made of."""
    if kind == "network":
        return LookupNetwork.from_arrays(source), None
    if kind == "kanele-tables":
        if not isinstance(source, Path):
            return kanele_packed_tables(source, config), None
        if config is None:
            raise InputError("config: truth_tables.json does not have it; give config.json")
        return from_kanele_tables(source, config), None
    if kind == "kanele":
        kan, known_bits, known_steps = kanele_floats(source, config)
        return kan.quantise(known_bits, known_steps), kan
    if kind == "float-kan":
        kan = FloatKAN.from_arrays(source)
    else:
        kan = from_pykan(source, base) if kind == "pykan" else from_efficient_kan(source, base or "silu")
    count = len(kan.layers) + 1
    widths = list(bits or [DEFAULT_BITS])
    widths = widths * count if len(widths) == 1 else widths
    if len(widths) != count:
        raise InputError(f"bits: {len(widths)} values; give one, or {count}: for the inputs and for every layer")
    if steps is not None:
        return kan.quantise(widths, steps, guard_bits=guard_bits), kan
    if x is None:
        raise InputError("steps: give them, or samples from which they follow")
    return kan.calibrate(x, widths).quantise(kan, guard_bits), kan
