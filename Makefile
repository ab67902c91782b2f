# Start with `make demo` or `make test`. CONTRIBUTING.md lists all commands.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
BENCH := .venv-bench
TIMED := env -u OPENBLAS_CORETYPE $(BENCH)/bin/python # every library picks its own kernels for this machine
READY := $(VENV)/.ready
EXTRAS := fast,score,docs,mpi,dask,ray
# One process per core, each with one thread.
PYTEST := OPENBLAS_NUM_THREADS=1 $(PY) -m pytest --numprocesses auto

.PHONY: demo test test-extras coverage torture mutants quality check docs package bench bench-quick bench-more models pictures bands clean

demo: $(READY)
	@mkdir -p demo
	@$(PY) -m dinos train --seed 1 --force --out demo/dinos.npz
	@echo; echo "Twenty new names, from the model just trained:"
	@$(PY) -m dinos sample -n 20 --seed 1 --model demo/dinos.npz
	@echo; echo "A new jazz solo, from the shipped model (MIDI, sound, piano roll, lead sheet):"
	@$(PY) -m jazz --seed 1 --force --out demo/solo.mid
	@echo; echo "A new sonnet, from the shipped model:"; echo
	@$(PY) -m sonnets --seed 1 --lines 14 --force --out demo/sonnet.txt
	@echo; echo "A new piano piece, from the shipped model (MIDI, sound, piano roll, score):"
	@$(PY) -m piano --seed 1 --force --out demo/piano.mid

test: $(READY)
	@$(PYTEST)

test-extras: $(VENV)/.extras
	@$(PYTEST) -m extra --extras

# With the compiled code uncompiled; settings and target are in setup.cfg.
coverage: $(READY)
	@rm -f .coverage .coverage.*
	@NUMBA_DISABLE_JIT=1 OPENBLAS_NUM_THREADS=1 $(PY) -m coverage run -m pytest --numprocesses auto --slow
	@$(PY) -m coverage combine --quiet
	@$(PY) -m coverage report

torture: $(READY)
	@$(PYTEST) -m torture --torture

mutants: $(VENV)/.mutants
	@$(PY) benchmarks/mutants.py $(if $(ALL),--all) $(if $(SEED),--seed $(SEED)) $(MODULES)

# The chord files' folder, by default ../shared/data/chords.
quality: $(READY)
	@$(PY) benchmarks/chords.py $(CHORDS)
	@$(PY) benchmarks/leadsheets.py $(CHORDS)
	@$(PY) benchmarks/yardstick.py

check: $(READY)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

docs: $(VENV)/.extras
	@$(PY) -m sphinx -W --keep-going -q -j auto -d build/trees docs build/docs
	@echo "The site: build/docs/index.html"

# The wheel in an empty environment; its dependencies come from the package index.
package: $(VENV)/.package
	@.ci/package $(PY)

models: $(READY)
	@mkdir -p demo
	@$(PY) -m dinos train --seed 0 --slim --force --out demo/shipped.npz
	@cp demo/shipped.npz data/models/dinos.npz
	@$(PY) -m jazz train --seed 0 --slim --force --out demo/shipped.npz
	@cp demo/shipped.npz data/models/jazz.npz
	@$(PY) -m sonnets train --seed 0 --slim --force --out demo/shipped.npz
	@cp demo/shipped.npz data/models/sonnets.npz
	@$(PY) -m piano train --transpose --rhythm --min-count 20 --seed 0 --slim --force --out demo/shipped.npz
	@cp demo/shipped.npz data/models/piano.npz

# Executes the notebooks of docs/notebooks; ONLY="01 05" executes some.
.PHONY: notebooks
notebooks: $(VENV)/.notebooks
	@$(PY) docs/notebooks/execute.py $(ONLY)

pictures: $(VENV)/.extras
	@$(PY) benchmarks/pictures.py

# WJAZZD is the Weimar Jazz Database in its CSV form, a zip or a folder.
bands: $(READY)
	@$(PY) benchmarks/bands.py $(WJAZZD)

bench: $(BENCH)/.ready
	@$(TIMED) benchmarks/bench.py
	@$(TIMED) benchmarks/report.py

bench-quick: $(BENCH)/.ready
	@$(TIMED) benchmarks/$(if $(AGAINST),against.py $(AGAINST) $(if $(FULL),--full),bench.py --quick)

bench-more: $(BENCH)/.ready
	@$(TIMED) benchmarks/deep.py
	@$(TIMED) benchmarks/solos.py $(if $(MIDI),--midi $(MIDI))
	@$(TIMED) benchmarks/growth.py
	@$(TIMED) benchmarks/threads.py

clean:
	rm -rf $(VENV) $(BENCH) demo build dist docs/reference *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*

$(READY): setup.cfg pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or later is needed; no $(PYTHON) was found." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). To use another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is needed; $(PYTHON) has none (Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@echo "Setting up $(VENV) (once, a minute or two) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[test,check]'
	@touch $@

# Without build isolation, so that no network is needed if the packages are already installed.
$(VENV)/.extras: $(READY)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[$(EXTRAS),test]'
	@touch $@

$(VENV)/.package: $(READY)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[package]'
	@touch $@

$(VENV)/.mutants: $(READY)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[mutants,test]'
	@touch $@

$(VENV)/.notebooks: $(READY)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[notebooks]'
	@touch $@

$(BENCH)/.ready: setup.cfg
	@$(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[fast]' 'torch==2.13.0' keras jax
	@touch $@
