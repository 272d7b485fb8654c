"""Other people's readers find in every file what is in the map."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cmsis_svd.parser import SVDParser
from litex.tools.remote.csr_builder import CSRBuilder
from systemrdl import RDLCompiler
from systemrdl.node import RegNode
from systemrdl.rdltypes import OnWriteType

from kanrtl.bus.register_map import PlacedRegister, RegisterMap
from kanrtl.bus.writers import WRITERS, DescribedMap
from support.foreign_tools import need
from support.register_reads import addresses_of
from support.small_cores import NETWORKS_BY_OUTPUT, SPECS

BASE = 0x30000000

CORES = {
    "streams": (SPECS["linear"].replace(layer_sizes=[2, 3, 2]), True),
    "registers": (SPECS["after prediction"], False),
    "targets": (SPECS["no registers"].replace(initial="reset"), False),
    "guard": (SPECS["linear"].replace(guard={"window": 16, "error": 0.5}), False),
    "network": (NETWORKS_BY_OUTPUT["argmax"].network, False),
}


@pytest.fixture(params=CORES)
def described(request: pytest.FixtureRequest) -> DescribedMap:
    core, streams = CORES[request.param]
    return DescribedMap(RegisterMap.of(core, streams=streams), "tracker", BASE, "A core, for tests")


def numbers_of(map: RegisterMap) -> Iterator[tuple[str, int]]:
    """Name and address of every number of an array, without what is between its indices."""
    for numbers in map.arrays:
        for index, address in addresses_of(numbers):
            yield f"{numbers.name}{list(index)}", address


def access(readable: bool, writable: bool) -> str:
    return "r" * readable + "w" * writable


def expected_effect(placed: PlacedRegister) -> str | None:
    """What a write does, in the words of SVD; None where what is written is read."""
    if placed.name.startswith(("saturations_", "count_", "guard_count_")):
        return "clear"
    if placed.name in ("noise", "guard_status"):
        return "modify"
    if placed.name == "control":
        return "modify" if "restore" in {field.name for field in placed.register.fields} else None
    return "oneToClear" if placed.name == "events" else None


@pytest.mark.parametrize("name", ["level", "field", "internal", "w1", "true", "Level", "wzt"])
def test_names_that_are_keywords_of_system_rdl(name: str, tmp_path: Path) -> None:
    described = DescribedMap(RegisterMap.of(SPECS["linear"], streams=False), name, BASE, "A core, for tests")
    (tmp_path / "map.rdl").write_text(WRITERS["rdl"](described))
    compiler = RDLCompiler()
    compiler.compile_file(str(tmp_path / "map.rdl"))
    (ours,) = compiler.elaborate().top.children()
    assert ours.inst_name.removeprefix("\\") == name
    assert compiler.elaborate(name).top.inst_name.removeprefix("\\") == name


def test_system_rdl(described: DescribedMap, tmp_path: Path) -> None:
    """By the reference compiler."""
    (tmp_path / "map.rdl").write_text(WRITERS["rdl"](described))
    compiler = RDLCompiler()
    compiler.compile_file(str(tmp_path / "map.rdl"))
    (top,) = compiler.elaborate().top.children()
    registers, numbers = {}, []
    for node in top.descendants(unroll=True):
        if isinstance(node, RegNode):
            if node.parent == top and not node.is_array:
                registers[node.inst_name] = node
            else:
                numbers.append(node.absolute_address)
    assert {name: node.absolute_address for name, node in registers.items()} == {
        placed.name: BASE + placed.address for placed in described.map.registers
    }
    assert sorted(numbers) == sorted(BASE + address for _, address in numbers_of(described.map))
    assert "_on_bus" not in WRITERS["rdl"](replace(described, base=0))
    for placed in described.map.registers:
        found = {field.inst_name: field for field in registers[placed.name].fields()}
        assert found.keys() == {field.name for field in placed.register.fields}
        for field in placed.register.fields:
            theirs = found[field.name]
            assert (theirs.low, theirs.width) == (field.low, field.width)
            assert theirs.is_sw_readable == placed.register.readable
            assert theirs.is_sw_writable == placed.register.writable
            if placed.reset is not None:
                assert theirs.get_property("reset") == (placed.reset & field.mask) >> field.low
            assert theirs.is_hw_writable != placed.constant or not placed.register.readable
        written = expected_effect(placed)
        # No test may write there and read it again.
        assert registers[placed.name].get_property("donttest") == (written == "modify")
        effect = {"clear": OnWriteType.wclr, "oneToClear": OnWriteType.woclr}.get(str(written))
        assert all(field.get_property("onwrite") is effect for field in found.values())


def test_svd(described: DescribedMap, tmp_path: Path) -> None:
    (tmp_path / "map.svd").write_text(WRITERS["svd"](described))
    device = SVDParser.for_xml_file(str(tmp_path / "map.svd")).get_device()
    (peripheral,) = device.peripherals
    assert (peripheral.name, peripheral.base_address) == ("tracker", BASE)
    found = {register.name: register for register in peripheral.registers if hasattr(register, "fields")}
    for placed in described.map.registers:
        theirs = found[placed.name]
        assert theirs.address_offset == placed.address
        assert [(f.name, f.bit_offset, f.bit_width) for f in theirs.fields] == [
            (f.name, f.low, f.width) for f in placed.register.fields
        ]
        written = expected_effect(placed)
        told = [f.modified_write_values for f in theirs.fields]
        assert all(one is None if written is None else one is not None and one.value == written for one in told)
        expected = {"r": "read-only", "w": "write-only", "rw": "read-write"}
        assert theirs.access.value == expected[access(placed.register.readable, placed.register.writable)]
    addresses = sorted(walk_svd(peripheral.registers))
    assert addresses == sorted(
        [placed.address for placed in described.map.registers] + [address for _, address in numbers_of(described.map)]
    )


def walk_svd(elements: Any, start: int = 0) -> Iterator[int]:
    """The offset of every register, in arrays and nested clusters too.

    The reader has added the offset of a cluster to that of the registers in it, but not those of clusters around it."""
    for element in elements or ():
        if hasattr(element, "meta_register"):
            yield from (start + register.address_offset for register in element.registers)
        elif hasattr(element, "meta_cluster"):
            for cluster in element.clusters:
                within = [one for one in cluster.registers or () if hasattr(one, "meta_cluster")]
                yield from walk_svd((one for one in cluster.registers or () if one not in within), start)
                yield from walk_svd([*within, *(cluster.clusters or ())], start + cluster.address_offset)
        else:
            yield start + element.address_offset


# LiteX leaves the file open.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_csr_csv(described: DescribedMap, tmp_path: Path) -> None:
    """By the parser of LiteX's RemoteClient, whose registers are read and written then."""
    (tmp_path / "csr.csv").write_text(WRITERS["csv"](described))

    class Words:
        def __init__(self) -> None:
            self.written: list[tuple[int, list[int]]] = []

        def read(self, address: int, length: int) -> list[int]:
            return [address + length]

        def write(self, address: int, words: list[int]) -> None:
            self.written.append((address, words))

    words = Words()
    built = CSRBuilder(words, str(tmp_path / "csr.csv"))
    assert built.bases.d == {"tracker": BASE}
    assert built.regs.d.keys() == {f"tracker_{placed.name}" for placed in described.map.registers}
    for placed in described.map.registers:
        register, address = getattr(built.regs, f"tracker_{placed.name}"), BASE + placed.address
        if placed.register.readable:
            assert register.read() == address + 1
        if placed.register.writable:
            register.write(7)
            assert words.written[-1] == (address, [7])
    for numbers in described.map.arrays:
        memory = getattr(built.mems, f"tracker_{numbers.name}")
        assert (memory.base, memory.size) == (BASE + numbers.address, numbers.size)
        for dimension in numbers.dimensions:
            stem = f"tracker_{numbers.name}_{dimension.name}"
            found = (getattr(built.constants, f"{stem}_{what}") for what in ("count", "stride"))
            assert tuple(found) == (dimension.count, dimension.stride)


def test_csr_json(described: DescribedMap) -> None:
    """It says what csr.csv says."""
    content: dict[str, Any] = json.loads(WRITERS["json"](described))
    rows = [line.split(",") for line in WRITERS["csv"](described).splitlines() if not line.startswith("#")]
    registers = {name: {"addr": int(a, 0), "size": 1, "type": kind} for g, name, a, _, kind in rows if "register" in g}
    assert content["csr_registers"] == registers
    assert content["memories"] == {
        name: {"base": int(base, 0), "size": int(size), "type": kind}
        for group, name, base, size, kind in rows
        if group == "memory_region"
    }
    assert content["constants"] == {name: int(value) for group, name, value, _, _ in rows if group == "constant"}
    assert content["csr_bases"] == {"tracker": BASE}


def test_table(described: DescribedMap) -> None:
    """Every register and array has its row."""
    table = WRITERS["md"](described)
    for each in described.map.entries:
        assert table.count(f"| `{BASE + each.address:#06x}` | `{each.name}") == 1


_HARNESS = """\
#include <stdio.h>
#include <stdlib.h>
static unsigned long words[1 << 16];
static unsigned long load(unsigned long address)
{
    printf("r %lx\\n", address);
    return words[(address & 0xffff) / 4];
}
static void store(unsigned long address, unsigned long word)
{
    printf("w %lx %lx\\n", address, word);
    words[(address & 0xffff) / 4] = word;
}
#define KANRTL_READ(address) ((uint32_t)load(address))
#define KANRTL_WRITE(address, word) store(address, word)
#include "tracker.h"
int main(void)
{
    unsigned long address, word;
    while (scanf("%lx %lx", &address, &word) == 2)
        words[address / 4] = word;
"""


Run = Callable[[dict[int, int]], list[str]]


def compile_driver(described: DescribedMap, body: str, folder: Path) -> Run:
    """Compile the driver, pedantically, around a memory; give a function that runs it with some words there, and tells
    what it does."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    need("a C compiler", compiler)
    assert compiler is not None
    (folder / "tracker.h").write_text(WRITERS["c"](described))
    (folder / "main.c").write_text(_HARNESS + body + "    return 0;\n}\n")
    options = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    subprocess.run([compiler, *options, "main.c", "-o", "main"], cwd=folder, check=True)

    def run(words: dict[int, int]) -> list[str]:
        given = "".join(f"{address:x} {word:x}\n" for address, word in words.items())
        done = subprocess.run([str(folder / "main")], input=given, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    return run


def constants_of(map: RegisterMap) -> dict[int, int]:
    return {placed.address: placed.reset for placed in map.registers if placed.constant and placed.reset is not None}


def test_c_addresses_are_those_of_the_map(described: DescribedMap, tmp_path: Path) -> None:
    """By the names of the header, and by the functions that reach into arrays; plain memory access compiles too."""
    lines = []
    for placed in described.map.registers:
        lines.append(f'    printf("{placed.name} %lx\\n", (unsigned long)TRACKER_{placed.name.upper()});')
    expected = [f"{placed.name} {placed.address:x}" for placed in described.map.registers]
    for numbers in described.map.arrays:
        for index, address in addresses_of(numbers):
            arguments = ", ".join(f"{one}u" for one in index)
            if numbers.readable:
                lines.append(f"    (void)tracker_read_{numbers.name}(TRACKER_BASE, {arguments});")
                expected.append(f"r {BASE + address:x}")
            if numbers.readable and numbers.writable:
                lines.append(f"    tracker_write_{numbers.name}(TRACKER_BASE, {arguments}, -2);")
                expected.append(f"w {BASE + address:x} fffffffe")
    assert compile_driver(described, "\n".join(lines) + "\n", tmp_path)({}) == expected
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler is not None
    command = [compiler, "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-c", "-xc", "-", "-o", "plain.o"]
    program = '#include "tracker.h"\nint f(uintptr_t b) { return tracker_is_there(b); }\n'
    subprocess.run(command, cwd=tmp_path, input=program, text=True, check=True)


def test_c_knows_its_core(described: DescribedMap, tmp_path: Path) -> None:
    body = '    printf("%d\\n", tracker_is_there(TRACKER_BASE));\n'
    words, run = constants_of(described.map), compile_driver(described, body, tmp_path)
    assert run(words)[-1] == "1"
    for name in ("magic", "version", "digest_low", "digest_high"):
        wrong = words | {described.map.find(name).address: words[described.map.find(name).address] ^ 1}
        assert run(wrong)[-1] == "0"


def test_c_submits_and_teaches(tmp_path: Path) -> None:
    """With a status that says that everything is there, and one that never does."""
    core, streams = CORES["registers"]
    described = DescribedMap(RegisterMap.of(core, streams=streams), "tracker", BASE, "A core")
    at = {each.name: BASE + each.address for each in described.map.entries}
    body = """
    int32_t x[] = {-3}, target[] = {4, -5}, y[] = {0, 0};
    printf("%d\\n", tracker_submit(TRACKER_BASE, x, 1, y, 3));
    printf("%d %d\\n", y[0], y[1]);
    printf("%d\\n", tracker_teach(TRACKER_BASE, target, 3));
    tracker_freeze(TRACKER_BASE, 1);
"""
    status = described.map.find("status").register
    words = {
        at["status"] - BASE: status.pack(predicted=1, awaits_teaching=1),
        at["prediction"] - BASE: 5,
        at["prediction"] - BASE + 4: 0xFFFFFFFA,
    }
    run = compile_driver(described, body, tmp_path)
    assert run(words) == [
        f"r {at['status']:x}",
        f"w {at['sample']:x} fffffffd",
        f"w {at['submit']:x} 1",
        f"r {at['status']:x}",
        f"r {at['prediction']:x}",
        f"r {at['prediction'] + 4:x}",
        "0",
        "5 -6",
        f"r {at['status']:x}",
        f"w {at['target']:x} 4",
        f"w {at['target'] + 4:x} fffffffb",
        f"w {at['teach']:x} 1",
        "0",
        f"w {at['control']:x} 1",
    ]
    # A sample for which no prediction came is still there: what would be written is refused.
    assert run({at["status"] - BASE: status.pack(pending=1)})[:4] == [*[f"r {at['status']:x}"] * 3, "-1"]
    assert run({})[6:] == [
        "-1",
        "0 0",
        *[f"r {at['status']:x}"] * 3,
        "-1",
        f"w {at['control']:x} 1",
    ]
