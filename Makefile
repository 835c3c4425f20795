# `make demo` and `make test` need Python 3.11 or newer (with venv) and make; each sets up all that it uses in .venv.
PYTHON ?= python3
OUT ?= vecprop-demo
BIN = .venv/bin
EXE =
ifeq ($(OS),Windows_NT)
BIN = .venv/Scripts
EXE = .exe
endif
# A worker for each processor, and one thread for each worker's BLAS: more would wait for one another.
# Bytecode is kept whatever the environment says, or else each process compiles the library and the tests.
PYTEST = PYTHONDONTWRITEBYTECODE= OPENBLAS_NUM_THREADS=1 $(BIN)/pytest --numprocesses=auto --maxprocesses=8

.PHONY: demo test docs types test-all campaigns bench distributions format clean

demo: .venv/ready-demo
	$(BIN)/vecprop demo --out $(OUT)

test: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(PYTEST) -m "not long"

# All pages are written, because Sphinx keeps the search keywords only of pages that it writes.
docs: .venv/ready-docs
	$(BIN)/python -m sphinx --write-all --fail-on-warning --keep-going --quiet docs build/site

types: .venv/ready-dev-all
	$(BIN)/basedpyright

test-all: .venv/ready-dev-all test types
	$(PYTEST) -m long

campaigns: .venv/ready-dev-all
	$(BIN)/python benchmarks/hostile_tables.py
	$(BIN)/python benchmarks/text_readers.py
	$(BIN)/python benchmarks/interruptions.py strikes
	$(BIN)/python benchmarks/interruptions.py kills
	$(BIN)/python benchmarks/interruptions.py commands
	$(BIN)/python benchmarks/engine_attack.py
	$(BIN)/python benchmarks/real_tables.py
	$(BIN)/python benchmarks/cluster.py
	$(BIN)/python benchmarks/mutations.py

bench: .venv/ready-bench
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/starts.py

distributions: .venv/ready-dev-all
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

format: .venv/ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist vecprop-demo

.venv/ready-demo: pyproject.toml | $(BIN)/python$(EXE)
	$(BIN)/python -m pip install --quiet --editable ".[all]"
	@touch $@

.venv/ready-dev: pyproject.toml | $(BIN)/python$(EXE)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@ .venv/ready-demo

.venv/ready-docs: pyproject.toml | $(BIN)/python$(EXE)
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	@touch $@ .venv/ready-demo

.venv/ready-dev-all: pyproject.toml | $(BIN)/python$(EXE)
	$(BIN)/python -m pip install --quiet --editable ".[dev-all]"
	@touch $@ .venv/ready-dev .venv/ready-docs .venv/ready-demo

.venv/ready-bench: pyproject.toml | $(BIN)/python$(EXE)
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	@touch $@ .venv/ready-demo

$(BIN)/python$(EXE):
	@$(PYTHON) -c 'import sys; sys.exit("vecprop needs Python 3.11 or newer; this is %s: run make with PYTHON=python3.11" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
