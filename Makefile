# Needs GNU make and Python 3.11 or newer (PYTHON names another than python3). All the rest goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: run test bench lint chromium

run: $(INSTALLED)
	@$(BIN)/python -m arena.run

test: $(INSTALLED) chromium lint
	$(BIN)/pytest --numprocesses 2 --dist loadfile

bench: $(INSTALLED)
	$(BIN)/python -m tests.bench

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

# The browser tests skip where there is no chromium. Under CI that would be a failure, so there we get one.
chromium:
	@if [ "$$CI" = true ] && [ "$$(id -u)" = 0 ] && ! command -v chromium > /dev/null; then \
	    echo 'Installing chromium for the browser tests' && apt-get -q update && \
	    DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends chromium; \
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
