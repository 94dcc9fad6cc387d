# make reproduce: everything, from nothing but git, make and Python >= 3.11 with venv. make test: the same set-up, all tests.
PYTHON ?= python3
BIN := .venv/bin
PROFILE ?= digits
JOBS ?= 2
# A worker of the tests has one thread: two workers with two threads each would wait for one another.
PYTEST := QSMI_HEADLESS=1 OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest
# What `make check` runs beside the hooks, in 25 CPU-seconds: the tests that train nothing and compile no kernel.
FAST := $(addprefix qsmi_lib/tests/,losses utils test_codes.py test_imports.py evaluation/test_conventions.py \
	evaluation/test_neighbors.py project/test_environment.py)
# A picture that is uploaded in 15_search comes as one message; tornado would take 10 MB.
UPLOADS := {'websocket_max_message_size': 1000000000}
COPIES := my_notebooks
# How long `make fuzz` runs.
MINUTES ?= 10
# How many kills `make torture` makes.
KILLS ?= 200
# More options of JupyterLab, for example --ip=0.0.0.0 in a container.
LABFLAGS ?=
# make pictures NOTEBOOKS="00 03" runs these alone; so does make notebooks.
NOTEBOOKS ?=

.PHONY: reproduce check hooks test test-all test-browser test-site test-wheel test-oldest fuzz torture notebooks pictures lab site clean

reproduce: .venv/ready
	$(BIN)/python -m qsmi_lib reproduce --profile $(PROFILE) --jobs $(JOBS)

# For daily work, in at most a minute: style, imports between the parts of the library, types, and the fast tests.
check: hooks
	$(PYTEST) -q $(FAST)

# What .pre-commit-config.yaml runs before each commit; here it needs no git.
hooks: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# The cells of a notebook need their order and one worker; the library's tests are in random order.
test: hooks
	rm -rf build/test-results
	$(PYTEST) -n $(JOBS) --dist worksteal --ignore qsmi_lib/tests/browser --ignore qsmi_lib/tests/site qsmi_lib
	QSMI_RESULTS="$(CURDIR)/build/test-results" $(PYTEST) -p no:randomly -n $(JOBS) --dist loadfile \
		--nbval-lax --nbval-current-env notebooks

test-all: test test-wheel test-site test-browser test-oldest torture fuzz

# Damages files of every kind at random and reads them; `make test` has a fixed number of such cases.
fuzz: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m qsmi_lib.tests.fuzz --minutes $(MINUTES)

# Kills commands at random moments and starts them again, 200 times; `make test` has 20 such kills.
torture: .venv/ready
	QSMI_HEADLESS=1 OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m qsmi_lib.tests.torture --kills $(KILLS)

# Drives JupyterLab and the app in a headless Chromium: apt-get install chromium chromium-driver.
test-browser: .venv/ready
	$(BIN)/python -m pytest -p no:randomly $(PYTEST_FLAGS) qsmi_lib/tests/browser

# Every page, link and picture of the site, without and with a browser.
test-site: site
	$(BIN)/python -m pytest -p no:randomly qsmi_lib/tests/site

# Installs the wheel with its dependencies in a fresh environment (7 GB), and uses it in an empty folder.
test-wheel: .venv/ready
	rm -rf build/lib build/wheel
	mkdir -p build/wheel/home
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		"$$(ls build/wheel/*.whl)[search]"
	! build/wheel/venv/bin/python -c "import IPython" 2>/dev/null
	cd "$$(mktemp -d)" && export HOME="$(CURDIR)/build/wheel/home" && "$(CURDIR)/build/wheel/venv/bin/qsmi" --help && \
		"$(CURDIR)/build/wheel/venv/bin/python" -P "$(CURDIR)/qsmi_lib/tests/project/use_of_wheel.py"
	rm -rf build/wheel

# The library's tests with the oldest versions that pyproject.toml allows, in a fresh environment (7 GB) of Python 3.11:
# later ones have no wheels of these versions. There a warning is no error: old versions warn of one another.
OLDEST := build/oldest/venv/bin
test-oldest: .venv/ready
	rm -rf build/oldest
	$(PYTHON) -m venv build/oldest/uv
	build/oldest/uv/bin/python -m pip install --quiet --disable-pip-version-check uv
	build/oldest/uv/bin/uv venv --quiet --python 3.11 build/oldest/venv
	build/oldest/uv/bin/uv pip install --quiet --python $(OLDEST)/python --resolution lowest-direct \
		--editable ".[all]" "pip>=23.2"
	$(subst $(BIN),$(OLDEST),$(PYTEST)) -W default -n $(JOBS) --dist worksteal \
		--ignore qsmi_lib/tests/browser --ignore qsmi_lib/tests/site qsmi_lib
	rm -rf build/oldest

# Runs the notebooks and stores the outputs of their cells tagged keep_output: after a change of a notebook or of results/paper.
notebooks: .venv/ready
	$(BIN)/python -m qsmi_lib.reproduction.notebooks store keep_output --jobs $(JOBS) $(NOTEBOOKS)

# The same for cells tagged keep_picture, whose pictures show what was trained here; and the animation of the README.
pictures: .venv/ready
	$(BIN)/python -m qsmi_lib.reproduction.plotting.descent docs/images/clamp.gif
	$(BIN)/python -m qsmi_lib.reproduction.notebooks store keep_picture --jobs $(JOBS) $(NOTEBOOKS)

# Opens copies of the notebooks, so that a change there changes nothing in git. JupyterLab prints its address.
# Its root is this folder, because notebooks link to docs and results.
lab: .venv/ready
	$(BIN)/python -m qsmi_lib.reproduction.notebooks copy $(COPIES)
	$(BIN)/jupyter lab --log-level=ERROR --ServerApp.root_dir="$(CURDIR)" --ServerApp.tornado_settings="$(UPLOADS)" \
		--LabApp.default_url=/lab/tree/$(COPIES)/00_start_here.ipynb $(if $(filter 0,$(shell id -u)),--allow-root) $(LABFLAGS)

# The site in build/site, from the notebooks, documents and docstrings as they are: no cell runs, and it needs no network.
site: .venv/ready
	rm -rf build/site build/jupyter_execute
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going -c docs -d build/site-cache . build/site
	@echo "the site is in build/site: open build/site/index.html"

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11 to 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version); name another: make PYTHON=python3.12 ..."; exit 1; }
	@echo "making the environment in .venv: some minutes and 7 GB, PyTorch above all"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[all]"
	touch $@

clean:
	rm -rf build
