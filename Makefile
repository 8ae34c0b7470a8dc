# `make demo` and `make test` need Python 3.11 or newer, and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test lint types unit sweep mutants crash-sweep soak bench golden strings docs site dist clean

demo: $(VENV)/installed  #? the whole workflow on an AWS in this process
	@$(BIN)/reconciler demo
	@echo
	@echo "The program is $(BIN)/reconciler; 'source $(BIN)/activate' puts it on the path."

test: lint types unit  #? all that must hold before a change lands

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/mypy

# What is compiled is kept: each worker, and each program that a test starts, would compile it again.
unit: export PYTHONDONTWRITEBYTECODE =
unit: $(VENV)/installed
	$(BIN)/pytest -n 4

sweep: $(VENV)/installed  #? the slow tests that `make test` leaves out
	$(BIN)/pytest -n 2 -m 'slow or hypothesis' --hypothesis-profile thorough

mutants: $(VENV)/installed  #? a list of faults, each of which the fast tests must find
	$(BIN)/python -m tests.mutants

crash-sweep: $(VENV)/installed  #? kills, interrupts, races apply at every write; writes docs/reliability.md
	$(BIN)/python -m tests.crash_sweep

soak: $(VENV)/installed  #? 500 random runs on a sandbox that misbehaves; writes docs/reliability.md
	$(BIN)/python -W ignore::UserWarning -m tests.soak

bench: $(VENV)/installed  #? calls, seconds and memory, by size and beside a bare script; how near an estimate comes
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench_growth
	$(BIN)/python -m tests.bench_fleet
	$(BIN)/python -W ignore -m tests.bench_against

golden: $(VENV)/installed  #? everything that is seen, as files: read what it changes
	$(BIN)/python -W ignore::UserWarning -m tests.golden

strings: $(VENV)/installed  #? every text that a user can see, with its place
	@$(BIN)/python -W ignore::UserWarning -m tests.strings

docs: $(VENV)/installed  #? what docs/ and share/ have from the code: reference, manual, completions
	$(BIN)/python -W ignore::UserWarning -m tests.made

site: $(VENV)/installed  #? the documentation as a site, in build/site; fails where a link leads nowhere
	$(BIN)/python -m tests.site

# The build's own requirements come from constraints.txt too.
dist: $(VENV)/release  #? wheel and sdist, checked, and the demo run from the wheel alone
	rm -rf dist build/dist
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	$(PYTHON) -m venv build/dist
	build/dist/bin/pip install --quiet --disable-pip-version-check -c constraints.txt "$$(ls dist/*.whl)[sandbox]"
	cd build/dist && bin/reconciler demo && test -s share/man/man1/reconciler.1
	@ls -l dist

$(VENV)/release: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[release]'
	@touch $@

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "reconciler needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:  #? takes away what the targets made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build .cache
