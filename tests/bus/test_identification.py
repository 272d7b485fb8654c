"""What a core says that it is."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from bench.compatibility import LEARNERS, NETWORKS
from kanrtl import SQ, UQ, Learner, LearnerSpec, LookupCore, LookupNetwork
from kanrtl.bus.identification import MAGIC, MAP_VERSION, Identification, digest_network, digest_spec
from kanrtl.errors import InputError
from kanrtl.fabric.device import Device
from kanrtl.lookup.rtl.lookup_core import port_shapes

SPECS = {row.name: row.spec for row in LEARNERS}
CORES = SPECS | {row.name: row.network for row in NETWORKS}


@pytest.mark.parametrize("core", CORES.values(), ids=list(CORES))
def test_words_are_read_back(core: LearnerSpec | LookupNetwork) -> None:
    identification = Identification.of(core)
    words = identification.words
    assert words[0] == MAGIC == 0x4B414E52
    assert words[1] & 0xFFFF == MAP_VERSION
    assert len(words) == len(identification.registers)
    assert all(0 <= word < 1 << 32 for word in words)
    assert Identification.from_words(words) == identification
    assert Identification.from_words((*words, 0xFFFFFFFF)) == identification
    for register, word in zip(identification.registers, words, strict=True):
        assert register.pack(**register.unpack(word)) == word  # no bit outside of the fields


def test_names_of_registers_are_unlike() -> None:
    names = [register.name for register in Identification.of(SPECS["read-no-registers"]).registers]
    assert len(set(names)) == len(names)


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize("name", SPECS)
def test_learner_is_what_it_says(name: str) -> None:
    spec = SPECS[name]
    said, learner = Identification.of(spec), Learner(spec)
    assert said.kind == "learner"
    x = learner.samples.payload.x.shape()
    assert (said.n_in, said.input_format) == (x.length, x.elem_shape)
    y = learner.predictions.payload.shape()
    assert (said.n_out, said.output_format) == (y.length, y.elem_shape)
    assert said.after_prediction == ("teaching" in learner.signature.members)
    target = learner.teaching.payload.shape() if said.after_prediction else learner.samples.payload.target.shape()
    assert said.target_format == target.elem_shape
    assert said.gradient_format == learner.gradient.shape().elem_shape
    assert said.takes_gradients == (spec.loss == "external")
    assert [(layer.n_out, layer.n_in, layer.bases + layer.linear) for layer in said.layers] == [
        codes.shape for codes in spec.initial_codes()
    ]


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize("row", NETWORKS, ids=[row.name for row in NETWORKS])
def test_network_is_what_it_says(row) -> None:  # type: ignore[no-untyped-def]
    network, core = row.network, row.create()
    assert isinstance(core, LookupCore)
    said = Identification.of(network)
    assert (said.kind, said.output) == ("network", network.output)
    assert (said.n_in, said.n_out) == (core.samples.payload.shape().length, core.predictions.payload.shape().length)
    assert (said.input_format.as_shape(), said.output_format.as_shape()) == port_shapes(core)
    assert said.learning_rate_format is said.target_format is said.gradient_format is None


def test_equal_specs_have_one_digest(tracker: LearnerSpec) -> None:
    same = [
        LearnerSpec.from_dict(tracker.to_dict()),
        pickle.loads(pickle.dumps(tracker)),
        tracker.replace(table_size=tracker.table_size, learning_rate=np.float64(0.3), grid_range=(-2.0, 2)),
        tracker.replace(grid_size=[5], grid_range=[(-2, 2)], spline_order=(3,)),
        tracker.replace(input_format=None, loss="squared"),
    ]
    assert {digest_spec(spec) for spec in same} == {digest_spec(tracker)}
    zeros = [tracker.replace(initial_coefficients=[np.full((1, 1, 8), zero)]) for zero in (0, 0.0, -0.0)]
    assert len({digest_spec(spec) for spec in zeros}) == 1


def test_other_specs_have_other_digests() -> None:
    two = LearnerSpec(layer_sizes=[2, 2, 1], grid_range=(-2, 2))
    others = [
        {"layer_sizes": [2, 2, 2]},
        {"grid_range": (-2, 1)},
        {"grid_range": [(-2, 2), (-1, 2)]},
        {"grid_size": [8, 7]},
        {"grid_size": [7, 8]},
        {"learning_rate": [0.125, 0.25]},
        {"activation_format": SQ(6, 11)},
        {"coefficient_format": [SQ(6, 11), SQ(6, 12)]},
        {"seed": 1},
        {"teaching": "after_prediction"},
        {"loss": "external"},
        {"periodic": True},
        {"linear": True},
        {"linear": [True, False]},
        {"linear": True, "linear_rate": 0.25},
        {"schedule": "streaming"},
        {"schedule": "streaming", "pipeline": ["all_registers", "most_registers"]},
        {"learning_rate_format": UQ(0, 13)},
        {"update_rounding": "half_up"},
        {"initial_coefficients": "zeros"},
        {"initial_coefficients": [np.ones((2, 2, 11)), np.ones((1, 2, 11))]},
        {"initial_coefficients": [np.ones((2, 2, 11)), np.zeros((1, 2, 11))]},
    ]
    digests = [digest_spec(two), *(digest_spec(two.replace(**changes)) for changes in others)]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("schedule", ["sequential", "streaming"])
def test_how_it_is_built_does_not_count(schedule: str) -> None:
    """What is written for a device is still the learner of its spec; for all other fields a digest differs."""
    spec = LearnerSpec(layer_sizes=[2, 2, 1], grid_range=(-2, 2), schedule=schedule)
    assert digest_spec(spec.replace(initial="reset")) == digest_spec(spec)
    same = [spec.for_device(Device.parse(part)) for part in ("iCE40UP5K", "LFE5U-25F")]
    same.append(spec.replace(input_format=spec.formats.input, edge_sums="products", memory="block"))
    if schedule == "sequential":
        same.append(spec.replace(pipeline=["all_registers", "few_registers"]))
        same.append(spec.replace(reuse_factor=2, share_multipliers=True, multiplier="serial"))
    assert {digest_spec(other) for other in same} == {digest_spec(spec)}


def test_a_guards_numbers_count_by_their_value() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), counts=["lost"])
    one, other = (
        spec.replace(guard={"error": high, "stagnant_error": low, "stagnant_lost": 1})
        for high, low in ((2, 1), (2.0, 1.0))
    )
    assert one == other
    assert digest_spec(one) == digest_spec(other)
    negative, positive = (spec.replace(guard={"rails": 1, "error": zero}) for zero in (-0.0, 0.0))
    assert digest_spec(negative) == digest_spec(positive)


def test_digest_is_the_same_in_another_process(tracker: LearnerSpec) -> None:
    """With another seed of Python's own hashes."""
    network = NETWORKS[0].network
    program = (
        "from bench.compatibility import NETWORKS\nfrom kanrtl import LearnerSpec\n"
        "from kanrtl.bus.identification import digest_network, digest_spec\n"
        f"print(digest_spec(LearnerSpec(**{tracker.to_dict()!r})), digest_network(NETWORKS[0].network))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.split() == [str(digest_spec(tracker)), str(digest_network(network))]


def test_equal_networks_have_one_digest(tmp_path) -> None:  # type: ignore[no-untyped-def]
    networks = [row.network for row in NETWORKS]
    assert len({digest_network(network) for network in networks}) == len(networks)
    for network in networks:
        network.save(tmp_path / "network.npz")
        assert digest_network(LookupNetwork.load(tmp_path / "network.npz")) == digest_network(network)
    network = networks[0]
    assert digest_network(network.scale_outputs(1.0)) == digest_network(network)
    assert digest_network(network.scale_outputs(2.0)) != digest_network(network)
    assert digest_network(network.with_output("threshold", [1])) != digest_network(network)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: 0}, r"^identification: begins with 0x00000000, not 0x4b414e52; no kanrtl core is there$"),
        ({1: 7}, r"^identification: has version 7 of the map; this version of kanrtl reads 1$"),
        ({1: 1 | 5 << 16}, r"^identification: its words are damaged; read them again$"),
        ({5: 200}, r"^identification: its words are damaged; read them again$"),
        ({5: 3 << 16}, r"^identification: its words are damaged; read them again$"),
        ({6: 0}, r"^identification: its words are damaged; read them again$"),
        ({6: 1 << 24}, r"^identification: its words are damaged; read them again$"),
    ],
)
def test_other_words_are_refused(change: dict[int, int], message: str, tracker: LearnerSpec) -> None:
    words = list(Identification.of(tracker).words)
    for index, word in change.items():
        words[index] = word
    with pytest.raises(InputError, match=message):
        Identification.from_words(words)


@pytest.mark.parametrize("count", range(15))
def test_words_that_are_cut_are_refused(count: int, tracker: LearnerSpec) -> None:
    words = Identification.of(tracker).words[:count]
    with pytest.raises(InputError, match=r"^identification: "):
        Identification.from_words(words)
