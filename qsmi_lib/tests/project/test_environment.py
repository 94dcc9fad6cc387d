"""The descriptions of the environment agree, and no file names a package index or is large."""

import re
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import qsmi_lib
from qsmi_lib.utils.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"].values()
ALL = [Requirement(text) for text in sum(EXTRAS, PROJECT["dependencies"])]
DEPENDENCIES = [requirement for requirement in ALL if requirement.name != PROJECT["name"]]  # an extra may name others


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize("requirement", DEPENDENCIES, ids=lambda requirement: requirement.name)
def test_each_dependency_has_an_exact_version_inside_its_range(requirement):
    pinned = constraints()
    assert canonicalize_name(requirement.name) in pinned
    assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])


def test_conda_takes_the_same_python_and_the_same_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python = next(d for d in environment["dependencies"] if isinstance(d, str) and d.startswith("python "))
    assert SpecifierSet(python.removeprefix("python ")) == SpecifierSet(PROJECT["requires-python"])
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert pip == ["--constraint constraints.txt", "--editable .[all]"]


def test_the_extra_all_holds_every_other_one():
    [every] = PROJECT["optional-dependencies"]["all"]
    assert Requirement(every).extras == PROJECT["optional-dependencies"].keys() - {"all"}


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"] == qsmi_lib.__version__
    assert citation["license"] == PROJECT["license"]


def test_make_runs_the_hooks_of_a_commit():
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nhooks:")[2].partition("\n\n")[0]
    assert [hook["entry"] for hook in local["hooks"]] == re.findall(r"^\t\$\(BIN\)/(.+)$", recipe, re.MULTILINE)


def tracked() -> list:
    try:
        out = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: which files belong to the project is not known")
    return [ROOT / name for name in out.splitlines() if (ROOT / name).is_file()]


def test_no_file_names_a_package_index():
    pattern = re.compile("|".join(["index" + "-url", "find" + "-links", "extra" + "-index"]))
    texts = [path for path in tracked() if path.suffix not in (".gif", ".png", ".pdf", ".npz", ".safetensors")]
    assert [path.name for path in texts if pattern.search(path.read_text(encoding="utf-8"))] == []


def test_files_are_small():
    assert [path.name for path in tracked() if path.stat().st_size > 500_000] == []


def test_torch_and_torchvision_are_of_one_build():
    import torch
    import torchvision

    assert torchvision.ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5).shape == (0,)
