"""Trained KANs of any kind as files, and the lookup networks made of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...files import as_path
from ...numeric.fixed import Format
from ..checkpoints.checkpoint import Checkpoint, find_network
from ..checkpoints.checkpoint_file import read_content
from ..network import LookupNetwork
from ..notes import Note
from ..number_checks import CODES, list_each
from ..quantiser import Quantiser
from .basis_kans import from_cheby_kan, from_fast_kan, from_fourier_kan
from .dense_importers import from_mlp
from .float_kan import FloatKAN
from .importers import from_efficient_kan, from_kanele_tables, kanele_floats, kanele_packed_tables
from .pykan import from_pykan
from .pykan_config import weights_path

_CHECKPOINTS: dict[str, Callable[..., FloatKAN]] = {
    "efficient-kan": from_efficient_kan,
    "pykan": from_pykan,
    "fast-kan": from_fast_kan,
    "cheby-kan": from_cheby_kan,
    "fourier-kan": from_fourier_kan,
}

KINDS = ("kanele", "kanele-tables", *_CHECKPOINTS, "mlp", "float-kan", "network")
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

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was assumed, clipped or left out of the file."""
        return self.network.notes

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
            "notes": [note.to_json() for note in self.notes],
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
    activations: Sequence[str] | None = None,
    entry: str | None = None,
    bits: int | Sequence[int] | None = None,
    steps: Sequence[float] | None = None,
    x: npt.ArrayLike | None = None,
    guard_bits: int | Sequence[int] | None = None,
    output: str | None = None,
    thresholds: Sequence[int] | None = None,
    input_format: Format | None = None,
) -> Converted:
    """Read a trained KAN or dense network, and make a lookup network of it.

    Parameters
    ----------
    path
        The file: a checkpoint of KANELÉ (``kanele``), efficient-kan, pykan, FastKAN (``fast-kan``), ChebyKAN
        (``cheby-kan``) or FourierKAN (``fourier-kan``), or the state dict of a dense network (``mlp``), as
        ``torch.save``, safetensors or ``numpy.savez`` wrote it, however it is wrapped; KANELÉ's truth tables
        (``kanele-tables``) as ``.npz``, ``.json`` or ``.json.gz``; a saved :class:`FloatKAN` (``float-kan``) or
        :class:`LookupNetwork` (``network``). Of pykan's files ``NAME_state`` or ``NAME`` will do.
    kind
        One of :data:`KINDS`; by default what the names in the file tell.
    config
        KANELÉ's ``config.json``, where it is not in the file, or pykan's ``NAME_config.yml``, where it is not beside.
    base
        The function beside the splines of efficient-kan and pykan, where the file does not tell. For efficient-kan it
        is then assumed to be ``silu``; for pykan it must be given.
    activations
        The functions between the layers of a dense network (``mlp``), which a state dict does not have: one name for
        all, or one for each, as :func:`~kanrtl.lookup.from_mlp` takes them.
    entry
        Where the network stands in the file, by the names of what is around it with dots between them, where there are
        several.
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
    path = weights_path(as_path(path))
    source, kind = _read(path, kind, entry)
    _check_fits(kind, {"bits": bits, "steps": steps, "guard_bits": guard_bits}, kind in _FLOATS, "its codes are set")
    _check_fits(kind, {"entry": entry}, kind not in _WHOLE.values(), "its file holds one network")
    _check_fits(kind, {"base": base}, kind in _CHECKPOINTS, "it tells its own")
    _check_fits(kind, {"activations": activations}, kind == "mlp", "it has none between its layers")
    _check_fits(kind, {"config": config}, kind == "pykan" or kind.startswith("kanele"), "it has none")
    try:
        network, floats = _make_network(kind, source, config, base, activations)
    except InputError as error:
        raise InputError(f"{str(path)!r}: {error}") from None
    if network is None:
        assert floats is not None
        network = _quantise(floats, x, bits, steps, guard_bits, output or "raw")
    if output is not None or thresholds is not None:
        network = network.with_output(output or network.output, thresholds)
    if input_format is not None:
        if not isinstance(network.quantiser, Quantiser):
            raise InputError(f"input_format = {input_format}: the network has a quantiser in hardware; leave it out")
        network = network.with_quantiser(network.quantiser.fixed(input_format))
    rows = None if x is None else network.real_rows(x)[0]
    return Converted(kind, network, floats, rows)


_FLOATS = (*_CHECKPOINTS, "mlp", "float-kan")

_WHOLE = {"network": "network", "kan": "float-kan", "L0_table": "kanele-tables"}
"""By the name of an array what a file that has it is, which holds nothing else."""


def _check_fits(kind: str, given: Mapping[str, Any], fits: bool, why: str) -> None:
    """Refuse what is given where it does not fit the kind, and say why."""
    for field, value in given.items():
        if value is not None and not fits:
            raise InputError(f"{field}: not for {kind!r}: {why}; leave it out")


def _read(path: Path, kind: str | None, entry: str | None) -> tuple[Any, str]:
    """Read what the file holds, or give its path where its importer reads it; and tell what it is."""
    if kind is not None and kind not in KINDS:
        raise InputError(f"kind = {kind!r}: must be one of {', '.join(map(repr, KINDS))}")
    if path.suffix in (".json", ".gz"):
        if kind not in (None, "kanele-tables"):
            raise InputError(f"kind = {kind!r}: {str(path)!r} can only be truth tables; leave it out")
        return path, "kanele-tables"
    try:
        content = read_content(path)
        if isinstance(content, Mapping):
            # Else it is a container of that name.
            found = next((known for sign, known in _WHOLE.items() if isinstance(content.get(sign), np.ndarray)), None)
            if (kind or found) in _WHOLE.values():
                return content, kind or str(found)
        checkpoint = find_network(content, entry, path)
    except InputError as error:
        raise InputError(f"{str(path)!r}: {error}") from None
    return checkpoint, kind or _recognise(checkpoint)


def _recognise(checkpoint: Checkpoint) -> str:
    """Tell what a checkpoint is, by the names in it."""
    names = [*checkpoint.arrays, *checkpoint.settings]
    if {"spec", "learning_rates"} <= set(names):
        raise InputError(f"{str(checkpoint.path)!r}: a saved learner; give the network that its freeze makes, saved")
    if any(re.match(r"input_layer\.|(?:.*\.)?config_json$", name) for name in names):
        return "kanele"
    if checkpoint.family is None and any(re.match(r"(?:.*\.)?\d+\.weight$", name) for name in names):
        return "mlp"
    if checkpoint.family is None:
        raise InputError(
            f"{str(checkpoint.path)!r}: not known by its names ({', '.join(sorted(names)[:4]) or 'none'}); "
            f"say what it is: kind (--kind) is one of {', '.join(map(repr, KINDS))}"
        )
    return checkpoint.family


def _make_network(
    kind: str,
    source: Any,
    config: str | Path | None,
    base: str | None,
    activations: Sequence[str] | None,
) -> tuple[LookupNetwork | None, FloatKAN | None]:
    """Make the network, where the file tells its codes, and the real-valued one, where it has that."""
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
    elif kind == "mlp":
        one = activations is not None and len(activations) == 1
        kan = from_mlp(source, activations[0] if activations and one else activations)
    else:
        kan = from_pykan(source, base, config) if kind == "pykan" else _CHECKPOINTS[kind](source, base)
    return None, kan


def _quantise(
    kan: FloatKAN,
    x: npt.ArrayLike | None,
    bits: int | Sequence[int] | None,
    steps: Sequence[float] | None,
    guard_bits: int | Sequence[int] | None,
    output: str,
) -> LookupNetwork:
    """Make a network of real numbers, whose codes nothing tells but what is given."""
    count = len(kan.layers) + 1
    widths = list_each("bits", DEFAULT_BITS if bits is None else _unwrap(bits), count, CODES)
    guard_bits = _unwrap(guard_bits)
    if steps is not None:
        return kan.quantise(widths, _unwrap(steps), guard_bits=guard_bits)
    if x is None:
        raise InputError("steps (--steps): give them, or samples (--data) from which they follow")
    return kan.calibrate(x, widths).quantise(kan, guard_bits, output=output)


def _unwrap(values: Any) -> Any:
    """One for all, which a command line gives as a list of one."""
    return values[0] if isinstance(values, (list, tuple)) and len(values) == 1 else values
