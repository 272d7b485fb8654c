"""A register map as a header in C99, with a small driver: nothing but ``stdint.h`` is needed."""

from __future__ import annotations

from ..register_map import Numbers, PlacedRegister
from .described_map import DescribedMap

__all__ = ["write_c"]

_READ = """\
/* How a word is read and written: define both before, where memory is not simply mapped. */
#ifndef KANRTL_READ
#define KANRTL_READ(address) (*(volatile uint32_t *)(address))
#define KANRTL_WRITE(address, word) (*(volatile uint32_t *)(address) = (word))
#endif
"""

_IDENTIFY = """\
/* Whether the core that this header was written for is at base. */
static inline int {p}_is_there(uintptr_t base)
{{
    return KANRTL_READ(base + {P}_MAGIC) == {P}_MAGIC_WORD && KANRTL_READ(base + {P}_VERSION) == {P}_VERSION_WORD &&
           KANRTL_READ(base + {P}_DIGEST_LOW) == {P}_DIGEST_LOW_WORD &&
           KANRTL_READ(base + {P}_DIGEST_HIGH) == {P}_DIGEST_HIGH_WORD;
}}
"""

_FREEZE = """\
/* Whether samples are predicted alone, and nothing is learned. */
static inline void {p}_freeze(uintptr_t base, int frozen)
{{
    KANRTL_WRITE(base + {P}_CONTROL, frozen ? {P}_CONTROL_FREEZE_MASK : 0u);
}}
"""

_RESTORE = """\
/* Brings coefficients, rates, noise and counters to their start, and waits for that; what is frozen stays so. */
static inline void {p}_restore(uintptr_t base)
{{
    KANRTL_WRITE(base + {P}_CONTROL, KANRTL_READ(base + {P}_CONTROL) | {P}_CONTROL_RESTORE_MASK);
    (void)KANRTL_READ(base + {P}_CONTROL);
}}
"""

_SUBMIT = """\
/* Waits until a bit of the status is as wanted, for so many reads of it; gives 0, or -1 where it does not come. */
static inline int {p}_await(uintptr_t base, uint32_t mask, uint32_t wanted, unsigned tries)
{{
    while (tries--)
        if ((KANRTL_READ(base + {P}_STATUS) & mask) == wanted)
            return 0;
    return -1;
}}

/* Sends {n_in} codes to be predicted{or_learned}, and gives the {n_out} codes of the prediction.
   Gives 0, or -1 where none came; nothing is sent while that of an earlier sample is due. */
static inline int {p}_submit(uintptr_t base, const int32_t *sample, {target}int32_t *prediction, unsigned tries)
{{
    unsigned i;
    if ({p}_await(base, {P}_STATUS_PENDING_MASK, 0u, tries))
        return -1;
    for (i = 0; i < {n_in}u; i++)
        KANRTL_WRITE(base + {P}_SAMPLE + 4u * i, (uint32_t)sample[i]);
{send}    if ({p}_await(base, {P}_STATUS_PREDICTED_MASK, {P}_STATUS_PREDICTED_MASK, tries))
        return -1;
    for (i = 0; i < {n_out}u; i++)
        prediction[i] = (int32_t)KANRTL_READ(base + {P}_PREDICTION + 4u * i);
    return 0;
}}
"""

_TEACH = """\
/* Sends the {n_out} codes of the teacher for the last sample that was to be learned; 0, or -1 where none is awaited. */
static inline int {p}_teach(uintptr_t base, const int32_t *target, unsigned tries)
{{
    unsigned i;
    if ({p}_await(base, {P}_STATUS_AWAITS_TEACHING_MASK, {P}_STATUS_AWAITS_TEACHING_MASK, tries))
        return -1;
    for (i = 0; i < {n_out}u; i++)
        KANRTL_WRITE(base + {P}_TARGET + 4u * i, (uint32_t)target[i]);
    KANRTL_WRITE(base + {P}_TEACH, 1u);
    return 0;
}}
"""


def write_c(described: DescribedMap) -> str:
    """Write the map as a header: addresses, masks and shifts of fields, and functions for what is done most."""
    prefix, upper = described.name, described.name.upper()
    guard = f"KANRTL_{upper}_H"
    lines = [f"/* {described.title}. */", f"#ifndef {guard}", f"#define {guard}", "", "#include <stdint.h>", ""]
    lines += ["/* Bytes of the map, and where it lies unless it is moved. */"]
    lines += [f"#define {upper}_SIZE {described.size:#x}u", f"#define {upper}_BASE {described.base:#x}u", ""]
    for placed in described.map.registers:
        lines += _register_lines(placed, upper)
    for numbers in described.map.arrays:
        lines += _array_lines(numbers, upper)
    lines += ["", _READ, _IDENTIFY.format(p=prefix, P=upper)]
    names = {placed.name for placed in described.map.registers}
    if "control" in names:
        lines.append(_FREEZE.format(p=prefix, P=upper))
    if described.map.identification.restores:
        lines.append(_RESTORE.format(p=prefix, P=upper))
    lines += [_element_functions(numbers, prefix, upper) for numbers in described.map.arrays if numbers.readable]
    if not described.map.streams:
        lines.append(_submit_function(described, prefix, upper))
    if "teach" in names:
        count = described.map.identification.n_out
        lines.append(_TEACH.format(p=prefix, P=upper, n_out=count))
    return "\n".join([*lines, "#endif"]) + "\n"


def _register_lines(placed: PlacedRegister, upper: str) -> list[str]:
    """Define the address of a register, what it holds, and its fields."""
    name = f"{upper}_{placed.name.upper()}"
    lines = [f"/* {placed.register.description} */", f"#define {name} {placed.address:#x}u"]
    if placed.constant:
        lines.append(f"#define {name}_WORD {placed.reset:#x}u")
    if placed.format is not None:
        lines.append(f"#define {name}_FRACTION_BITS {placed.format.f}")
    for field in placed.register.fields:
        if field.width < 32:
            stem = f"{name}_{field.name.upper()}"
            lines += [f"#define {stem}_MASK {field.mask:#x}u", f"#define {stem}_SHIFT {field.low}"]
    return lines


def _array_lines(numbers: Numbers, upper: str) -> list[str]:
    """Define address, counts and format of an array."""
    name = f"{upper}_{numbers.name.upper()}"
    lines = [f"/* {numbers.description} Format {numbers.format}. */", f"#define {name} {numbers.address:#x}u"]
    lines.append(f"#define {name}_FRACTION_BITS {numbers.format.f}")
    for dimension in numbers.dimensions:
        stem = f"{name}_{dimension.name.upper()}"
        lines += [f"#define {stem}_COUNT {dimension.count}u", f"#define {stem}_STRIDE {dimension.stride:#x}u"]
    return lines


def _element_functions(numbers: Numbers, prefix: str, upper: str) -> str:
    """Write functions that read, and where it can be done write, a number of an array."""
    name = f"{upper}_{numbers.name.upper()}"
    indices = [dimension.name for dimension in numbers.dimensions]
    arguments = "".join(f", unsigned {index}" for index in indices)
    terms = " + ".join(f"{name}_{index.upper()}_STRIDE * {index}" for index in indices)
    address = f"base + {name} + {terms}"
    text = (
        f"static inline int32_t {prefix}_read_{numbers.name}(uintptr_t base{arguments})\n{{\n"
        f"    return (int32_t)KANRTL_READ({address});\n}}\n"
    )
    if numbers.writable:
        text += (
            f"\nstatic inline void {prefix}_write_{numbers.name}(uintptr_t base{arguments}, int32_t code)\n{{\n"
            f"    KANRTL_WRITE({address}, (uint32_t)code);\n}}\n"
        )
    return text


def _submit_function(described: DescribedMap, prefix: str, upper: str) -> str:
    """Write the function that sends a sample through registers."""
    identification = described.map.identification
    learner = identification.kind == "learner"
    with_target = learner and not identification.after_prediction
    target = "const int32_t *target, " if with_target else "int learn, " if learner else ""
    send = ""
    if with_target:
        send += f"    for (i = 0; target && i < {identification.n_out}u; i++)\n"
        send += f"        KANRTL_WRITE(base + {upper}_TARGET + 4u * i, (uint32_t)target[i]);\n"
    learn = "target ? 1u : 0u" if with_target else "learn ? 1u : 0u" if learner else "1u"
    send += f"    KANRTL_WRITE(base + {upper}_SUBMIT, {learn});\n"
    told = " (and learned, where there is a target)" if with_target else " (and learned)" if learner else ""
    return _SUBMIT.format(
        p=prefix,
        P=upper,
        n_in=identification.n_in,
        n_out=identification.n_out,
        or_learned=told,
        target=target,
        send=send,
    )
