# make demo: the whole path on built-in recordings.  make test: the test suite.  Both set up .venv themselves.
# make test-gpu: the CUDA kernels on a GPU.  make gpu-compile: all of them compiled and checked without one.
# make gpu-counts: their instructions on real input, from an emulator, and the rates these allow.
# make gpu-day: are they exact, how fast, on a GPU, in five minutes; make gpu-expect: beforehand, what must come out.
# make bench: the benchmarks, tables and benchmarks/results/*.json.
# make test-slow: a quick run of every benchmark; the networks that come with the package, trained again, compared byte by byte.
# make docs: the documentation as a site.  make dist-check: wheel and sdist, each tried in clean environments.
# With a GPU: make demo CONSTRAINTS=          Another Python: make test PYTHON=python3.12

PYTHON ?= python3
CONSTRAINTS ?= constraints-cpu.txt
VENV := .venv
BIN := $(VENV)/bin
PIN := $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
SETUP := setup.cfg pyproject.toml $(CONSTRAINTS)
SIDE_BY_SIDE := -n 2 --dist loadfile
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
OLD_TRITON := $(VENV)/triton-3.6.0

.PHONY: demo test coverage test-gpu gpu-compile gpu-counts gpu-expect gpu-day test-slow bench lint docs notebooks dist-check clean

demo: $(VENV)/.installed
	@echo "== demo: simulate, prepare, train conv2 and conv3, evaluate (a few minutes on two cores)"
	$(BIN)/spikeseg demo

test: $(VENV)/.tested
	@echo "== test: the suite (some eight minutes on two cores)"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q $(SIDE_BY_SIDE)

coverage: $(VENV)/.tested
	@echo "== coverage: the suite, line by line (half as long again)"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q $(SIDE_BY_SIDE) --cov --cov-report=term --cov-fail-under=85

test-gpu: $(VENV)/.tested
	@echo "== test-gpu: the CUDA kernels against the CPU's, bit for bit, on full shapes"
	$(BIN)/python -m pytest -q -m gpu -rs

gpu-compile: $(VENV)/.tested $(OLD_TRITON)/triton
	@echo "== gpu-compile: every variant of the CUDA kernels for five GPUs by two Tritons (the best part of an hour on two cores)"
	@mkdir -p benchmarks/results
	$(BIN)/python benchmarks/gpu_compile.py --triton $(OLD_TRITON) --json benchmarks/results/gpu_compile.json

gpu-counts: $(VENV)/.tested
	@echo "== gpu-counts: what the CUDA kernels do per sample, counted by an emulator (some minutes)"
	@mkdir -p benchmarks/results
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/gpu_counts.py --json benchmarks/results/gpu_counts.json

# By .venv's Python, or without one by $(PYTHON), which needs torch for CUDA, triton and numpy. make gpu-day GPU_DAY=--dry: without a GPU.
gpu-day:
	@echo "== gpu-day: exactness, times, tests and compute-sanitizer on a GPU (five minutes)"
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) benchmarks/gpu_day.py $(GPU_DAY)

gpu-expect: $(VENV)/.installed
	@echo "== gpu-expect: what a GPU must give, made on the CPU (a few minutes)"
	$(BIN)/python benchmarks/gpu_expect.py

test-slow: $(VENV)/.tested
	@echo "== test-slow: quick benchmarks, and packaged networks trained again (some three minutes on two cores)"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m slow

bench: $(VENV)/.tested
	@echo "== bench: ours beside the others, each pair from one run (some twenty minutes on a quiet machine)"
	@mkdir -p benchmarks/results
	@for name in prepare jobs training inference scaling detect follow images throughput; do \
		echo "== $$name"; OMP_NUM_THREADS=1 $(BIN)/python benchmarks/$$name.py --json benchmarks/results/$$name.json || exit 1; done

lint: $(VENV)/.tested
	@echo "== lint: ruff, mypy, import contracts"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports --no-cache

docs: $(VENV)/.documented
	@echo "== docs: the site, docs/_build/index.html; a warning is an error"
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build

notebooks: $(VENV)/.documented
	@echo "== notebooks: run again, with what they print and draw kept in them (some minutes)"
	$(PIP) $(PIN) nbclient ipykernel matplotlib
	$(BIN)/jupyter-execute --inplace docs/notebooks/*.ipynb

dist-check:
	@echo "== dist-check: wheel and sdist in clean environments (some minutes each, and the network)"
	packaging/dist_check.sh $(PYTHONS)

# pip comes last into a virtual environment: one that an interrupted call left without it is completed.
$(BIN)/pip:
	@echo "== creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "$(PYTHON) is not a Python of 3.11 to 3.13; name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/pip $(SETUP)
	@echo "== installing spikeseg and what it needs into $(VENV) (torch, norse, tonic, zarr, ...)"
	$(PIP) $(PIN) torch
	$(PIP) $(PIN) -e '.[plots]'
	@touch $@

$(VENV)/.documented: $(VENV)/.installed
	@echo "== installing what the site needs into $(VENV)"
	$(PIP) $(PIN) -e '.[docs]'
	@touch $@

# Of triton the newest: the interpreter of those before 3.9 fails with numpy 2.4. A torch for CUDA brings one of its own.
# sinabs asks for nir<=1.0.4, so it can stand in no extra; it works with the newer one without what else it asks for, but for pbr.
$(VENV)/.tested: $(VENV)/.installed Makefile
	@echo "== installing what the tests need into $(VENV)"
	$(PIP) $(PIN) -e '.[test]'
	$(PIP) $(PIN) --no-deps sinabs pbr
	@touch $@

# The oldest Triton that comes with a torch we run on; beside the one of the tests, for gpu-compile alone.
$(OLD_TRITON)/triton:
	@echo "== installing triton 3.6.0 into $(OLD_TRITON)"
	$(PIP) --target $(OLD_TRITON) --no-deps triton==3.6.0
	@touch $@

clean:
	@echo "== removing $(VENV) and what builds and tools left; data_cache and runs stay"
	rm -rf $(VENV) build dist docs/_build *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis
