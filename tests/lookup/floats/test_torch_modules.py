"""Sequentials of torch: with torch itself where it is there, with classes and files of its form in any case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl import InputError
from kanrtl.lookup import from_mlp
from support.importable import foreign
from support.torch_files import Called, Named, module, tensors, write_archive, write_stream

RANDOM = np.random.default_rng(12)
X = RANDOM.normal(1.0, 2.0, (200, 4))
FIRST, SQUARE, LAST = RANDOM.normal(size=(3, 4)), RANDOM.normal(size=(3, 3)), RANDOM.normal(size=(2, 3))


# As files hold them: every class by its name alone.


def saved(kind: str, parameters: dict[str, Any] | None = None, **attributes: Any) -> Called:
    return module(tensors(parameters or {}), {}, kind, "torch.nn.modules.any", **attributes)


def sequential(*parts: Any) -> Called:
    modules = {str(number): part for number, part in enumerate(parts)}
    return module({}, modules, "Sequential", "torch.nn.modules.container")


def test_a_whole_model_in_a_file_needs_no_names(tmp_path: Path) -> None:
    leaky = saved("LeakyReLU", negative_slope=0.3, inplace=False)
    norm = {"running_mean": np.array([0.5, 1.0, -1.0]), "running_var": np.array([1.0, 4.0, 0.5])}
    model = sequential(
        saved("Linear", {"weight": FIRST}),
        leaky,  # in two places, but one module
        sequential(saved("Dropout", p=0.5), saved("Linear", {"weight": SQUARE, "bias": np.ones(3)})),
        leaky,
        saved("BatchNorm1d", buffers=tensors(norm), eps=0.25),
        saved("Linear", {"weight": LAST}),
        saved("Hardtanh", min_val=-1.0, max_val=3.0),
    )
    hidden = X @ FIRST.T
    hidden = np.where(hidden > 0, hidden, 0.3 * hidden) @ SQUARE.T + 1
    hidden = np.where(hidden > 0, hidden, 0.3 * hidden)
    hidden = (hidden - norm["running_mean"]) / np.sqrt(norm["running_var"] + 0.25)
    expected = np.clip(hidden @ LAST.T, -1, 3)
    for write in (write_archive, write_stream):
        for content in (model, {"epoch": 3, "model": model}):
            kan = from_mlp(write(tmp_path / "model.pt", content))
            np.testing.assert_allclose(kan.evaluate(X)[-1], expected, atol=1e-5)
            assert [note.field for note in kan.notes] == (["epoch"] if isinstance(content, dict) else [])
    with pytest.raises(InputError, match="activations: the file holds the whole model"):
        from_mlp(tmp_path / "model.pt", "relu")


def test_one_linear_layer_may_stand_twice(tmp_path: Path) -> None:
    shared, tanh = saved("Linear", {"weight": SQUARE}), saved("Tanh")
    path = write_archive(tmp_path / "model.pt", sequential(saved("Linear", {"weight": FIRST}), shared, tanh, shared))
    expected = np.tanh(X @ FIRST.T @ SQUARE.T) @ SQUARE.T
    np.testing.assert_allclose(from_mlp(path).evaluate(X)[-1], expected, atol=1e-5)


def test_a_block_may_stand_twice_and_deep(tmp_path: Path) -> None:
    block = sequential(saved("Linear", {"weight": SQUARE}), saved("Tanh"))
    deep = block
    for _ in range(14):
        deep = sequential(deep)
    path = write_archive(tmp_path / "model.pt", sequential(saved("Linear", {"weight": FIRST}), block, deep, block))
    expected = X @ FIRST.T
    for _ in range(3):
        expected = np.tanh(expected @ SQUARE.T)
    np.testing.assert_allclose(from_mlp(path).evaluate(X)[-1], expected, atol=1e-5)
    for _ in range(30):
        deep = sequential(deep)
    with pytest.raises(InputError, match=r"0\.0\..*: more than 32 containers in one another"):
        from_mlp(write_archive(tmp_path / "model.pt", deep))


def test_texts_of_a_sequential_in_a_file_are_no_parts(tmp_path: Path) -> None:
    modules = {"0": saved("Linear", {"weight": FIRST})}
    model = module({}, modules, "Sequential", "torch.nn.modules.container", version="torch.v1.0")
    np.testing.assert_allclose(
        from_mlp(write_archive(tmp_path / "model.pt", model)).evaluate(X)[-1], X @ FIRST.T, atol=1e-5
    )


def test_hooks_in_a_file_are_not_left_out_in_silence(tmp_path: Path) -> None:
    def hooked(field: str, package: str) -> Path:
        part = module(
            tensors({"weight": FIRST}), {}, "Linear", "torch.nn.modules.any", **{field: {0: Named(package, "hook")}}
        )
        return write_archive(tmp_path / "model.pt", sequential(part))

    for field, what in (("_forward_hooks", "forward hook"), ("_forward_pre_hooks", "forward pre-hook")):
        with pytest.raises(InputError, match=f"0: has a {what}, which may change"):
            from_mlp(hooked(field, "mine"))
    kan = from_mlp(hooked("_forward_pre_hooks", "torch.nn.utils.prune"))
    np.testing.assert_allclose(kan.evaluate(X)[-1], X @ FIRST.T, atol=1e-5)


def test_other_modules_of_torch_in_a_file_have_code_of_their_own(tmp_path: Path) -> None:
    quantised = module(tensors({"weight": FIRST}), {}, "Linear", "torch.ao.nn.qat.modules.linear")
    with pytest.raises(InputError, match=r"0: torch\.ao\.nn\.qat\.modules\.linear\.Linear cannot be represented"):
        from_mlp(write_archive(tmp_path / "model.pt", sequential(quantised)))


def test_what_a_file_holds_in_code_of_its_own_is_no_sequential(tmp_path: Path) -> None:
    """The order and the functions of such a model are in its code alone."""
    parts = {"0": saved("Linear", {"weight": FIRST}), "1": saved("Tanh"), "2": saved("Linear", {"weight": LAST})}
    path = write_archive(tmp_path / "model.pt", module({}, parts, "Net", "mine"))
    with pytest.raises(InputError, match="activations: arrays do not have them"):
        from_mlp(path)
    inner = module({}, {}, "Sine", "mine")
    path = write_archive(tmp_path / "model.pt", sequential(saved("Linear", {"weight": FIRST}), inner))
    with pytest.raises(InputError, match=r"1: mine\.Sine cannot be represented: what code of its own computes"):
        from_mlp(path)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (saved("LeakyReLU"), "1: LeakyReLU without negative_slope; give the whole model"),
        (saved("Linear"), "1: Linear without weight"),
        (saved("BatchNorm1d", eps=1e-5), "1: BatchNorm1d without running statistics"),
        (saved("Softmax", dim=1), "1: Softmax cannot be represented: .* leave it out"),
        (saved("GELU", approximate="tanh"), r"1: GELU\(approximate = 'tanh'\) cannot be represented"),
        (saved("Softplus", beta=1.0, threshold=3.0), r"1: Softplus\(threshold = 3\) cannot be represented"),
        (saved("Wavelet"), "1: Wavelet cannot be represented: it is not known as a dense layer"),
    ],
)
def test_what_cannot_be_is_refused_by_name(part: Called, message: str, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "model.pt", sequential(saved("Linear", {"weight": FIRST}), part))
    with pytest.raises(InputError, match=message):
        from_mlp(path)


# In memory: classes with the names and the members that torch's have.


class Tensor:
    def __init__(self, numbers: Any) -> None:
        self._numbers = np.asarray(numbers, np.float32)

    def detach(self) -> Tensor:
        return self

    cpu = double = detach

    def numpy(self) -> Any:
        return self._numbers.astype(np.float64)


class Module:
    def __init__(self, modules: Any = (), **members: Any) -> None:
        self._modules = {str(number): part for number, part in enumerate(modules)}
        self._forward_pre_hooks: dict[int, Any] = {}
        self._forward_hooks: dict[int, Any] = {}
        self.training = False
        vars(self).update(members)

    def named_children(self) -> Any:
        raise AssertionError("leaves out what stands twice")

    def forward(self, x: Any) -> Any:
        raise AssertionError("not called")

    __call__ = forward


def live(kind: str, base: type = Module, package: str = "torch.nn.modules.any") -> Any:
    """A class of this name with a forward of its own."""
    return type(kind, (base,), {"__module__": package, "forward": lambda _, x: x})


LINEAR, SEQUENTIAL, TANH = live("Linear"), live("Sequential"), live("Tanh")


def linear(weight: Any) -> Any:
    return LINEAR(weight=Tensor(weight), bias=None)


def test_a_module_in_memory_may_stand_twice() -> None:
    tanh, shared = TANH(), linear(SQUARE)
    model = SEQUENTIAL([linear(FIRST), tanh, shared, tanh, shared, SEQUENTIAL([linear(LAST)])])
    expected = np.tanh(np.tanh(X @ FIRST.T) @ SQUARE.T) @ SQUARE.T @ LAST.T
    np.testing.assert_allclose(from_mlp(model).evaluate(X)[-1], expected, atol=1e-5)
    compiled = live("OptimizedModule", package="torch._dynamo.eval_frame")(_orig_mod=model)
    np.testing.assert_array_equal(from_mlp(compiled).evaluate(X)[-1], from_mlp(model).evaluate(X)[-1])


def test_a_class_is_what_its_forward_is() -> None:
    """Torch makes a class for parametrised weights; one of the user may compute something else under the same name."""
    weights = {"weight": Tensor(np.sign(FIRST)), "bias": None}
    parametrised = type("ParametrizedLinear", (LINEAR,), {"__module__": "torch.nn.utils.parametrize"})(**weights)
    np.testing.assert_allclose(from_mlp(SEQUENTIAL([parametrised])).evaluate(X)[-1], X @ np.sign(FIRST).T, atol=1e-5)
    for other in (live("Linear", LINEAR, "mine"), live("Linear", Module, "mine")):
        with pytest.raises(InputError, match=r"model\.0: mine\.Linear cannot be represented: what code of its own"):
            from_mlp(SEQUENTIAL([other(**weights)]))
    patched = linear(FIRST)
    patched.forward = lambda x: -x
    with pytest.raises(InputError, match=r"model\.0: torch\.nn\.modules\.any\.Linear cannot be represented"):
        from_mlp(SEQUENTIAL([patched]))


def test_hooks_are_not_left_out_in_silence() -> None:
    class Prune:
        __module__ = "torch.nn.utils.prune"

        def __call__(self, part: Any, inputs: Any) -> None:
            part.weight = Tensor(FIRST * (FIRST > 0))

    pruned = linear(FIRST)
    pruned._forward_pre_hooks[0] = Prune()
    np.testing.assert_allclose(from_mlp(SEQUENTIAL([pruned])).evaluate(X)[-1], X @ (FIRST * (FIRST > 0)).T, atol=1e-5)
    for field, what in (("_forward_hooks", "forward hook"), ("_forward_pre_hooks", "forward pre-hook")):
        hooked = SEQUENTIAL([linear(FIRST)])
        getattr(hooked, field)[0] = print
        with pytest.raises(InputError, match=f"model: has a {what}"):
            from_mlp(hooked)


# torch itself, which may be missing on a user's machine; bench measures with it.


@pytest.fixture(name="torch")
def _torch() -> Any:
    return foreign("torch")


def test_sequentials_of_torch(torch: Any, tmp_path: Path) -> None:
    nn = torch.nn
    torch.manual_seed(0)
    x = torch.tensor(X, dtype=torch.float32)
    functions = [
        nn.LeakyReLU(0.2),
        nn.ELU(0.5),
        nn.Softplus(2.0),
        nn.Hardtanh(-2, 1),
        nn.SiLU(),
        nn.GELU(),
        nn.PReLU(6),
    ]
    functions += [nn.Sigmoid(), nn.Tanh(), nn.SELU(), nn.CELU(0.7), nn.Mish(), nn.Hardswish(), nn.Tanhshrink()]
    functions += [nn.ReLU(), nn.ReLU6(), nn.RReLU(), nn.Softshrink(0.3), nn.Hardshrink(0.4), nn.Softsign()]
    for function in [*functions, nn.LogSigmoid(), nn.Hardsigmoid()]:
        model = nn.Sequential(
            nn.Linear(4, 6),
            nn.BatchNorm1d(6),
            function,
            nn.BatchNorm1d(6, eps=1e-2),
            nn.Sequential(nn.Dropout(), nn.Linear(6, 6), function, nn.Linear(6, 2)),
        )
        model(x)  # running statistics
        model.eval()
        expected = model(x).detach().numpy()
        np.testing.assert_allclose(from_mlp(model).evaluate(X)[-1], expected, atol=1e-5)
        torch.save(model, tmp_path / "model.pt")
        np.testing.assert_allclose(from_mlp(tmp_path / "model.pt").evaluate(X)[-1], expected, atol=1e-5)
    state = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    expected = state(x).detach().numpy()
    np.testing.assert_allclose(from_mlp(state.state_dict(), "relu").evaluate(X)[-1], expected, atol=1e-5)


def test_what_mixes_nodes_is_refused_by_torchs_name(torch: Any) -> None:
    nn = torch.nn
    for part, message in [
        (nn.Softmax(1), r"model.1: Softmax cannot be represented: .* leave it out"),
        (nn.Conv1d(1, 1, 3), "model.1: Conv1d cannot be represented: a convolution"),
        (nn.LayerNorm(2), "model.1: LayerNorm cannot be represented"),
        (nn.MultiheadAttention(2, 1), "model.1: MultiheadAttention cannot be represented: attention"),
        (nn.GELU("tanh"), "model.1: GELU"),
    ]:
        with pytest.raises(InputError, match=message):
            from_mlp(nn.Sequential(nn.Linear(4, 2), part).eval())
    with pytest.raises(InputError, match="model: is in the mode train"):
        from_mlp(nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)))
