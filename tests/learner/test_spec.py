"""What a spec accepts, how it refuses the rest, and that it survives a file."""

import inspect
import json
import os
import pickle
import re
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kanrtl import LearnerSpec, SpecError
from kanrtl.build import Device
from kanrtl.errors import represent
from kanrtl.learner.stages import PRESETS
from kanrtl.loop import GuardSettings
from kanrtl.numeric.fixed import SQ, UQ, Format
from support.reference_arithmetic import reference_narrow
from support.search import examples

PLAIN = {"layer_sizes": [1, 1], "grid_range": [-2, 2]}
TWO_LAYERS = PLAIN | {"layer_sizes": [1, 2, 1]}

SIZES = "must be a list of 2 to 5 sizes, from the inputs to the outputs"
PAIR = "must be two numbers, the lowest and the highest x, or a list with one such pair per layer"
EACH = "must be one value or a list of 2, one per layer"
FAR = "bounds must be 1e-300 or more apart, and 1e+300 or less in magnitude; scale the signal"
FORMAT = "is not a format; write SQ(i, f) for signed or UQ(i, f) for unsigned"
ARRAYS = 'must be "zeros", "uniform", or a list of one array (n_out, n_in, bases) per layer'


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layer_sizes": []}, f"layer_sizes = []: {SIZES}"),
        ({"layer_sizes": [1]}, f"layer_sizes = [1]: {SIZES}"),
        ({"layer_sizes": [1] * 6}, f"layer_sizes = [1, 1, 1, 1, 1, 1]: {SIZES}"),
        ({"layer_sizes": "1, 1"}, f"layer_sizes = '1, 1': {SIZES}"),
        ({"layer_sizes": [1, 0]}, "layer_sizes[1] = 0: must be 1 or more"),
        ({"layer_sizes": [1025, 1]}, "layer_sizes[0] = 1025: must be 1024 or less"),
        ({"layer_sizes": [True, 1]}, "layer_sizes[0] = True: must be an integer"),
        ({"grid_size": 0}, "grid_size = 0: must be 1 or more"),
        ({"grid_size": 5000}, "grid_size = 5000: must be 4096 or less"),
        ({"grid_size": 2.5}, "grid_size = 2.5: must be an integer"),
        ({"grid_size": "8"}, "grid_size = '8': must be an integer"),
        ({"grid_size": [8, -1]}, "grid_size[1] = -1: must be 1 or more"),
        ({"grid_size": [8]}, f"grid_size = (8,): {EACH}"),
        (
            {"grid_range": [2, -2]},
            "grid_range = (2.0, -2.0): upside down or empty; the first bound must be the lower",
        ),
        (
            {"grid_range": [1, 1]},
            "grid_range = (1.0, 1.0): upside down or empty; the first bound must be the lower",
        ),
        ({"grid_range": ["a", 2]}, "grid_range[0] = 'a': must be a number"),
        ({"grid_range": [0, float("inf")]}, "grid_range[1] = inf: must be a finite number"),
        ({"grid_range": [[-2, 2], [0, float("nan")]]}, "grid_range[1][1] = nan: must be a finite number"),
        ({"grid_range": 5}, f"grid_range = 5: {PAIR}"),
        ({"grid_range": [1]}, f"grid_range = [1]: {PAIR}"),
        ({"grid_range": [1, 2, 3]}, f"grid_range = [1, 2, 3]: {PAIR}"),
        ({"grid_range": [[-2, 2], [1, 2, 3]]}, f"grid_range[1] = [1, 2, 3]: {PAIR}"),
        ({"grid_range": [[-2, 2]]}, f"grid_range = ((-2.0, 2.0),): {EACH}"),
        (
            {"grid_range": [0, 1e-300]},
            "gradient_format = SQ(1006, 0): is 1006 bits wide, the limit is 62; "
            "it follows from output_format and grid_range: change that, or give gradient_format",
        ),
        (
            {"grid_range": [0, 1e-300], "gradient_format": "SQ(6, 10)", "slope_format": "SQ(6, 10)"},
            "grid_range = (0.0, 1e-300): a derivative in cells of 1.25e-301 would need 1002 bits, "
            "the limit is 62; choose cells nearer to 1, or narrow basis_format",
        ),
        (
            {"grid_range": [-1e299, 1e299]},
            "input_format = SQ(996, 0): is 996 bits wide, the limit is 62; "
            "it follows from grid_range: change that, or give input_format",
        ),
        (
            {"layer_sizes": [1, 1], "grid_range": [0, 1e-300]},
            "grid_range = (0.0, 1e-300): a derivative in cells of 1.25e-301 would need 1002 bits, "
            "the limit is 62; choose cells nearer to 1, or narrow basis_format",
        ),
        ({"spline_order": 4}, "spline_order = 4: must be 3 or less"),
        ({"spline_order": [3, 0]}, "spline_order[1] = 0: must be 1 or more"),
        ({"learning_rate": -0.1}, "learning_rate = -0.1: must be above 0"),
        ({"learning_rate": 257}, "learning_rate = 257: must be 256 or less"),
        ({"learning_rate": float("nan")}, "learning_rate = nan: must be a finite number"),
        ({"learning_rate": [0.1, 0.2, 0.3]}, f"learning_rate = (0.1, 0.2, 0.3): {EACH}"),
        (
            {"learning_rate": 1e-4, "learning_rate_format": "UQ(1, 8)"},
            "learning_rate = 0.0001: rounds to zero in UQ(1, 8); "
            "raise it to 0.00390625 or more, or set learning_rate_format",
        ),
        (
            {"learning_rate": [0.5, 2], "learning_rate_format": "UQ(1, 8)"},
            "learning_rate = 2.0: is above the highest value of learning_rate_format UQ(1, 8); add integer bits",
        ),
        (
            {"learning_rate": 1e-30},
            "learning_rate_format = UQ(0, 104): is 104 bits wide, the limit is 62; "
            "it follows from learning_rate: change that, or give learning_rate_format",
        ),
        (
            {"linear": True, "input_format": "SQ(24, 10)"},
            "linear_rate = 0.03125: every step inside the grid rounds to zero in SQ(20, 0), which follows from it and "
            "inputs in SQ(24, 10); narrow these, or give a finer linear_step_format",
        ),
        (
            {"linear": True, "linear_rate": 1e-9, "linear_step_format": "SQ(1, 15)"},
            "linear_step_format = SQ(1, 15): every step of linear_rate 1e-09 inside the grid rounds to zero; "
            "add fraction bits, or scale the inputs",
        ),
        (
            {"loss": "logistic", "target_range": [-0.1, 0.1]},
            'target_range = (-0.1, 0.1): gives outputs SQ(-1, 17), and with loss = "logistic" targets are '
            "0 and 1 and outputs are logits; leave it out, or give an output_format",
        ),
        (
            {"linear": True, "target_range": [-1, 1], "linear_step_format": "SQ(1, 52)"},
            "linear_step_format = SQ(1, 52): linear_update_product of layer 0 would need 69 bits, the limit is 62; "
            "narrow it",
        ),
        (
            {"loss": "logistic", "target_range": [0, 1]},
            'target_range = (0.0, 1.0): gives outputs SQ(2, 14), and with loss = "logistic" targets are '
            "0 and 1 and outputs are logits; leave it out, or give an output_format",
        ),
        ({"outside": "clamp"}, "outside = 'clamp': must be 'auto', 'hold' or 'learn'"),
        ({"outside": ["hold"]}, f"outside = ('hold',): {EACH}"),
        ({"counts": "lost"}, 'counts = \'lost\': must be a list of what is counted: "outside", "lost"'),
        ({"counts": ["step"]}, "counts[0] = 'step': must be 'outside' or 'lost'"),
        ({"gradient_limit": -1}, "gradient_limit = -1: must be 0 or more"),
        (
            {"gradient_limit": 2**-12},
            "gradient_limit = 0.000244140625: rounds to zero in gradient_format SQ(6, 10); raise it to 0.0009765625 or "
            "more",
        ),
        (
            {"gradient_limit": 32},
            "gradient_limit = 32.0: is above 31.9990234375, the highest value of gradient_format SQ(6, 10); lower it, "
            "or leave it out",
        ),
        ({"table_size": 48}, "table_size = 48: must be a power of two, such as 64"),
        ({"table_size": 8192}, "table_size = 8192: must be 4096 or less"),
        ({"table_sise": 64}, "table_sise = 64: unknown field; did you mean 'table_size'?"),
        (
            {"x\ny": "a\nb"},
            r"x y = 'a\nb': unknown field; known are layer_sizes, grid_range, grid_size, spline_order",
        ),
        ({"activation_format": "SQ6,10"}, f"activation_format = 'SQ6,10': {FORMAT}"),
        (
            {"activation_format": "SQ(-4, 4)"},
            "activation_format = 'SQ(-4, 4)': SQ(-4, 4): fraction bits must be at least 0, "
            "and with the integer bits at least 1",
        ),
        ({"activation_format": 12}, 'activation_format = 12: must be a format such as "SQ(6, 10)"'),
        (
            {"activation_format": "SQ(2, 14)", "grid_range": [-4, 4]},
            "activation_format = SQ(2, 14): does not reach the grid_range (-4.0, 4.0); add integer bits",
        ),
        (
            {"input_format": "SQ(2, 14)", "grid_range": [-4, 4]},
            "input_format = SQ(2, 14): does not reach the grid_range (-4.0, 4.0); add integer bits",
        ),
        (
            {"activation_format": "SQ(6, 10)", "grid_range": [0, 2**-9]},
            "activation_format = SQ(6, 10): has 2 codes in the grid_range (0.0, 0.001953125) of 8 cells, "
            "and 8 are needed; use SQ(6, 12)",
        ),
        (
            {"input_format": "SQ(6, 3)", "grid_size": 100},
            "input_format = SQ(6, 3): has 32 codes in the grid_range (-2.0, 2.0) of 100 cells, "
            "and 100 are needed; use SQ(6, 5)",
        ),
        (
            {"activation_format": "SQ(6, 10)", "grid_range": [[-2, 2], [0, 2**-9]], "input_format": "SQ(4, 12)"},
            "activation_format = SQ(6, 10): has 2 codes in the grid_range (0.0, 0.001953125) of 8 cells, "
            "and 8 are needed; use SQ(6, 12)",
        ),
        *(
            ({"grid_range": bounds}, f"grid_range = {bounds}: {FAR}")
            for bounds in ((-1e-310, 1e-310), (-5e-324, 5e-324), (0.0, 1e305))
        ),
        *(
            ({"target_range": bounds, **more}, f"target_range = {bounds}: {FAR}")
            for bounds, more in (((0.0, 3e-308), {}), ((-1.7e308, 1.7e308), {"gradient_limit": 1.0}))
        ),
        ({"learning_rate": 1e-320}, "learning_rate = 1e-320: must be 1e-300 or more; raise it, or scale the signals"),
        (
            {"linear": True, "linear_rate": 1e-320},
            "linear_rate = 1e-320: must be 1e-300 or more; raise it, or scale the signals",
        ),
        (
            {"output_format": "SQ(-2000, 2010)"},
            "output_format = SQ(-2000, 2010): has 2010 fraction bits, the limit is 1020; scale the signal",
        ),
        (
            {"target_range": [1, -1]},
            "target_range = (1.0, -1.0): upside down or empty; the first bound must be the lower",
        ),
        *(
            ({"target_range": given}, f"target_range = {shown}: must be two numbers, the lowest and the highest target")
            for given, shown in (([1], "[1]"), ([1, 2, 3], "[1, 2, 3]"), (5, "5"), ("0,1", "'0,1'"))
        ),
        (
            {"target_range": [3, 3]},
            "target_range = (3.0, 3.0): upside down or empty; the first bound must be the lower",
        ),
        (
            {"target_range": [-9, 9], "output_format": "SQ(4, 12)"},
            "output_format = SQ(4, 12): does not reach the target_range (-9.0, 9.0); add integer bits",
        ),
        (
            {"coefficient_format": "SQ(6, 14)", "factor_format": "SQ(5, 10)"},
            "factor_format = SQ(5, 10): must be high bits of coefficient_format SQ(6, 14): SQ(6, f) with f up to 14",
        ),
        (
            {"coefficient_format": ["SQ(6, 14)", "SQ(4, 8)"], "factor_format": ["SQ(6, 14)", "SQ(4, 9)"]},
            "factor_format = SQ(4, 9): must be high bits of coefficient_format SQ(4, 8): SQ(4, f) with f up to 8",
        ),
        ({"slope_format": ["SQ(6, 10)"]}, f"slope_format = (SQ(6, 10),): {EACH}"),
        ({"coefficient_format": "UQ(6, 10)"}, "coefficient_format = UQ(6, 10): must be signed, SQ(i, f)"),
        ({"activation_format": "UQ(0, 61)"}, "activation_format = UQ(0, 61): must be signed, SQ(i, f)"),
        ({"basis_format": "SQ(2, 8)"}, "basis_format = SQ(2, 8): must be unsigned, UQ(i, f)"),
        (
            {"basis_format": "UQ(1, 2)"},
            "basis_format = UQ(1, 2): too narrow: a basis of spline_order 3 is zero in every row; add fraction bits",
        ),
        (
            {"basis_format": "UQ(0, 4)", "spline_order": 1},
            "basis_format = UQ(0, 4): cannot hold the basis's largest value; use UQ(1, 4)",
        ),
        (
            {"basis_format": "UQ(1, 70)"},
            "basis_format = UQ(1, 70): is 71 bits wide, the limit is 62; narrow it",
        ),
        (
            {"loss": "logistic", "activation_format": "SQ(1, 15)", "grid_range": [-0.5, 0.5]},
            "activation_format = SQ(1, 15): cannot hold a target of 1, "
            'which loss = "logistic" needs; use SQ(2, f) or wider',
        ),
        (
            {"coefficient_format": "SQ(20, 30)"},
            "coefficient_format = SQ(20, 30): edge_sum of layer 0 would need 75 bits, the limit is 62; "
            "narrow it or basis_format",
        ),
        (
            {"gradient_format": "SQ(6, 45)", "step_format": "UQ(1, 8)", "update_rounding": "half_up"},
            "gradient_format = SQ(6, 45): downstream_sum of layer 1 would need 67 bits, the limit is 62; "
            "narrow it or slope_format",
        ),
        (
            {"activation_format": "SQ(6, 52)", "coefficient_format": "SQ(12, 4)"},
            "coefficient_format = SQ(12, 4): node_sum of layer 0 would need 64 bits, the limit is 62; "
            "narrow it or basis_format",
        ),
        (
            {"coefficient_format": None, "gradient_format": None, "activation_format": "SQ(10, 30)"},
            "gradient_format = SQ(10, 30): downstream_sum of layer 1 would need 80 bits, the limit is 62; "
            "it follows from activation_format: change that, or give gradient_format",
        ),
        (
            {"coefficient_format": None, "output_format": "SQ(9, 43)"},
            "gradient_format = SQ(15, 37): update_product of layer 0 would need 78 bits, the limit is 62; "
            "it follows from output_format and grid_range: change that, or give gradient_format",
        ),
        (
            {"learning_rate_format": "UQ(1, 60)"},
            "learning_rate_format = UQ(1, 60): step_product of layer 0 would need 71 bits, the limit is 62; narrow it",
        ),
        (
            {
                "grid_range": [-3, 3],
                "activation_format": "SQ(30, 25)",
                "coefficient_format": "SQ(6, 10)",
                "gradient_format": "SQ(6, 10)",
            },
            "activation_format = SQ(30, 25): position of layer 0 would need 66 bits, the limit is 62; "
            "narrow it or table_size",
        ),
        (
            {"basis_format": "UQ(1, 30)", "learning_rate_format": "UQ(1, 40)"},
            "basis_format = UQ(1, 30): step_product of layer 0 would need 72 bits, the limit is 62; "
            "narrow it or learning_rate_format",
        ),
        (
            {"gradient_format": "SQ(6, 45)"},
            "gradient_format = SQ(6, 45): update_product of layer 0 would need 63 bits, the limit is 62; "
            "narrow it or step_format",
        ),
        (
            {"step_format": "UQ(2, 44)"},
            "step_format = UQ(2, 44): update_sum of layer 0 would need 63 bits, the limit is 62; narrow it",
        ),
        (
            {"leak": 32, "coefficient_format": "SQ(8, 24)"},
            "leak = 32: update_sum of layer 0 would need 65 bits, the limit is 62; choose it smaller",
        ),
        ({"leak": -1}, "leak = -1: must be 0 or more"),
        ({"step_format": "SQ(3, 12)"}, "step_format = SQ(3, 12): must be unsigned, UQ(i, f)"),
        (
            {"step_format": "UQ(1, 3)", "learning_rate": 2**-6},
            "step_format = UQ(1, 3): every step of learning_rate 0.015625 rounds to zero; add fraction bits",
        ),
        (
            {"step_format": "UQ(1, 4)", "learning_rate": [0.5, 2**-4], "rounding": "floor"},
            "step_format = UQ(1, 4): every step of learning_rate 0.0625 rounds to zero; add fraction bits",
        ),
        (
            {"learning_rate": 1e-6},
            "learning_rate = 1e-06: every step rounds to zero in UQ(0, 16), which follows from it; raise it, or give a "
            "finer step_format",
        ),
        ({"rounding": "stochastic"}, "rounding = 'stochastic': must be 'floor', 'half_up' or 'half_even'"),
        ({"loss": "cubic"}, "loss = 'cubic': must be 'squared', 'logistic' or 'external'"),
        ({"teaching": "later"}, "teaching = 'later': must be 'with_sample' or 'after_prediction'"),
        ({"memory": ["auto", "dram"]}, "memory[1] = 'dram': must be 'auto', 'distributed' or 'block'"),
        ({"table_memory": "distributed"}, "table_memory = 'distributed': must be 'auto', 'logic' or 'block'"),
        ({"table_memory": ["auto"] * 3}, f"table_memory = ('auto', 'auto', 'auto'): {EACH}"),
        (
            {"pipeline": "fast"},
            "pipeline = 'fast': must be one of 'auto', 'no_registers', 'few_registers', 'most_registers', "
            "'all_registers', or a list of stages",
        ),
        ({"pipeline": "single"}, "pipeline = 'single': is called 'no_registers' now; use that"),
        ({"pipeline": "low_latency"}, "pipeline = 'low_latency': is called 'few_registers' now; use that"),
        ({"pipeline": "high_clock"}, "pipeline = 'high_clock': is called 'most_registers' now; use that"),
        ({"pipeline": "full"}, "pipeline = 'full': is called 'all_registers' now; use that"),
        (
            {"pipeline": ["full", ["sum"]]},
            "pipeline = ['full', ['sum']]: 'full' is called 'all_registers' now; use that",
        ),
        (
            {"pipeline": ["sum", "subtract"]},
            "pipeline = ['sum', 'subtract']: 'subtract' is no stage; "
            "stages are position, locate, read, multiply, add, sum, error, scale, step, product, change, update, "
            "downstream",
        ),
        (
            {"schedule": "streaming", "share_multipliers": True},
            "schedule = 'streaming': needs a multiplier of its own for every product; leave reuse_factor and "
            'share_multipliers at their defaults, and multiplier at "auto", "dsp" or "lut"',
        ),
        (
            {"table_memory": "block", "multiplier": "serial"},
            "table_memory = 'block': with reuse_factor, share_multipliers or serial multipliers tables lie where the "
            'coefficients do; use "auto"',
        ),
        ({"edge_sums": "sums"}, "edge_sums = 'sums': must be 'auto', 'products' or 'differences'"),
        ({"edge_sums": ["auto"] * 3}, f"edge_sums = ('auto', 'auto', 'auto'): {EACH}"),
        (
            {"edge_sums": "differences", "share_multipliers": True},
            "edge_sums = 'differences': with reuse_factor, share_multipliers or serial multipliers edges are sums of "
            'products; use "auto"',
        ),
        ({"schedule": "parallel"}, "schedule = 'parallel': must be 'sequential' or 'streaming'"),
        (
            {"schedule": "streaming", "teaching": "after_prediction"},
            "teaching = 'after_prediction': schedule = \"streaming\" needs the target with its sample; "
            'use "with_sample"',
        ),
        ({"pipeline": 7}, "pipeline = 7: must be a preset's name or a list of stages"),
        ({"pipeline": [["sum"]] * 3}, f"pipeline = (('sum',), ('sum',), ('sum',)): {EACH}"),
        (
            {"pipeline": [["sum"], "sum"]},
            "pipeline = [['sum'], 'sum']: one pipeline for each layer is a list of presets or of lists of stages",
        ),
        ({"reuse_factor": 0}, "reuse_factor = 0: must be 1 or more"),
        ({"reuse_factor": [2, "2"]}, "reuse_factor[1] = '2': must be an integer"),
        ({"reuse_factor": [1]}, f"reuse_factor = (1,): {EACH}"),
        (
            {"reuse_factor": 3},
            "reuse_factor = 3: does not divide the 1 x 2 edges of layer 0 evenly; use 2",
        ),
        (
            {"layer_sizes": [6, 4], "reuse_factor": 5},
            "reuse_factor = 5: does not divide the 6 x 4 edges of layer 0 evenly; use 4 or 6",
        ),
        (
            {"layer_sizes": [6, 4], "reuse_factor": 10**30},
            f"reuse_factor = {10**30}: does not divide the 6 x 4 edges of layer 0 evenly; use 24",
        ),
        ({"share_multipliers": 1}, "share_multipliers = 1: must be true or false"),
        ({"multiplier": "booth"}, "multiplier = 'booth': must be 'auto', 'dsp', 'lut' or 'serial'"),
        ({"seed": -1}, "seed = -1: must be 0 or more"),
        ({"seed": 1 << 32}, "seed = 4294967296: must be below 4294967296"),
        ({"initial_coefficients": "ones"}, f"initial_coefficients = 'ones': {ARRAYS}"),
        (
            {"initial_coefficients": np.eye(2)},
            f"initial_coefficients = array([[1., 0.], [0., 1.]]): {ARRAYS}",
        ),
        ({"initial_coefficients": []}, "initial_coefficients = (): must hold 2 arrays, one per layer"),
        (
            {"initial_coefficients": [[[[0.0]]], []]},
            "initial_coefficients[0] = (((0.0,),),): shape (1, 1, 1); must have shape (2, 1, 11)",
        ),
        (
            {"grid_size": 1, "spline_order": 1, "initial_coefficients": [[[[0, "a"]]] * 2, [[[0, 0]] * 2]]},
            "initial_coefficients[0][0][0][1] = 'a': must be a number, of one array (n_out, n_in, bases) per layer",
        ),
        (
            {"grid_size": 1, "spline_order": 1, "initial_coefficients": [[[[0, 0]]] * 2, [[[0, 32]] * 2]]},
            "initial_coefficients[1] = (((0, 32), (0, 32)),): holds a value beyond coefficient_format SQ(6, 14)",
        ),
        *(
            (
                {"initial_coefficients": [[[[0.0, foreign]]]]},
                f"initial_coefficients[0][0][0][1] = {represent(foreign)}: must be a number, of one array",
            )
            for foreign in ("0.5", b"0", True, np.True_, None, Fraction(1, 2), Decimal("0.5"), np.longdouble(0.5))
        ),
        (
            {"grid_size": 1, "spline_order": 1, "initial_coefficients": [[[[0, 0]]] * 2, [[[0, 10**400]] * 2]]},
            "initial_coefficients[1] = (((0, 1" + 50 * "0" + "...: holds a value beyond",
        ),
        (
            {"grid_size": 1, "spline_order": 1, "initial_coefficients": [np.full((2, 1, 2), np.nan)] * 2},
            "initial_coefficients[0] = (((nan, nan),), ((nan, nan),)): "
            "holds a value beyond coefficient_format SQ(6, 14)",
        ),
    ],
)
def test_bad_specs_are_refused_in_one_line(fields: dict[str, Any], message: str) -> None:
    base = PLAIN if "layer_sizes" in fields else TWO_LAYERS
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        LearnerSpec(**(base | fields))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("layer_sizes", "layer_sizes: missing; give it, for example layer_sizes = [1, 1]"),
        ("grid_range", "grid_range: missing; give it, for example grid_range = [-2, 2]"),
    ],
)
def test_what_must_be_given(missing: str, message: str) -> None:
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        LearnerSpec.from_dict({name: value for name, value in PLAIN.items() if name != missing})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"layer_size": [1, 1], "grid_range": [-2, 2]},
            "layer_size = [1, 1]: unknown field; did you mean 'layer_sizes'?",
        ),
        (
            {"learner": {"grid_range": [-2, 2]}},
            "learner = {'grid_range': [-2, 2]}: holds fields; give them at the top, in",
        ),
    ],
)
def test_what_is_misnamed_is_told_before_what_is_missing(content: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=f"^{re.escape(message)}"):
        LearnerSpec.from_dict(content)


NESTED: Any = []
for _ in range(100_000):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    "value",
    [10**5000, NESTED, [{}], "\ud800", {"\ud800": 1}, float("nan")],
    ids=["digits", "nested", "table", "surrogate", "key", "nan"],
)
@pytest.mark.parametrize("field", ["pipeline", "seed", "loss", "layer_sizes", "learning_rate", "\ud800"])
def test_what_no_file_should_hold_is_refused_in_one_line(field: str, value: Any) -> None:
    with pytest.raises(SpecError) as refused:
        LearnerSpec.from_dict(PLAIN | {field: value})
    assert "\n" not in str(refused.value)


def test_a_panic_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panic(_self: ValidationError) -> None:
        raise PanicException("Python API call failed")

    monkeypatch.setattr("kanrtl.learner.fields.ValidationError.errors", panic)
    with pytest.raises(SpecError, match=r"\Aspec: what is wrong with it cannot be told; "):
        LearnerSpec(**PLAIN, grid_size="x")


def test_a_field_called_as_an_argument_of_python_is_unknown() -> None:
    with pytest.raises(SpecError, match=r"^self = 1: unknown field; known are layer_sizes"):
        LearnerSpec.from_dict({**PLAIN, "self": 1})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"layer_sizes = [1, 1\ngrid", "not TOML (Unclosed array (at line 2, column 1)); mend the file"),
        (b"seed = 1\nseed = 2\nleak = 3", "not TOML (a field is given twice (at line 2, column 9)); mend the file"),
        (bytes(range(256)), "is binary; give a text file"),
        (b"a = " + b"[" * 10_000, "not TOML (maximum recursion depth exceeded"),
        (b"seed = " + b"9" * 5000, "has an integer of more than 4300 digits; mend the file"),
        (b"PK\x03\x04", "is no TOML file but a zip archive; give a network to LookupNetwork.load, and of a saved"),
        (None, "No such file or directory; name a TOML file"),
    ],
    ids=["array", "twice", "binary", "nested", "integer", "archive", "none"],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "learner.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=re.escape(f"spec file {str(path)!r}: {message}")) as caught:
        LearnerSpec.from_toml(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("/dev/none0", "serial:///dev/none0"),
        ("serial:/dev/none0", "serial:///dev/none0"),
        ("COM3", "serial://COM3"),
        ("tcp:localhost:4017", "tcp://localhost:4017"),
        ("localhost:4017", "tcp://localhost:4017"),
    ],
)
def test_a_port_is_told_its_address(name: str, address: str) -> None:
    mend = f"name a TOML file; for a learner there give its address, {address}"
    with pytest.raises(SpecError, match=f"^spec file {re.escape(repr(name))}: No such file or directory; {mend}$"):
        LearnerSpec.from_toml(name)


def test_a_port_is_not_read_as_a_file() -> None:
    """From which nothing may ever come."""
    ours, theirs = os.openpty()
    try:
        name = os.ttyname(theirs)
        mend = f"is a device; name a TOML file; for a learner there give its address, serial://{name}"
        with pytest.raises(SpecError, match=f"^spec file '{name}': {mend}$"):
            LearnerSpec.from_toml(name)
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=re.escape(f"spec file {str(tmp_path)!r}: Is a directory; name a TOML file")):
        LearnerSpec.from_toml(tmp_path)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["SQ(1, 0)", "SQ(40, 20)", "UQ(0, 61)", "UQ(1, 4)", "SQ(99999, 9)", "zeros", "no_registers"]),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=6)


@examples(300)
@given(
    fields=st.dictionaries(
        st.sampled_from([name for name in LearnerSpec.model_fields if name != "table_size"]),
        values,
        max_size=3,
    )
)
def test_whatever_is_given_is_taken_or_refused_in_one_line(fields: dict[str, Any]) -> None:
    refusal = None
    try:
        LearnerSpec(**({"layer_sizes": [2, 1], "grid_range": [-1, 3], "table_size": 8} | fields))
    except SpecError as error:
        refusal = str(error)
    assert refusal is None or re.fullmatch(r"[a-z_]+(\[\d+\])* ?[=:].+", refusal)


@examples(100)
@given(rate=st.floats(1e-9, 256))
def test_the_default_register_holds_any_learning_rate(rate: float) -> None:
    spec = LearnerSpec(**PLAIN, learning_rate=rate, table_size=8, step_format=UQ(0, 40), update_rounding="half_up")
    assert spec.formats.learning_rate.to_float(spec.layers[0].learning_rate_code) == pytest.approx(rate, rel=2**-5)


@examples(150)
@given(
    rate=st.floats(1e-5, 0.3),
    order=st.integers(1, 3),
    step=st.builds(UQ, st.integers(0, 1), st.integers(2, 14)),
    rounding=st.sampled_from(["floor", "half_up", "half_even"]),
)
def test_a_spec_is_refused_where_no_step_is_anything(rate: float, order: int, step: Format, rounding: str) -> None:
    fields = PLAIN | {"learning_rate": rate, "spline_order": order, "table_size": 8, "rounding": rounding}
    fields["update_rounding"] = "half_up"
    layer = LearnerSpec(**fields, step_format=UQ(0, 40)).layers[0]
    lsb = Fraction(1, 2 ** (layer.formats.learning_rate.f + layer.formats.basis.f))
    products = [layer.learning_rate_code * int(basis) * lsb for basis in layer.basis_table.flat]
    refusal = None
    try:
        LearnerSpec(**fields, step_format=step)
    except SpecError as error:
        refusal = str(error)
    if any(reference_narrow(exact, step, rounding)[0] for exact in products):
        assert refusal is None
    else:
        assert refusal == f"step_format = {step}: every step of learning_rate {rate} rounds to zero; add fraction bits"


def test_what_a_device_cannot_have_is_refused() -> None:
    spec = LearnerSpec(**PLAIN, multiplier="dsp")
    assert spec.for_device(Device.parse("LFE5U-25F")) == spec
    assert spec.for_device(Device.parse("iCE40UP5K")).multiplier == "dsp"
    with pytest.raises(SpecError, match=r"^multiplier = 'dsp': iCE40HX1K has no multipliers; use \"auto\", \"lut\" or"):
        spec.for_device(Device.parse("iCE40HX1K"))
    for multiplier in ("auto", "lut", "serial"):
        assert spec.replace(multiplier=multiplier).for_device(Device.parse("iCE40HX1K")).multiplier == multiplier
    with pytest.raises(SpecError, match=r"^memory = 'distributed': iCE40 has no distributed memory; "):
        LearnerSpec(**PLAIN, memory="distributed").for_device(Device.parse("iCE40UP5K"))


@pytest.mark.parametrize("field", [{"reuse_factor": 2}, {"share_multipliers": True}, {"multiplier": "serial"}])
def test_what_is_folded(field: dict[str, Any]) -> None:
    assert not LearnerSpec(**TWO_LAYERS, multiplier="lut").folded
    assert LearnerSpec(**TWO_LAYERS, **field).folded


def test_two_fields_are_enough() -> None:
    spec = LearnerSpec(layer_sizes=(3, 1), grid_range=(-2, 2))
    assert (spec.n_layers, spec.n_in, spec.n_out) == (1, 3, 1)
    assert (spec.grid_size, spec.spline_order, spec.learning_rate, spec.table_size) == (8, 3, 0.125, 64)
    assert (spec.rounding, spec.update_rounding, spec.loss) == ("half_up", "stochastic", "squared")
    assert (spec.teaching, spec.memory, spec.pipeline, spec.seed) == ("with_sample", "auto", "auto", 0)
    assert spec.target_format == spec.formats.activation == SQ(6, 10)
    assert spec.to_dict() == {"layer_sizes": [3, 1], "grid_range": [-2, 2]}


FULL = {
    "layer_sizes": [2, 3, 1],
    "grid_range": [[-2, 2], [-1, 3.5]],
    "grid_size": [5, 8],
    "spline_order": [3, 1],
    "learning_rate": [0.25, 0.1],
    "table_size": 32,
    "target_range": [-3, 2.5],
    "activation_format": "SQ(5, 12)",
    "input_format": "SQ(4, 11)",
    "output_format": "SQ(3, 13)",
    "coefficient_format": ["SQ(4, 12)", "SQ(5, 15)"],
    "factor_format": ["SQ(4, 12)", "SQ(5, 11)"],
    "basis_format": "UQ(1, 9)",
    "slope_format": "SQ(6, 10)",
    "gradient_format": ["SQ(6, 11)", "SQ(6, 12)"],
    "step_format": ["UQ(4, 14)", "UQ(3, 13)"],
    "learning_rate_format": "UQ(2, 10)",
    "linear": [True, False],
    "linear_rate": [0.5, 0.25],
    "linear_rate_format": "UQ(1, 9)",
    "linear_step_format": "SQ(5, 12)",
    "rounding": "half_even",
    "update_rounding": "stochastic",
    "teaching": "after_prediction",
    "loss": "external",
    "initial_coefficients": [np.zeros((3, 2, 9)).tolist(), np.full((1, 3, 9), -0.5).tolist()],
    "seed": 7,
    "memory": ["block", "distributed"],
    "table_memory": ["logic", "block"],
    "edge_sums": ["products", "differences"],
    "pipeline": ["read", "sum"],
}


@pytest.mark.parametrize("fields", [PLAIN, TWO_LAYERS, FULL, PLAIN | {"step_format": None}])
def test_round_trips(tmp_path: Path, fields: dict[str, Any]) -> None:
    spec = LearnerSpec.from_dict(fields)
    plain = spec.to_dict()
    assert plain == fields
    assert json.loads(json.dumps(plain)) == plain
    assert LearnerSpec.from_dict(plain) == spec == spec.replace()
    assert hash(LearnerSpec.from_dict(plain)) == hash(spec)
    path = tmp_path / "learner.toml"
    # JSON's numbers, strings and lists are TOML's too.
    path.write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in plain.items() if value is not None))
    assert LearnerSpec.from_toml(path).formats == spec.formats
    assert LearnerSpec.from_toml(str(path)).replace(**{name: None for name in plain if plain[name] is None}) == spec


def test_given_formats_are_taken() -> None:
    formats = LearnerSpec.from_dict(FULL).formats
    first, second = formats.layers
    for name in ("coefficient", "factor", "gradient", "step"):
        assert [str(getattr(layer, name)) for layer in (first, second)] == FULL[f"{name}_format"]
    for name in ("basis", "slope", "learning_rate"):
        assert [str(getattr(layer, name)) for layer in (first, second)] == [FULL[f"{name}_format"]] * 2
    assert (first.input, first.output) == (SQ(4, 11), SQ(5, 12)) == (formats.input, second.input)
    assert second.output == formats.output == SQ(3, 13)
    assert second.downstream == first.gradient
    assert (first.guard_bits, second.guard_bits) == (0, 4)
    assert LearnerSpec.from_dict(FULL).target_format == SQ(6, 12)
    assert LearnerSpec.from_dict(PLAIN | {"basis_format": UQ(1, 12)}).formats.basis == UQ(1, 12)


def test_formats_for_which_all_multipliers_are_wide_are_accepted() -> None:
    """A single layer forms neither slopes nor gradients of inputs: their widths refuse nothing."""
    wide = "SQ(10, 22)"
    formats = LearnerSpec(**PLAIN, activation_format=wide, coefficient_format=wide).formats
    assert formats.activation == formats.coefficient == formats.factor == SQ(10, 22)


def test_the_mend_of_a_grid_with_few_codes_is_one() -> None:
    narrow = PLAIN | {"grid_range": [0, 2**-9]}
    for format in (SQ(6, 10), SQ(6, 11)):
        with pytest.raises(SpecError, match=re.escape("and 8 are needed; use SQ(6, 12)")):
            LearnerSpec(**narrow, input_format=format)
    assert LearnerSpec(**narrow, input_format=SQ(6, 12)).formats.input == SQ(6, 12)


def test_lists_are_per_layer() -> None:
    first, second = LearnerSpec.from_dict(FULL).layers
    assert [(layer.n_in, layer.n_out) for layer in (first, second)] == [(2, 3), (3, 1)]
    assert [(layer.grid_min, layer.grid_max) for layer in (first, second)] == [(-2, 2), (-1, 3.5)]
    assert [(layer.grid_size, layer.spline_order) for layer in (first, second)] == [(5, 3), (8, 1)]
    assert [layer.learning_rate for layer in (first, second)] == [0.25, 0.1]
    assert [layer.learning_rate_code for layer in (first, second)] == [256, 102]
    assert LearnerSpec.from_dict(FULL).per_layer("memory") == ("block", "distributed")
    assert LearnerSpec.from_dict(FULL).per_layer("table_memory") == ("logic", "block")
    assert LearnerSpec.from_dict(TWO_LAYERS).per_layer("grid_range") == ((-2, 2), (-2, 2))


@pytest.mark.parametrize(
    ("fields", "tables", "latency"),
    [
        ({}, (True, False), 1),
        ({"table_memory": "logic"}, (False, False), 1),
        ({"table_memory": "block"}, (True, True), 2),
        ({"pipeline": ["read"]}, (True, True), 3),
        ({"pipeline": ["read"], "table_memory": "logic"}, (False, False), 3),
        ({"memory": "block"}, (True, True), 3),
        ({"memory": ["block", "distributed"]}, (True, False), 2),
        ({"pipeline": [["sum"], []]}, (True, False), 2),
        ({"pipeline": [[], ["read"]]}, (True, True), 2),
    ],
)
def test_tables_lie_in_block_memory_where_that_takes_no_cycle(
    fields: dict[str, Any], tables: tuple[bool, bool], latency: int
) -> None:
    spec = LearnerSpec.from_dict(TWO_LAYERS | fields)
    assert (spec.timing.block_tables, spec.latency) == (tables, latency)


@pytest.mark.parametrize(
    ("fields", "differences"),
    [
        ({}, (True, True)),
        ({"edge_sums": "products"}, (False, False)),
        ({"edge_sums": ["auto", "products"]}, (True, False)),
        ({"layer_sizes": [1, 2, 1]}, (False, True)),
        ({"layer_sizes": [1, 2, 1], "edge_sums": "differences"}, (True, True)),
        ({"pipeline": [["multiply"], ["sum", "error"]]}, (False, True)),
        ({"pipeline": "most_registers"}, (False, False)),
        ({"pipeline": "most_registers", "edge_sums": "differences"}, (True, True)),
        ({"coefficient_format": "SQ(7, 10)"}, (True, True)),
        ({"coefficient_format": "SQ(7, 11)"}, (False, False)),
        ({"share_multipliers": True}, (False, False)),
        ({"schedule": "streaming"}, (False, False)),
    ],
)
def test_edges_are_sums_of_differences_where_multipliers_are_many_and_wide_enough(
    fields: dict[str, Any], differences: tuple[bool, bool]
) -> None:
    spec = LearnerSpec.from_dict(TWO_LAYERS | {"layer_sizes": [2, 3, 1]} | fields)
    assert tuple(plan.differences for plan in spec.plans) == differences


def test_differences_are_left_to_ecp5() -> None:
    """A register has to stand directly before an iCE40's multiplier, and the multiplier is narrower."""
    spec = LearnerSpec.from_dict(
        TWO_LAYERS | {"layer_sizes": [2, 3, 1], "pipeline": "no_registers", "edge_sums": ["auto", "differences"]}
    )
    assert spec.for_device(Device.parse("LFE5U-25F")) == spec
    plans = spec.for_device(Device.parse("iCE40UP5K")).plans
    assert tuple(plan.differences for plan in plans) == (False, True)


def test_replace_changes_and_checks() -> None:
    spec = LearnerSpec.from_dict(FULL)
    assert spec.replace(seed=8).to_dict() == FULL | {"seed": 8}
    assert spec.seed == 7
    with pytest.raises(SpecError, match=re.escape("seed = 'x': must be an integer")):
        spec.replace(seed="x")


def test_a_spec_does_not_change() -> None:
    spec = LearnerSpec(**PLAIN)
    with pytest.raises(
        SpecError, match=r"^seed = 3: a spec does not change; spec\.replace\(seed=\.\.\.\) gives another$"
    ):
        spec.seed = 3
    assert spec == LearnerSpec(**PLAIN)


def test_stages_are_taken_in_their_order_once() -> None:
    assert LearnerSpec(**PLAIN, pipeline=["sum", "read", "sum"]).pipeline == ("read", "sum")
    assert LearnerSpec(**PLAIN, pipeline=[]).pipeline == ()


def test_a_layer_may_have_a_pipeline_of_its_own() -> None:
    spec = LearnerSpec.from_dict(TWO_LAYERS | {"pipeline": [[], ["error"]], "table_memory": "block"})
    assert spec.timing.stages == (frozenset(), frozenset({"error"}))
    assert (spec.latency, spec.timing.prediction_latency) == (3, 2)
    assert LearnerSpec.from_dict(spec.to_dict()) == spec
    # The register at `error` is on the way of the gradient to the layer that has it.
    assert spec.replace(pipeline=[["error"], []]).latency == 3
    assert spec.replace(pipeline=["error"]).latency == 4
    mixed = spec.replace(pipeline=["no_registers", ["sum", "error"]])
    assert mixed.timing.stages == (frozenset(), frozenset({"sum", "error"}))


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ("single", "no_registers"),
        ("low_latency", "few_registers"),
        ("high_clock", "most_registers"),
        ("full", "all_registers"),
        (("full", ("sum",)), ("all_registers", ("sum",))),
        (("sum", "step"), ("sum", "step")),
    ],
)
def test_pickles_of_former_versions_name_presets_otherwise(former: Any, now: Any) -> None:
    spec = LearnerSpec(**TWO_LAYERS, pipeline=now)
    saved = spec.replace()
    vars(saved)["pipeline"] = former
    loaded = pickle.loads(pickle.dumps(saved))
    assert (loaded, loaded.pipeline, loaded.latency) == (spec, now, spec.latency)


def test_presets_have_more_and_more_registers() -> None:
    for fewer, more in pairwise(PRESETS.values()):
        assert set(fewer) < set(more)


def test_what_lies_outside_is_held_beside_linear_paths() -> None:
    fields: dict[str, Any] = {"layer_sizes": [1, 1, 1], "grid_range": (-2, 2), "linear": [True, False]}
    assert [layer.holds for layer in LearnerSpec(**fields).layers] == [True, False]
    assert [layer.holds for layer in LearnerSpec(**fields, outside="learn").layers] == [False, False]
    assert [layer.holds for layer in LearnerSpec(**fields, outside=["learn", "hold"]).layers] == [False, True]


def test_nothing_is_held_where_nothing_is_outside() -> None:
    """On a periodic grid, and on one as wide as the format of its inputs."""
    fields: dict[str, Any] = {
        "layer_sizes": [1, 1],
        "outside": "hold",
        "counts": ["outside"],
        "input_format": "SQ(2, 14)",
    }
    around, whole, wider = (
        LearnerSpec(grid_range=(-1, 1), periodic=True, **fields),
        LearnerSpec(grid_range=(-2, 2), **fields),
        LearnerSpec(grid_range=(-2, 1.75), **fields),
    )
    assert [spec.plans[0].looks_outside for spec in (around, whole, wider)] == [False, False, True]


def test_what_is_counted_is_named_once() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), counts=["lost", "outside", "lost"])
    assert spec.counts == ("lost", "outside")
    assert not spec.plans[0].counts_lost  # stochastic rounding loses nothing
    assert spec.replace(update_rounding="half_up").plans[0].counts_lost


def test_one_layer_starts_at_zero() -> None:
    for spec in (LearnerSpec(**PLAIN), LearnerSpec(**TWO_LAYERS, initial_coefficients="zeros")):
        for codes, layer in zip(spec.initial_codes(), spec.layers, strict=True):
            assert codes.shape == (layer.n_out, layer.n_in, 11)
            assert codes.dtype == np.int64
            assert not codes.any()


def test_more_layers_start_uniform_from_the_seed() -> None:
    spec = LearnerSpec(layer_sizes=[4, 5, 1], grid_range=[-2, 2])
    codes = spec.initial_codes()
    for layer, fan_in in zip(codes, (4, 5), strict=True):
        bound = 2**14 / np.sqrt(fan_in)
        assert 0.8 * bound < np.abs(layer).max() <= bound + 0.5
        assert len(np.unique(layer)) > layer.size // 2
    for again, other, first in zip(
        spec.replace(initial_coefficients="uniform").initial_codes(),
        spec.replace(seed=1).initial_codes(),
        codes,
        strict=True,
    ):
        np.testing.assert_array_equal(again, first)
        assert (other != first).any()


def test_given_coefficients_are_quantised() -> None:
    given_codes = np.arange(-5, 6).reshape(1, 1, 11)
    spec = LearnerSpec(**PLAIN, initial_coefficients=[(given_codes + 0.3) / 2**14])
    np.testing.assert_array_equal(spec.initial_codes()[0], given_codes)


def test_a_field_whose_name_is_no_text_is_refused() -> None:
    """As JSON can hold one: half of a character."""
    with pytest.raises(SpecError, match="is no name of a field; mend its letters") as refused:
        LearnerSpec.from_dict({"layer_sizes": [1, 1], "grid_range": [-2, 2], "grid_siz\udb65": 4})
    assert str(refused.value).isascii()


def test_help_shows_names_and_defaults_alone() -> None:
    shown = str(inspect.signature(LearnerSpec))
    assert shown.startswith("(*, layer_sizes, grid_range, grid_size=8, spline_order=3, ")
    assert list(inspect.signature(LearnerSpec).parameters) == list(LearnerSpec.model_fields)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, ""),
        ({"grid_size": 5, "activation_format": "SQ(3, 5)"}, ", grid_size=5, activation_format=SQ(3, 5)"),
        ({"initial_coefficients": [[[[0.5] * 4]]], "grid_size": 1}, ", grid_size=1, initial_coefficients=((("),
        ({"guard": {"error": 1.0}}, ", guard=GuardSettings("),
    ],
)
def test_a_representation_makes_the_spec_again(fields: dict[str, Any], shown: str) -> None:
    spec = LearnerSpec(**PLAIN, **fields)
    assert repr(spec).startswith(f"LearnerSpec(layer_sizes=(1, 1), grid_range=(-2.0, 2.0){shown}")
    assert str(spec) == repr(spec)
    assert eval(repr(spec), {"LearnerSpec": LearnerSpec, "SQ": SQ, "GuardSettings": GuardSettings}) == spec


def test_arrays_of_numpy_are_lists() -> None:
    fields = {
        "layer_sizes": [1, 2, 1],
        "grid_range": [[-2, 2], [-1, 1]],
        "grid_size": [4, 8],
        "learning_rate": [0.1, 0.2],
        "linear": [True, False],
        "target_range": [-1.0, 1.0],
    }
    spec = LearnerSpec(**{name: np.array(value) for name, value in fields.items()})
    assert spec == LearnerSpec(**fields)
    assert spec.to_dict() == LearnerSpec(**fields).to_dict()
    assert spec == spec.replace(grid_range=[np.array([-2, 2]), (-1, 1)], grid_size=[np.array(4), 8])
    assert LearnerSpec(**PLAIN, periodic=np.True_, modulated=np.False_).to_dict()["periodic"] is True
    with pytest.raises(SpecError, match=r"^grid_size\[0\] = \[4, 8\]: must be an integer$"):
        LearnerSpec(**TWO_LAYERS, grid_size=np.array([[4, 8]]))


def test_coefficients_of_numpy_are_plain_numbers() -> None:
    given = [[[[np.float32(0.5), np.int64(1), np.uint8(2), np.float64(0.25)]]]]
    spec = LearnerSpec(**PLAIN, grid_size=1, initial_coefficients=given)
    assert [type(number) for number in spec.initial_coefficients[0][0][0]] == [float, int, int, float]
    assert json.loads(spec.model_dump_json())["initial_coefficients"] == [[[[0.5, 1, 2, 0.25]]]]


def test_no_initial_coefficients_are_those_of_the_default() -> None:
    spec = LearnerSpec(**PLAIN)
    none = spec.replace(initial_coefficients=None)
    assert none == spec
    assert LearnerSpec.model_validate_json(spec.model_dump_json()) == spec
    assert np.array_equal(none.initial_codes()[0], spec.initial_codes()[0])


def test_numbers_of_numpy_are_plain_ones() -> None:
    i = np.int64
    spec = LearnerSpec(
        layer_sizes=[i(1), np.uint8(2), i(1)],
        grid_range=(i(-2), np.float32(2)),
        grid_size=[i(8), np.int16(4)],
        spline_order=i(2),
        table_size=i(16),
        leak=(i(0), 1),
        seed=np.uint32(5),
        reuse_factor=i(1),
        learning_rate=np.float32(0.5),
        guard={"rails": i(3)},
    )
    plain = {"layer_sizes": [1, 2, 1], "grid_range": [-2.0, 2.0], "grid_size": [8, 4], "spline_order": 2}
    plain |= {"table_size": 16, "leak": [0, 1], "seed": 5, "reuse_factor": 1, "learning_rate": 0.5}
    assert spec == LearnerSpec(**plain, guard={"rails": 3})
    assert all(type(size) is int for size in (*spec.layer_sizes, *spec.grid_size, spec.seed, spec.table_size))
    assert json.loads(json.dumps(spec.to_dict())) == plain | {"guard": {"rails": 3}}
    for wrong, line in (
        ({"layer_sizes": [np.bool_(True), 1]}, "layer_sizes[0] = True: must be an integer"),
        ({"grid_size": np.float64(2)}, "grid_size = 2.0: must be an integer"),
        ({"grid_size": i(0)}, "grid_size = 0: must be 1 or more"),
    ):
        with pytest.raises(SpecError) as caught:
            LearnerSpec(**{"layer_sizes": [1, 1], "grid_range": (-2, 2)} | wrong)
        assert str(caught.value) == line


def test_a_long_name_of_a_field_is_cut() -> None:
    with pytest.raises(SpecError, match=rf"^{'a' * 57}\.\.\. = 1: unknown field; known are"):
        LearnerSpec(**PLAIN, **{"a" * 10**6: 1})
