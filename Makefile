# make env    the environment in .venv, as requirements.lock pins it
# make demo   everything once, on made videos: dump, list, train TSN and TSM, evaluate, analyse
# make faults the long fault tests (kills around saves, ranks that die or hang, a real Slurm where one answers)
# make results-weizmann MATERIAL=DIR   README "Results": 18 trainings, resumable (exps/weizmann_folds/run.sh)
# make test   the test suite (make test-all: the slow ones too); make check: lint and types
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

# holds data/weizmann/{videos,folds,classInd.txt} and weights/mobilenet_v2_imagenet.pth
MATERIAL ?= ../shared

.PHONY: env demo results-weizmann test test-all faults check lock clean-demo

env: $(VENV)/.installed

$(VENV)/.installed: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet uv
	$(VENV)/bin/uv pip install --python $(RUN) --requirement requirements.lock
	touch $@

demo: env
	bash exps/demo/run_demo.sh $(RUN)

results-weizmann: env
	bash exps/weizmann_folds/run.sh "$(MATERIAL)" $(RUN)

test: env
	$(RUN) -m pytest -m "not slow"

test-all: env
	$(RUN) -m pytest

faults: env
	FAULT_MINUTES=20 $(RUN) -m pytest tests/faults tests/engine/test_last_words.py tests/engine/test_parent_watch.py \
	    tests/exps/test_slurm.py tests/exps/test_slurm_faults.py tests/datasets/test_list_fuzz.py tests/utils/test_config_fuzz.py

check: env
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

lock: env
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.10 --extra dev --extra export --no-header pyproject.toml \
	    --output-file requirements.lock

clean-demo:
	rm -rf data/motion_demo exps/demo/*/ckpt*.pth.tar exps/demo/*/events exps/demo/*/log.txt \
	    exps/demo/*/config_resolved.yaml exps/demo/*/results
