"""However a network is wrapped, it is found; what stands beside it is said, or refused where it may be part of it."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from kanrtl import InputError
from kanrtl.lookup import from_efficient_kan
from kanrtl.lookup.checkpoints.checkpoint import to_array
from kanrtl.lookup.checkpoints.checkpoint_file import read_checkpoint, read_content
from kanrtl.lookup.checkpoints.inert_pickle import Foreign
from kanrtl.lookup.checkpoints.tensors import Storage, Tensor
from kanrtl.lookup.floats.importers import read_state_dict
from support.kan_checkpoints import efficient, pykan
from support.torch_files import (
    Called,
    Named,
    Stored,
    module,
    tensor,
    tensors,
    write_archive,
    write_safetensors,
    write_stream,
)

STATE = {name: value.astype(np.float32) for name, value in efficient([3, 2, 2]).items()}


def prefixed(prefix: str, state: dict[str, Any] = STATE) -> dict[str, Any]:
    return {f"{prefix}{name}": value for name, value in state.items()}


def check_same(arrays: Any, state: dict[str, Any] = STATE, tolerance: float = 0.0) -> None:
    assert set(arrays) == set(state)
    for name, value in state.items():
        np.testing.assert_allclose(arrays[name], value, rtol=tolerance)


@pytest.mark.parametrize(
    "wrapping", ["model_state", "model_state_dict", "state_dict", "model", "net", "network", "state", "weights"]
)
def test_wrappings(wrapping: str, tmp_path: Path) -> None:
    optimiser = {"state": {0: {"exp_avg": tensor(np.ones((2, 3)))}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    content = {"epoch": 3, wrapping: tensors(STATE), "optimizer": optimiser, "best": np.float64(0.75), "why": None}
    for path in (write_archive(tmp_path / "a.pt", content), write_stream(tmp_path / "b.pt", content)):
        found = read_checkpoint(path)
        check_same(found.arrays)
        assert found.family == "efficient-kan"
        assert [(note.kind, note.field, note.value) for note in found.notes] == [
            ("dropped", "epoch", 3),
            ("dropped", "optimizer", "3 entries"),
            ("dropped", "best", 0.75),
            ("dropped", "why", None),
        ]
    check_same(read_state_dict({wrapping: STATE, "epoch": 3}))


@pytest.mark.parametrize("prefix", ["", "module.", "kan.", "net.", "model.", "_orig_mod.", "module._orig_mod.kan."])
@pytest.mark.parametrize("state", [STATE, pykan([2, 1])], ids=["efficient-kan", "pykan"])
def test_prefixes(prefix: str, state: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **prefixed(prefix, state))
    check_same(read_state_dict(tmp_path / "a.npz"), state)
    check_same(read_state_dict({"state_dict": prefixed(prefix, state)}), state)
    assert read_checkpoint(prefixed(prefix, state)).notes == ()


def test_layers_of_a_sequential_and_nested_names() -> None:
    check_same(read_state_dict({name.removeprefix("layers."): value for name, value in STATE.items()}))
    nested: dict[str, Any] = {"layers": [{}, {}]}
    for name, value in STATE.items():
        _, number, field = name.split(".")
        nested["layers"][int(number)][field] = value
    check_same(read_state_dict({"params": nested}))


@pytest.mark.parametrize(("kind", "tolerance"), [("f4", 0), ("f8", 0), ("f2", 1e-3), ("bfloat16", 1e-2)])
def test_number_formats(kind: str, tolerance: float, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.pt", tensors(STATE, kind))
    arrays = read_state_dict(path)
    check_same(arrays, tolerance=tolerance)
    if kind == "bfloat16":
        assert all(not (array.astype("f4").view("u4") & 0xFFFF).any() for array in arrays.values())


def test_tensors_that_are_views(tmp_path: Path) -> None:
    check_same(read_state_dict(write_archive(tmp_path / "a.pt", tensors(STATE, transposed=True))))
    shared = Stored(STATE["layers.0.grid"].reshape(-1), "f4")
    tied = tensors(STATE) | {
        "layers.0.grid": tensor(STATE["layers.0.grid"], stored=shared),
        "layers.0.grid_copy": tensor(STATE["layers.0.grid"], stored=shared),
    }
    arrays = read_state_dict(write_stream(tmp_path / "b.pt", tied))
    assert np.array_equal(arrays["layers.0.grid"], arrays["layers.0.grid_copy"])
    short = tensors(STATE) | {"layers.0.grid": tensor(np.ones((9, 12)), stored=shared)}
    with pytest.raises(InputError, match=r"layers\.0\.grid: is damaged: it has fewer numbers than its shape"):
        read_state_dict(write_archive(tmp_path / "c.pt", short))


def test_whole_models_tell_their_modules_too(tmp_path: Path) -> None:
    layers = {}
    for number in range(2):
        own = {
            name.split(".")[2]: tensor(value) for name, value in STATE.items() if name.startswith(f"layers.{number}.")
        }
        layers[str(number)] = module(own, {"base_activation": module({}, {}, "GELU")})
    model = module({}, {"layers": module({}, layers)}, grid_size=5)
    for path in (write_archive(tmp_path / "a.pt", {"model": model}), write_stream(tmp_path / "b.pt", model)):
        found = read_checkpoint(path)
        check_same(found.arrays)
        assert set(found.find_settings(["base_activation"]).values()) == {"some.models.GELU"}
        assert found.notes == ()


def test_other_containers(tmp_path: Path) -> None:
    check_same(read_state_dict(write_safetensors(tmp_path / "a.safetensors", prefixed("model."))))
    check_same(read_state_dict(write_safetensors(tmp_path / "b", STATE, "BF16")), tolerance=1e-2)
    with pytest.raises(
        InputError, match=r"layers\.0\.base_weight: numbers of F8_E4M3 cannot be read; save the model in float32"
    ):
        read_state_dict(write_safetensors(tmp_path / "c", STATE, "F8_E4M3"))
    for protocol in (2, 5):
        (tmp_path / "d.pkl").write_bytes(pickle.dumps({"model": STATE, "auc": np.float32(0.5)}, protocol))
        check_same(read_state_dict(tmp_path / "d.pkl"))
    hyper = Called(Named("argparse", "Namespace"), (), {"rate": 0.1})
    found = read_checkpoint(write_archive(tmp_path / "e.pt", {"args": hyper, "state": tensors(STATE)}))
    assert [str(note) for note in found.notes] == ["args.rate = 0.1"] or found.notes[0].field == "args"


class Bfloat16:
    """A tensor of torch in memory, of which numpy knows no type."""

    dtype = "torch.bfloat16"

    def __init__(self, numbers: Any) -> None:
        self._numbers, self.shape = numbers, numbers.shape

    def detach(self) -> Bfloat16:
        return self

    def cpu(self) -> Bfloat16:
        return self

    def float(self) -> Any:
        return type("Float32", (), {"numpy": lambda _: self._numbers})()


class Sparse(Bfloat16):
    def float(self) -> Any:
        raise TypeError("can't convert Sparse layout tensor to numpy.\nUse Tensor.to_dense()")


def test_tensors_in_memory() -> None:
    check_same(read_state_dict({name: Bfloat16(value) for name, value in STATE.items()}))
    with pytest.raises(InputError, match=r"layers\.0\.grid: cannot be read \(can't convert Sparse.*\); give dense"):
        read_state_dict({name: Sparse(value) for name, value in STATE.items()})


def test_storages_of_an_old_file_may_be_listed_as_numbers(tmp_path: Path) -> None:
    path = write_stream(tmp_path / "old.pt", tensors(STATE))
    content = path.read_bytes()
    start = content.rindex(b"\x80\x02]")
    listed = io.BytesIO(content[start:])
    keys = pickle.load(listed)
    numbers = pickle.dumps([int(key) for key in keys], 2)
    path.write_bytes(content[:start] + numbers + content[start + listed.tell() :])
    check_same(read_checkpoint(path).arrays)


def test_what_a_damaged_file_calls_a_tensor_stays_on_its_line() -> None:
    with pytest.raises(InputError, match=r"^w: cannot be read \(t\\nsor v2\); save dense tensors in float32$"):
        to_array("w", Foreign("torch._utils._rebuild_t\nsor_v2"))


def test_a_weight_that_is_no_number_is_refused_without_a_warning() -> None:
    state = efficient([2, 1], size=2, order=1)
    weights = np.zeros((1, 2), np.float32)
    weights.view(np.uint32)[0, 0] = 0x7F800001  # signalling: to widen it is an invalid operation
    with pytest.raises(InputError, match="finite"):
        from_efficient_kan(state | {"layers.0.base_weight": weights})


def test_what_may_be_part_of_the_network_is_refused_by_name() -> None:
    head = prefixed("kan.") | {
        "head.weight": np.ones((2, 2)),
        "scaler.mean": np.ones(3),
        "criterion.weight": np.ones(2),
    }
    with pytest.raises(InputError, match=r"head\.weight: cannot be represented beside the KAN; .*entry = 'kan'"):
        read_checkpoint(head)
    found = read_checkpoint(head, "kan")
    check_same(found.arrays)
    assert {note.field for note in found.notes} == {"head.weight", "scaler.mean", "criterion.weight"}
    with pytest.raises(InputError, match="extra: cannot be represented beside the KAN; give the KAN alone"):
        read_checkpoint(STATE | {"extra": np.ones(3)})
    with pytest.raises(InputError, match=r"head\.weight: cannot be represented beside the KAN"):
        read_checkpoint(STATE | {"head.weight": Foreign("torch._utils._rebuild_sparse_tensor", ())})
    with pytest.raises(InputError, match=r"norm\.weight: cannot be represented"):
        read_checkpoint({"state": prefixed("kan.") | {"norm.weight": np.ones(3)}})


def test_a_scaler_is_dropped_with_a_word() -> None:
    for content in (
        STATE | {"scaler_mean": np.zeros(3), "scaler_scale": np.ones(3)},
        {"model_state": STATE, "scaler_mean": np.zeros(3), "scaler_scale": np.ones(3)},
        {"net": STATE, "mean": np.zeros(3), "std": np.ones(3)},
        prefixed("kan.") | {"scaler.mean_": np.zeros(3), "scaler.scale_": np.ones(3)},
    ):
        notes = read_checkpoint(content).notes
        assert [note.value for note in notes] == ["array (3,)", "array (3,)"]
        assert all("inputs must be scaled before the network" in str(note) for note in notes)


def test_one_of_several_networks_is_named() -> None:
    two = prefixed("first.") | prefixed("second.", {name: value * 2 for name, value in STATE.items()})
    with pytest.raises(
        InputError, match=r"holds 2 networks, in 'first', 'second'; say which is meant: entry \(--entry\)"
    ):
        read_checkpoint(two)
    check_same(read_checkpoint(two, "first").arrays)
    ema = {"model": STATE, "ema": {"shadow": {name: value * 0.5 for name, value in STATE.items()}}}
    with pytest.raises(InputError, match=r"in 'model', 'ema\.shadow'"):
        read_checkpoint(ema)
    found = read_checkpoint(ema, "model")
    check_same(found.arrays)
    assert [note.field for note in found.notes] == ["ema"]
    with pytest.raises(InputError, match="entry = 'third': no network stands there"):
        read_checkpoint(two, "third")
    # The same weights under two names, as a module that is held twice, are one network.
    check_same(read_checkpoint(prefixed("kan.") | prefixed("model.")).arrays)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "a pointer of Git LFS, not the file itself; run git lfs pull",
        ),
        (b"\x89HDF\r\n\x1a\n", "is a file of HDF5; give what torch.save"),
        (b"<!DOCTYPE html>", "a web page; download the file itself"),
        (b"\x93NUMPY\x01", "is one array; give the state dict"),
        (b"", "not a kind of file that is known; give what torch.save, safetensors or numpy.savez wrote"),
        (b"\x80\x02}", "is damaged, or no file of weights"),
    ],
)
def test_files_are_refused_for_what_they_are(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        read_checkpoint(tmp_path / "model.pt")
    assert str(refused.value).startswith(f"'{tmp_path}")


def test_an_archive_without_arrays(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.pt", {})
    content = path.read_bytes().replace(b"data.pkl", b"data.xyz")
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"an archive without arrays|not a whole"):
        read_checkpoint(path)


def test_a_member_that_is_no_array(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **{"0.weight": np.ones((2, 2))})
    with zipfile.ZipFile(path, "a") as members:
        members.writestr("0.bias", b"\0" * 16)
    with pytest.raises(InputError, match=r"'0.bias' in it is no array, such as '0.bias.npy' would be; give the state"):
        read_checkpoint(path)


def test_safetensors_may_begin_as_another_kind_of_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for start in (b"PK", b"\x80"):
        length = int.from_bytes(start, "little")
        while not write_safetensors(path, STATE, texts={"note": "x" * length}).read_bytes().startswith(start):
            length += int.from_bytes(start, "little") - int.from_bytes(path.read_bytes()[: len(start)], "little")
            length %= 1 << 8 * len(start)
        check_same(read_state_dict(path))


def test_a_format_beside_the_network_that_cannot_be_read_is_no_matter(tmp_path: Path) -> None:
    beside = {"scaler.mean": np.ones(3)}
    path = write_safetensors(tmp_path / "a.safetensors", STATE | beside, kinds={"scaler.mean": "F8_E4M3"})
    found = read_checkpoint(path)
    check_same(found.arrays)
    assert [(note.field, note.value) for note in found.notes] == [("scaler.mean", "array (3,)")]


@pytest.mark.parametrize(
    ("dtype", "shape", "offsets"),
    [
        ("F32", [-1, 1], [0, 8]),
        ("F32", [1], [-4, 8]),
        ("F32", [1], [8, 4]),
        ("F32", [0, 1 << 70], [0, 0]),
        ("F8_E4M3", [-1], [0, 8]),
    ],
)
def test_a_table_of_safetensors_that_cannot_be(dtype: str, shape: Any, offsets: Any, tmp_path: Path) -> None:
    table = json.dumps({"0.weight": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).encode()
    (tmp_path / "a").write_bytes(len(table).to_bytes(8, "little") + table + bytes(8))
    with pytest.raises(InputError, match="is damaged: its table does not fit its numbers"):
        read_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("counts", ["little", "big"])
def test_numbers_of_an_old_file_are_little_endian_on_every_machine(counts: str, tmp_path: Path) -> None:
    path = write_stream(tmp_path / "a.pt", tensors(STATE), "big", counts)
    check_same(read_checkpoint(path).arrays)


def test_what_torch_says_beside_a_tensor(tmp_path: Path) -> None:
    negated = {name: tensor(-value, metadata={"neg": True}) for name, value in STATE.items()}
    check_same(read_checkpoint(write_archive(tmp_path / "a.pt", negated)).arrays)
    other = tensors(STATE) | {"layers.0.grid": tensor(STATE["layers.0.grid"], metadata={"conj": True})}
    with pytest.raises(InputError, match=r"layers\.0\.grid: cannot be read \(tensor v2\); save dense tensors"):
        read_checkpoint(write_archive(tmp_path / "b.pt", other))
    dense = {"0.weight": np.ones((2, 2)), "1.weight": Foreign("torch._utils._rebuild_sparse_tensor", ())}
    with pytest.raises(InputError, match=r"1\.weight: cannot be read \(sparse tensor\)"):
        read_checkpoint(dense)


@pytest.mark.parametrize(
    ("shape", "strides", "message"),
    [
        ((1 << 32, 1 << 32), (0, 0), "repeats 4 numbers"),
        ((1 << 70, 1), (0, 0), "repeats 4 numbers"),
        ((0, -4), (4, 1), "fewer numbers than its shape"),
        ((0, 1 << 62, 1 << 62), (4, 1, 1), "cannot be read"),
        ((0, 1 << 70), (4, 1), "cannot be read"),
        ((1,) * 70, (1,) * 70, "cannot be read"),
    ],
)
def test_shapes_that_cannot_be(shape: Any, strides: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"^w: .*{message}"):
        to_array("w", Tensor(Storage("FloatStorage", "0", 4, bytes(16)), 0, shape, strides))


@pytest.mark.parametrize("stride", [1 << 62, 1 << 70])
def test_along_an_axis_of_one_number_any_stride_is_the_same(stride: int) -> None:
    content = np.arange(4, dtype="<f4").tobytes()
    array = to_array("w", Tensor(Storage("FloatStorage", "0", 4, content), 1, (1, 2), (stride, 1)))
    assert array.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    "name",
    [
        "remap.weight",
        "semantic_head.weight",
        "terminal.weight",
        "embed_max.weight",
        "upscaler.weight",
        "bn.running_mean",
    ],
)
def test_a_part_of_a_word_does_not_make_an_array_one_beside_the_network(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: cannot be represented beside the KAN"):
        read_checkpoint(STATE | {name: np.ones((2, 2))})


@pytest.mark.parametrize(
    "name",
    [
        "StandardScaler.mean_",
        "x_std",
        "max_of_y",
        "mean1",
        "std.0",
        "normaliser.weight",
        "loss_fn.weight",
        "optimizer.0.exp_avg",
    ],
)
def test_what_trains_or_scales_is_dropped_with_a_word(name: str) -> None:
    assert [note.field for note in read_checkpoint(STATE | {name: np.ones((2, 2))}).notes] == [name]


def test_networks_that_diverged_are_twins_too() -> None:
    nowhere = {"0.weight": np.full((2, 2), np.nan), "1.weight": np.ones((2, 2))}
    assert read_checkpoint(nowhere).family is None
    assert read_checkpoint({"model": nowhere, "ema": dict(nowhere)}).family is None
    state = STATE | {"layers.0.base_weight": np.full((2, 3), np.nan)}
    check_same(read_checkpoint(prefixed("kan.", state) | prefixed("model.", state)).arrays, state)


def test_the_same_container_stands_under_each_of_its_names(tmp_path: Path) -> None:
    state = tensors(STATE)
    path = write_archive(tmp_path / "a.pt", {"model": state, "ema": state})
    for entry in (None, "model", "ema"):
        check_same(read_checkpoint(path, entry).arrays)


def test_containers_in_themselves_and_in_too_many_others() -> None:
    own: dict[str, Any] = {"weights": STATE}
    own["own"] = [own, {"own": own}]
    numbers: list[Any] = []
    numbers.append(numbers)
    check_same(read_checkpoint(own | {"numbers": numbers}).arrays)
    deep: dict[str, Any] = STATE
    for _ in range(20):
        deep = {"in": deep}
    check_same(read_checkpoint(deep).arrays)
    for _ in range(20):
        deep = {"in": deep}
    with pytest.raises(InputError, match=r"in\.in\..*: more than 32 containers in one another; give the state dict"):
        read_checkpoint(deep)
    many: dict[str, Any] = STATE
    for _ in range(24):
        many = {"a": many, "b": many}
    with pytest.raises(InputError, match="containers stand in too many places; give the state dict alone"):
        read_checkpoint(many)


def test_numbers_in_the_same_lists_again_and_again_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers: list[Any] = [1.0]
    for _ in range(30):
        numbers = [numbers, numbers]
    with pytest.raises(InputError, match=r"^lists of numbers stand in too many places; give the state dict alone$"):
        read_checkpoint(STATE | {"numbers": numbers})
    betas = (0.9, 0.999)
    check_same(read_checkpoint(STATE | {"betas": [betas] * 100}).arrays)
    with pytest.raises(InputError, match=r"^a{40}\.\.\.: a name of more than 10000 letters; give the state dict alone"):
        read_checkpoint({"a" * 10_000: STATE})
    monkeypatch.setattr("kanrtl.lookup.checkpoints.flatten._MOST_VALUES", 3)
    with pytest.raises(InputError, match=r"^holds more than 3 values; give the state dict alone$"):
        read_checkpoint({"a": [STATE] * 3})


def test_names_that_are_long_integers() -> None:
    check_same(read_checkpoint({"weights": STATE, "others": {1 << 20_000: 1}}).arrays)


def test_safetensors_that_share_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    for names in ("a", "ab"):
        table = json.dumps(dict.fromkeys(names, entry)).encode()
        path.write_bytes(len(table).to_bytes(8, "little") + table + bytes(8))
        if names == "a":
            assert read_content(path)["a"].tolist() == [0, 0]
    with pytest.raises(InputError, match=r"^is damaged: its table does not fit its numbers; save it again$"):
        read_content(path)


def test_nothing_is_made_of_safetensors_that_share_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that ends before it begins takes off nothing from the size of the others."""
    made = Mock()
    monkeypatch.setattr("kanrtl.lookup.checkpoints.safetensors_file._read_tensor", made)
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    table = json.dumps({"a": entry, "b": entry, "c": entry | {"data_offsets": [99, 0]}}).encode()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(len(table).to_bytes(8, "little") + table + bytes(8))
    with pytest.raises(InputError, match=r"^is damaged: its table does not fit its numbers; save it again$"):
        read_content(path)
    made.assert_not_called()


def test_damage_of_a_compression_that_torch_never_has(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as members:
        members.writestr("archive/data.pkl", bytes(99))
    with pytest.raises(InputError, match=r"'archive/data.pkl' in it is compressed by another method than deflate"):
        read_checkpoint(path)


def test_tensors_that_show_one_number_very_often_are_not_all_written_out() -> None:
    storage = Storage("BoolStorage", "0", 1, bytes(1))
    state = {f"{index}.weight": Tensor(storage, 0, (1 << 12, 1 << 12), (0, 0)) for index in range(17)}
    with pytest.raises(InputError, match=r"^16\.weight: with it more than 268435456 numbers; save each of them once"):
        read_checkpoint(state)
