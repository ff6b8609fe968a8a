# The verbs of the house; `make help` lists them. Each makes .venv ready before it runs.
#   make test ARGS="-k dialog"          passes options on to pytest, JupyterLab, the benches
#   make lab PYTHON=/path/to/python3.12 chooses the Python that .venv is made with

ARGS =
PYTHON =

help: ## list the verbs
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | while IFS='|' read -r verb text; do printf '  make %-10s %s\n' "$$verb" "$$text"; done

lab: ## open JupyterLab on the first notebook
	@VERB=lab PYTHON="$(PYTHON)" .ci/prepare notebook
	@.venv/bin/sessionbot lab --here $(ARGS)

demo: ## hold a short conversation in the terminal and show each message's way
	@VERB=demo PYTHON="$(PYTHON)" .ci/prepare core
	@.venv/bin/sessionbot demo $(ARGS)

test: ## run the tests and the notebooks
	@VERB=test PYTHON="$(PYTHON)" .ci/prepare test
	@.venv/bin/python -m pytest --cov --cov-report=term $(ARGS)

check: ## lint, types, floors, environment files, links, tasks, words
	@VERB=check PYTHON="$(PYTHON)" .ci/prepare dev
	@.venv/bin/python -m checks $(ARGS)

fix: ## format the code and write the generated files again
	@VERB=fix PYTHON="$(PYTHON)" .ci/prepare dev
	@.venv/bin/python -m ruff check --fix-only --quiet .
	@.venv/bin/python -m ruff format .
	@.venv/bin/python -m checks.environment

notebooks: ## run all notebooks, write their outputs, fail when one changed
	@VERB=notebooks PYTHON="$(PYTHON)" .ci/prepare test
	@.venv/bin/python -m checks.notebooks $(ARGS)

docs: ## run the code blocks of the documents, follow their links, take the README's picture
	@VERB=docs PYTHON="$(PYTHON)" .ci/prepare test
	@.venv/bin/python -m checks.links
	@.venv/bin/python -m checks.picture
	@.venv/bin/python -m pytest -q tests/test_documents.py $(ARGS)

bench: ## measure, and write benchmarks/RESULTS.md
	@VERB=bench PYTHON="$(PYTHON)" .ci/prepare test
	@.venv/bin/python -m benchmarks $(ARGS)

fuzz: ## search long and at random: many examples a property, and the long tests
	@VERB=fuzz PYTHON="$(PYTHON)" .ci/prepare test
	@HYPOTHESIS_PROFILE=fuzz .venv/bin/python -m pytest -m "long or hypothesis" --timeout=1800 -o faulthandler_timeout=4000 $(ARGS)

chaos: ## kill, freeze and cut a bot while people talk to it, and count what they get
	@VERB=chaos PYTHON="$(PYTHON)" .ci/prepare test
	@.venv/bin/python -m tests.chaos $(ARGS)

mutants: ## break the pure modules on purpose and count what the tests notice
	@VERB=mutants PYTHON="$(PYTHON)" .ci/prepare dev
	@.venv/bin/python -m checks.mutants $(ARGS)

clean: ## remove .venv, caches and what the verbs left behind
	rm -rf .venv .venv-bench .venv-bench-memories .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf mutants htmlcov dist build .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help lab demo test check fix notebooks docs bench fuzz chaos mutants clean
