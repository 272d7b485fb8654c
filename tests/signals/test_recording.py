"""Recordings: what becomes of columns, and what is refused."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl import InputError
from kanrtl.errors import represent
from kanrtl.sim import TASKS, Recording, Track

ROWS = np.arange(12.0)
U, Y = np.sin(ROWS), np.cos(ROWS) * 5 + 3


def test_samples_have_their_past() -> None:
    task = Recording(U, Y, taps=2, target_taps=1)
    assert task.input_names == ("inputs[n]", "inputs[n-1]", "inputs[n-2]", "targets[n-1]")
    assert (task.samples, task.n_in, task.n_out, task.first) == (10, 4, 1, 2)
    np.testing.assert_array_equal(task.x, np.stack([U[2:], U[1:-1], U[:-2], Y[1:-1]], axis=1))
    np.testing.assert_array_equal(task.target[:, 0], Y[2:])
    assert list(task.regimes) == [(0, 2), (2, 10)]


def test_more_past_of_targets_than_of_inputs() -> None:
    task = Recording(np.stack([U, -U], axis=1), Y, target_taps=3)
    assert task.input_names == ("inputs.1[n]", "inputs.2[n]", *(f"targets[n-{lag}]" for lag in (1, 2, 3)))
    np.testing.assert_array_equal(task.x, np.stack([U[3:], -U[3:], Y[2:-1], Y[1:-2], Y[:-3]], axis=1))
    alone = Recording(None, Y, target_taps=2)
    np.testing.assert_array_equal(alone.x, np.stack([Y[1:-1], Y[:-2]], axis=1))


def test_scales_are_found_on_the_first_part() -> None:
    task = Recording(U, Y, taps=1, target_taps=1, first=5).fit_to((-2, 2), (-1, 3))
    known_u, known_y = U[:6], Y[:6]
    expected_u = -2 + 4 * (U - known_u.min()) / np.ptp(known_u)
    expected_y = -1 + 4 * (Y - known_y.min()) / np.ptp(known_y)
    past_y = -2 + 4 * (Y - known_y.min()) / np.ptp(known_y)
    np.testing.assert_allclose(task.x, np.stack([expected_u[1:], expected_u[:-1], past_y[:-1]], axis=1), atol=1e-12)
    np.testing.assert_allclose(task.target[:, 0], expected_y[1:], atol=1e-12)
    assert [(scale.name, scale.low, scale.high) for scale in task.scales] == [
        ("inputs", -2, 2),
        ("targets", -2, 2),
        ("targets", -1, 3),
    ]
    rest = U[6:]
    assert task.scales[0].outside == np.mean((rest < known_u.min()) | (rest > known_u.max()))
    np.testing.assert_allclose(task.in_units(task.target)[:, 0], Y[1:], atol=1e-12)
    np.testing.assert_allclose(task.to_units(np.ones((1, 1))), np.ptp(known_y) / 4)
    assert task.x[:5].min() == -2
    assert task.target[:5].min() == -1


def test_fitting_leaves_the_recording_as_it_was() -> None:
    task = Recording(U, Y)
    before = task.x.copy()
    assert task.fit_to((-1, 1), (-1, 1)) is not task
    np.testing.assert_array_equal(task.x, before)
    assert task.fit_to((-1, 1), None).to_units(np.ones((1, 1))) == 1
    own = Recording(U, Y, scale=False)
    assert own.fit_to((-1, 1), (-1, 1)) is own
    track = Track(30)
    assert track.fit_to((-1, 1), (-1, 1)) is track


def test_errors_are_those_of_whole_parts() -> None:
    task = Recording(U, Y, first=4)
    error = np.arange(12.0)[:, None]
    assert task.regime_errors(error) == [np.mean(error[:4] ** 2), np.mean(error[4:] ** 2)]
    assert task.regime_errors(error, last=1) == [9, 121]


def test_complex_columns_are_two() -> None:
    task = Recording(U + 1j * Y, Y - 1j * U)
    assert task.input_names == ("inputs.I[n]", "inputs.Q[n]")
    assert task.target_names == ("targets.I", "targets.Q")
    np.testing.assert_array_equal(task.target, np.stack([Y, -U], axis=1))


def test_a_recording_can_be_sent_to_another_process() -> None:
    task = pickle.loads(pickle.dumps(Recording(U, Y, taps=1)))
    np.testing.assert_array_equal(task.fit_to((-1, 1), (-1, 1)).x, Recording(U, Y, taps=1).fit_to((-1, 1), (-1, 1)).x)


def test_it_is_no_task_without_data() -> None:
    assert Recording not in TASKS.values()


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    rows = zip(ROWS, U.tolist(), Y.tolist(), strict=True)
    path.write_text("t,u,y\n" + "".join(f"{t},{u!r},{y!r}\n" for t, u, y in rows))
    task = Recording.read(path, inputs="u", targets=["y"], taps=1)
    assert (task.name, task.input_names, task.target_names) == ("run.csv", ("u[n]", "u[n-1]"), ("y",))
    np.testing.assert_array_equal(task.x, Recording(U, Y, taps=1).x)
    few = Recording.read(path, inputs=[2], targets=3, rows=7)
    np.testing.assert_array_equal(few.target[:, 0], Y[:7])
    path.write_text(path.read_text() + "99,none,1\n")
    again = Recording.read(path, inputs=[2], targets=3, rows=7)  # what is not taken need be no number
    np.testing.assert_array_equal(again.target, few.target)
    np.savez(tmp_path / "run.npz", u=[*U, np.nan], y=[*Y, 1.0])
    again = Recording.read(tmp_path / "run.npz", inputs="u", targets="y", rows=7)
    np.testing.assert_array_equal(again.target, few.target)


def test_columns_are_named_in_any_usual_way(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_text("t,u,y\n" + "".join(f"{t},{t * t},{t % 3}\n" for t in range(6)))
    for inputs in (1, "1", np.int64(1), np.array(1), np.array([1]), ("t",), np.array(["t"]), iter(["t"])):
        assert Recording.read(path, inputs=inputs, targets="u").input_names == ("t[n]",)  # type: ignore[arg-type]
    assert Recording.read(path, inputs=np.array([1, 3]), targets=2).input_names == ("t[n]", "y[n]")  # type: ignore[arg-type]
    assert Recording.read(path, inputs=None, targets="u", target_taps=1).input_names == ("u[n-1]",)


@pytest.mark.parametrize("inputs", [1.0, True, b"t", bytearray(b"t"), np.float64(1), np.bool_(True), np.array("t")])
def test_what_names_no_columns_is_refused_by_its_type(inputs: Any) -> None:
    kind = type(inputs).__name__
    with pytest.raises(InputError) as refusal:
        Recording.read("run.csv", inputs=inputs, targets="u")
    assert str(refusal.value) == (
        f"inputs = {represent(inputs)}: is of type {kind}; give names of columns, or their numbers from 1 on"
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"targets": None}, "targets: name the columns that are to be learned; columns are 1 't', 2 'u' and 3 'c'"),
        ({"targets": []}, "targets: name the columns that are to be learned; columns are 1 't', 2 'u' and 3 'c'"),
        ({"inputs": []}, "inputs: none; name columns, or give target_taps for past values of the targets"),
        ({"inputs": [], "target_taps": 1, "taps": 1}, "taps = 1: there are no inputs to take past values of"),
        ({"inputs": ["t", "u"]}, "targets = 'u': u is named twice; leave one out"),
        ({"inputs": "x"}, "inputs = 'x': no such column; columns are"),
        ({"targets": "c"}, "column 'c' is constant (7 in all rows); leave it out"),
        ({"rows": 1}, "1 row: too few; give 3 rows or more"),
        ({"rows": 4, "taps": 9}, "4 rows, of which 9 are the past of the first sample: too few; give 12 rows or more"),
        ({"taps": -1}, "taps = -1: must be 0 or more"),
        ({"target_taps": -1}, "target_taps = -1: must be 0 or more"),
        ({"first": 1}, "first = 1: must be 2 to 5, below the 6 samples"),
        ({"first": 6}, "first = 6: must be 2 to 5, below the 6 samples"),
        ({"decimal": ";"}, "decimal = ';': must be '.' or ','"),
        ({"rows": 0}, "rows = 0: must be 1 or more"),
    ],
)
def test_what_cannot_be_learned_is_refused(changes: dict[str, Any], line: str, tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_text("t,u,c\n" + "".join(f"{t},{t * t},7\n" for t in range(6)))
    with pytest.raises(InputError) as refusal:
        Recording.read(path, **{"inputs": "t", "targets": "u", **changes})
    said = str(refusal.value)
    assert said.removeprefix(f"data = {str(path)!r}: ").startswith(line)
    assert said.startswith("data = ") or set(changes) & {"decimal", "rows"}


def test_a_column_that_is_constant_at_first_has_no_scale() -> None:
    late = np.where(np.arange(40) < 20, 1.0, 2.0)
    with pytest.raises(InputError) as refusal:
        Recording(late, np.arange(40.0))
    assert str(refusal.value) == (
        "column 'inputs' is constant in the first part (1 in 10 rows), which gives scales; "
        "choose first so that it ends well after row 21"
    )
    Recording(late, np.arange(40.0), first=30)


def test_what_is_not_scaled_needs_no_scale() -> None:
    late = np.where(np.arange(40) < 20, 1.0, 2.0)
    task = Recording(np.arange(40.0), late, scale=False)
    assert task.target[:, 0].tolist() == late.tolist()
    assert task.to_units(np.ones((1, 1))).tolist() == [[1]]
    assert task.in_units(np.full((1, 1), 2.0)).tolist() == [[2]]
    with pytest.raises(InputError, match=r"^column 'targets' is constant in the first part"):
        task.normalise()
    with pytest.raises(InputError, match=r"^column 'targets' is constant \(1 in all rows\); leave it out$"):
        Recording(np.arange(40.0), np.ones(40), scale=False)


def test_small_integers_of_numpy_do_not_wrap() -> None:
    x = np.arange(400.0)
    few, plain = (Recording(x, x, taps=kind(100), first=kind(100)) for kind in (np.int8, int))
    np.testing.assert_array_equal(few.fit_to((-1, 1), (-1, 1)).x, plain.fit_to((-1, 1), (-1, 1)).x)


def test_arguments_of_another_kind_are_refused() -> None:
    x = np.arange(20.0)
    with pytest.raises(InputError, match=r"^scale = 'no': must be True or False$"):
        Recording(x, x, scale="no")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^path: .* give the name of a file$"):
        Recording.read(None, targets="a")  # type: ignore[arg-type]
    recording = Recording(x, 2 * x).fit_to((-2, 2), (-2, 2))
    np.testing.assert_allclose(recording.in_units(recording.target.tolist()), recording.unscaled_target)
    for values in ([1.0], np.ones((3, 2)), 1.0, "a"):
        with pytest.raises(InputError, match=r"^values: "):
            recording.in_units(values)


@pytest.mark.parametrize(
    ("inputs", "targets", "line"),
    [
        ([1, 2, np.nan, 4], [1, 2, 3, 4], "row 3 of 'inputs' is nan; give a number, or leave the row out"),
        (
            2**53 + np.arange(4),
            [1, 2, 3, 4],
            "row 2 of 'inputs' is 9007199254740993, which would be rounded to 9007199254740992; subtract an offset "
            "from the column",
        ),
        ([[1, 2], [3]], [1, 2], "inputs: is of type object; name an array of numbers"),
        (["a", "b"], [1, 2], "inputs: is text; name an array of numbers"),
        ([1, 2, 3, 4], [1, 2, 3], "'targets' has 3 rows, 'inputs' has 4; give columns of one length"),
        ([1, 2, 3, 4], 5, "targets: has shape (); name one of shape (rows,) or (rows, columns)"),
        ([1e308, -1e308, 0, 0], [1, 2, 3, 4], "column 'inputs': -1e+308 to 1e+308 is too wide a range; scale it down"),
        ([1, 2, 3, 1e160], [1, 2, 3, 4], "column 'inputs': 1 to 1e+160 is too wide a range; scale it down"),
        ([1, 2, 3, 4], np.arange(4) * 1e-170, "column 'targets': 0 to 1e-170 is too narrow a range; scale it up"),
    ],
)
def test_arrays_that_are_no_signals_are_refused(inputs: Any, targets: Any, line: str) -> None:
    with pytest.raises(InputError) as refusal:
        Recording(inputs, targets)
    assert str(refusal.value) == line


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"taps": 1.5}, "taps = 1.5: must be an integer"),
        ({"first": 3.5}, "first = 3.5: must be an integer"),
        ({"target_range": (1, 2, 3)}, "target_range = (1, 2, 3): must be two numbers, the lower one first"),
        ({"target_range": "ab"}, "target_range = 'ab': must be two numbers, the lower one first"),
        ({"inputs": np.ma.array(U, mask=np.arange(len(U)) == 2)}, "inputs[2] is masked; give a number, or leave"),
        ({"targets": np.ma.array(Y, mask=np.arange(len(Y)) == 3)}, "targets[3] is masked; give a number, or leave"),
    ],
)
def test_wrong_kinds_are_refused(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(line)}"):
        Recording(**{"inputs": U, "targets": Y, **changes})


def test_what_is_no_range_is_refused() -> None:
    for scale in (True, False):
        with pytest.raises(InputError, match=r"^target_range = \(2, -2\): must be two numbers, the lower one first"):
            Recording(U, Y, scale=scale).fit_to((-1, 1), (2, -2))
    with pytest.raises(InputError, match=r"^input_range = \(0, nan\): must be two numbers"):
        Recording(U, Y).fit_to((0, float("nan")), None)


def test_a_decimal_mark_is_for_text_alone(tmp_path: Path) -> None:
    np.savez(tmp_path / "run.npz", u=np.arange(8.0), y=np.arange(8.0))
    with pytest.raises(InputError, match=r": decimal = ',': numbers have a decimal mark in CSV alone; leave it out$"):
        Recording.read(tmp_path / "run.npz", inputs="u", targets="y", decimal=",")
