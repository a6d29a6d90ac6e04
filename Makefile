# Needs GNU make and Python 3.11 or newer (PYTHON names another than python3). All the rest goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
WORDS := $(patsubst %.po,%.mo,$(wildcard locale/*/LC_MESSAGES/*.po))

# A board's matrices are small: on a busy machine OpenBLAS's threads, which spin while they wait, make it ten times slower.
export OPENBLAS_NUM_THREADS ?= 1

# Two workers, each of which begins with half of the files and takes over from the other what is left at the end.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist worksteal

.PHONY: run check test bench lint messages diagrams tools

run: $(INSTALLED) $(WORDS)
	@$(BIN)/python -m arena.run

# What a change needs while it is made: everything but the lanes that take minutes. Under 90 seconds on two cores.
check: $(INSTALLED) $(WORDS) lint
	$(PYTEST) -m "not browser and not processes and not slow"

test: $(INSTALLED) $(WORDS) tools lint
	$(PYTEST)

# The package laion_clap beside transformers' network of the same checkpoint, in .venv-clap: an environment that sees
# the packages of .venv and adds its own.
CLAP := .venv-clap/.installed
.PHONY: test-clap
test: test-clap

test-clap: $(CLAP)
	.venv-clap/bin/python -m pytest tests/scoring/reward/test_laion_clap.py

PACKAGES := import sysconfig; print(sysconfig.get_path("purelib"))
$(CLAP): requirements-clap.txt $(INSTALLED)
	@echo 'Installing what requirements-clap.txt names into .venv-clap'
	@$(BIN)/python -m venv --clear --without-pip .venv-clap
	@$(BIN)/python -c '$(PACKAGES)' > "$$(.venv-clap/bin/python -c '$(PACKAGES)')/arena.pth"
	@.venv-clap/bin/python -m pip install --disable-pip-version-check --no-deps --requirement requirements-clap.txt
	@touch $@

bench: $(INSTALLED)
	$(BIN)/python -m tests.bench

# For the types of Django's models the settings are read, and want their variables; nothing is opened.
lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	SECRET_KEY=none DATABASE_URL=postgres://none REDIS_URL=redis://none $(BIN)/mypy

# The translations as the pages read them. Babel does it, so that running the arena needs no GNU gettext.
%.mo: %.po $(INSTALLED)
	@$(BIN)/pybabel --quiet compile --input-file $< --output-file $@

# For who changes words: what the pages and scripts say goes into the .po files (needs GNU gettext). Then translate.
# The settings want their variables; nothing is opened.
messages: $(INSTALLED)
	@for domain in django djangojs; do \
	    SECRET_KEY=none DATABASE_URL=postgres://none REDIS_URL=redis://none $(BIN)/python manage.py makemessages \
	        --domain $$domain --locale de --locale fr --add-location file --no-obsolete --no-wrap \
	        --ignore '.venv*' --ignore var --ignore tests || exit 1; \
	done

# For who changes models: the diagrams of docs/ are drawn from them.
diagrams: $(INSTALLED)
	@SECRET_KEY=none DATABASE_URL=postgres://none REDIS_URL=redis://none $(BIN)/python manage.py data_model

# Tests that need a browser or GNU gettext skip where there is none. Under CI that would be a failure, so there we
# get them.
tools:
	@if [ "$$CI" = true ] && [ "$$(id -u)" = 0 ] && \
	    ! { command -v chromium && command -v xgettext && command -v msgmerge; } > /dev/null; then \
	    echo 'Installing chromium and gettext for the tests' && apt-get -q update && \
	    DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends chromium gettext; \
	fi

# Filled anew when requirements.txt changes; an installation that was interrupted goes on where it stopped.
$(INSTALLED): requirements.txt
	@command -v $(PYTHON) > /dev/null || \
	    { echo 'There is no $(PYTHON). Install Python 3.11 or newer, or: make PYTHON=/path/to/python3'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(PYTHON) is Python %d.%d, the arena \
	needs 3.11 or newer. Install it, or: make PYTHON=/path/to/python3" % sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
	    { echo 'This Python cannot make a .venv. On Debian and Ubuntu: apt-get install python3-venv'; exit 1; }
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || \
	    { echo 'Making .venv' && $(PYTHON) -m venv --clear .venv; }
	@echo 'Installing what requirements.txt names into .venv (minutes, the first time)'
	@$(BIN)/python -m pip install --disable-pip-version-check --requirement requirements.txt
	@touch $@
