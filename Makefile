# make demo    see a chip learn: simulation, picture, Verilog and a bitstream, in demo/
# make test    lint, documentation, and tests of each kind of thing
# make thorough  all other tests: what takes long, all combinations, three times as many random cases
# make docs    the documentation, in build/docs
# make search  a longer search for counterexamples than the tests have time for
# make prove   prove the contracts of tests/proofs, with a table of them
# make bench   measure everything again (long)
# make tables  make the tables and pictures of README.md and docs/ anew from what was measured
# Each makes its own environment in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The tests compile a Verilator simulation; where there is no C++ compiler, one comes from PyPI.
CXX_FROM_PIP := $(if $(shell command -v $${CXX:-c++} || command -v clang++),,ziglang)

# Output of what runs side by side is kept apart, where this make can.
APART := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

# Some containers say that no bytecode is to be kept: then every process of tests and documentation compiles anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint check thorough docs search prove bench tables clean

demo: $(STAMP)
	$(BIN)/kanrtl demo

# Lint and documentation take one core each, the tests two.
test: $(STAMP)
	$(MAKE) -j2 $(APART) lint docs
	$(MAKE) check

# Two processes take both cores: threads of a library would wait for each other, at ten times the work.
check thorough search: export OMP_NUM_THREADS = 1

# worksteal: neighbours run in one process, which share what they compile, and both processes are busy to the end.
check: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal --hypothesis-profile brief -m "not thorough"

thorough: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "thorough or hypothesis"

search: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal --hypothesis-profile long -m hypothesis

prove: $(STAMP)
	$(BIN)/python -m tests.proofs

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/typing/kanrtl && mkdir -p build/typing/kanrtl
	ln -sfn $(CURDIR)/kanrtl/* $(CURDIR)/boards $(CURDIR)/sim build/typing/kanrtl/
	cd build/typing && $(CURDIR)/$(BIN)/mypy -p kanrtl --config-file $(CURDIR)/pyproject.toml
	cd build/typing && $(CURDIR)/$(BIN)/lint-imports $(CURDIR)/pyproject.toml

# -W: a warning fails; --keep-going: all are shown. -E -a: a page that did not change is checked again too.
docs: $(STAMP)
	$(BIN)/sphinx-build -q -W --keep-going -E -a -b html docs build/docs
	@echo "the documentation is in build/docs/index.html"

bench: $(STAMP)
	$(BIN)/python -m bench
	$(BIN)/python -m bench.fit

tables: $(STAMP)
	$(BIN)/python -m bench.draw
	$(BIN)/python -m bench.render

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kanrtl needs Python 3.11 or newer; set PYTHON")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[plot,test,lint,docs]' $(CXX_FROM_PIP)
	touch $@

clean:
	rm -rf $(VENV) build demo
