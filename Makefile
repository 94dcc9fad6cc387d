# make reproduce: everything, from nothing but git, make and Python >= 3.11 with venv. make test: the same set-up, all tests.
PYTHON ?= python3
BIN := .venv/bin
PROFILE ?= digits
JOBS ?= 2
# A picture that is uploaded in 15_search comes as one message; tornado would take 10 MB.
UPLOADS := {'websocket_max_message_size': 1000000000}
KERNEL_KEYS := $(addprefix metadata.language_info.,codemirror_mode file_extension mimetype nbconvert_exporter pygments_lexer version)

.PHONY: reproduce test test-browser notebooks lab clean

reproduce: .venv/ready
	$(BIN)/python -m qsmi_lib reproduce --profile $(PROFILE) --jobs $(JOBS)

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/test-results
	QSMI_HEADLESS=1 QSMI_RESULTS="$(CURDIR)/build/test-results" $(BIN)/python -m pytest --nbval-lax --nbval-current-env \
		--ignore qsmi_lib/tests/browser qsmi_lib notebooks

# Drives JupyterLab and the app in a headless Chromium: apt-get install chromium chromium-driver.
test-browser: .venv/ready
	$(BIN)/python -m pytest $(PYTEST_FLAGS) qsmi_lib/tests/browser

# Runs every notebook in place and keeps the outputs of tagged cells alone: after a change of a notebook or of results/paper.
notebooks: .venv/ready
	QSMI_HEADLESS=1 $(BIN)/jupyter nbconvert --to notebook --execute --inplace notebooks/*.ipynb
	$(BIN)/nbstripout --keep-count --extra-keys "$(KERNEL_KEYS)" notebooks/*.ipynb

lab: .venv/ready
	$(BIN)/jupyter lab --ServerApp.tornado_settings="$(UPLOADS)" $(LABFLAGS) notebooks

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11 to 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version); name another: make PYTHON=python3.12 ..."; exit 1; }
	@echo "making the environment in .venv: some minutes and 6 GB, PyTorch above all"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[all]"
	touch $@

clean:
	rm -rf build
