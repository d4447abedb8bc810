# Two commands for a fresh machine: `make demo` and `make test`. Both make their own virtual environment in .venv.
# Needs Python 3.11 or newer; another interpreter than python3: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# One thread per worker: torch's and numpy's own threads would fight over the cores. In their order, since files with
# few tests can be the longest, and are not to begin last. A worker that dies ends the run: with another in its place,
# pytest-xdist may wait for ever.
TEST_WORKERS ?= 2
TEST_FLAGS ?= -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

DEMO_FLAGS ?= --data streets --size 180x240 --budget 3ms --minutes 3.5
DEMO_RUN ?= runs/demo

.PHONY: help test demo lint types format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    install into $(VENV), then search, train, export and validate a network on built-in data"
	@echo "make test    install into $(VENV), then run all tests"
	@echo "make lint    ruff: rules and formatting"
	@echo "make types   mypy"
	@echo "make format  let ruff mend what it can"
	@echo "make clean   remove $(VENV), caches and build output (not runs/)"

# The stamp is written last: an install that fails leaves none, and the next make tries again. --no-compile: Python
# compiles what it imports; compiling all of torch and the rest beforehand would double the time it takes.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: hwnas needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[cpu,openvino,plot,ray,video,test]'
	$(BIN)/hwnas --version
	@touch $@

test: $(READY)
	$(ONE_THREAD) $(BIN)/python -m pytest $(TEST_FLAGS)

demo: $(READY)
	$(BIN)/hwnas deploy $(DEMO_FLAGS) --run $(DEMO_RUN) $(if $(wildcard $(DEMO_RUN)/config.json),--resume)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
