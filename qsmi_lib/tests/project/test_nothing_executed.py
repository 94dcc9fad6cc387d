"""Nothing that the library reads is executed: its syntax trees name no reader that could, but one restricted one."""

import ast

import pytest

import qsmi_lib
from qsmi_lib.utils import paths

LIBRARY = paths.ROOT / "qsmi_lib"
# Modules, functions and classes that execute what they read, or that store what such a reader needs.
REFUSED = {
    "pickle", "_pickle", "cPickle", "cloudpickle", "dill", "jsonpickle", "marshal", "shelve",
    "joblib.Memory", "joblib.dump", "joblib.load", "joblib.memory",
    "pandas.eval", "pandas.read_pickle",
    "torch.hub.load", "torch.jit.load", "torch.package",
    "yaml.full_load", "yaml.load", "yaml.unsafe_load", "yaml.Loader", "yaml.FullLoader", "yaml.UnsafeLoader",
    "os.popen", "os.system", "subprocess.getoutput", "subprocess.getstatusoutput",
    "runpy",
}  # fmt: skip
BUILTINS = {"eval", "exec", "compile", "__import__"}
NEEDED = {"torch.load": ("weights_only", True)}  # only with this argument
FORBIDDEN = {"allow_pickle": False, "shell": False}  # arguments that may have no other value, of any function
EXCEPTION = "datasets/cifar10.py"  # torchvision's batches are pickles: read by an Unpickler that finds no class


def faults(source):
    """What may execute something in a module: "line: name"."""
    tree, names, found = ast.parse(source), {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0]: alias.asname and alias.name for alias in node.names}
            found += [(node, alias.name) for alias in node.names if refused(alias.name)]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported = {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            names |= imported
            found += [(node, name) for name in imported.values() if refused(name)]
    complete = set()  # the functions of calls with the argument that they need
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = dotted(node.func, names)
            given = {keyword.arg: getattr(keyword.value, "value", keyword.value) for keyword in node.keywords}
            if name in NEEDED and given.get(NEEDED[name][0]) is NEEDED[name][1]:
                complete.add(node.func)
            found += [(node, f"{name}({key})") for key in given.keys() & FORBIDDEN if given[key] != FORBIDDEN[key]]
            if name == "numpy.load" and len(node.args) > 2:
                found.append((node, "numpy.load(allow_pickle)"))
            texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if name == "importlib.import_module":
                found += [(node, text) for text in texts if refused(text)]
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            name = dotted(node, names)
            if refused(name) or (isinstance(node, ast.Name) and node.id in BUILTINS - names.keys()):
                found.append((node, name))
    # `ast.walk` meets a call before the function that it calls
    found += [
        (node, dotted(node, names))
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute) and dotted(node, names) in NEEDED and node not in complete
    ]
    return sorted({f"{node.lineno}: {name}" for node, name in found})


def dotted(node, names):
    """The full name of an expression such as `np.lib.format`; "" if it is none."""
    if isinstance(node, ast.Name):
        return names.get(node.id) or node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, names)
        return f"{before}.{node.attr}" if before else ""
    return ""


def refused(name):
    return any(name == other or name.startswith(f"{other}.") for other in REFUSED)


PLANTED = [
    "import pickle",
    "import pickle as p\np.loads(b'')",
    "from pickle import load",
    "from pickle import *",
    "def f():\n    import cloudpickle",
    "import marshal",
    "import shelve",
    "from joblib import Memory",
    "import joblib\nMemory = joblib.Memory",
    "import joblib\njoblib.load('file')",
    "import torch\ntorch.load('file')",
    "import torch\ntorch.load('file', weights_only=False)",
    "import torch\nlist(map(torch.load, files))",
    "from torch import load as read\nread('file')",
    "import torch\ntorch.hub.load('owner/repository', 'model')",
    "import numpy as np\nnp.load('file', allow_pickle=True)",
    "import numpy as np\nnp.load('file', None, True)",
    "import numpy as np\nnp.load('file', allow_pickle=trusted)",
    "from numpy.lib import format\nformat.read_array(file, allow_pickle=True)",
    "eval('1')",
    "run = exec",
    "exec(compile(text, 'file', 'exec'))",
    "__import__(name)",
    "import importlib\nimportlib.import_module('pickle')",
    "import yaml\nyaml.load(file, yaml.Loader)",
    "from yaml import unsafe_load",
    "import pandas as pd\npd.read_pickle('file')",
    "import os\nos.system(command)",
    "import subprocess\nsubprocess.run(command, shell=True)",
]
HARMLESS = [
    "model.eval()",
    "import re\nre.compile('a')",
    "import torch\ntorch.load('file', map_location='cpu', weights_only=True)",
    "import numpy as np\nnp.load('file')\nnp.load('file', mmap_mode='c', allow_pickle=False)",
    "import yaml\nyaml.safe_load(file)",
    "from joblib import Parallel, delayed",
    "import subprocess\nsubprocess.run(['git', 'status'])",
    "import json\njson.load(file)",
    "from qsmi_lib.training.factory import load\nload(path)",
]


@pytest.mark.parametrize("source", PLANTED)
def test_planted_code_that_executes_files_is_found(source):
    assert faults(source)


@pytest.mark.parametrize("source", HARMLESS)
def test_nothing_else_is_found(source):
    assert not faults(source)


def test_no_module_reads_what_could_be_executed():
    files = [path for path in LIBRARY.rglob("*.py") if "tests" not in path.relative_to(LIBRARY).parts]
    assert len(files) > 90 and (LIBRARY / EXCEPTION) in files and str(LIBRARY) in qsmi_lib.__file__
    found = {path.relative_to(LIBRARY).as_posix(): faults(path.read_text(encoding="utf-8")) for path in files}
    assert {name: lines for name, lines in found.items() if lines and name != EXCEPTION} == {}
    assert {line.partition(": ")[2] for line in found[EXCEPTION]} == {
        "pickle", "pickle.Unpickler", "pickle.UnpicklingError"
    }  # fmt: skip


def test_the_one_unpickler_is_restricted():
    tree = ast.parse((LIBRARY / EXCEPTION).read_text(encoding="utf-8"))
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "Unpickler"]
    (restricted,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and uses == node.bases)
    assert "find_class" in {node.name for node in restricted.body if isinstance(node, ast.FunctionDef)}
