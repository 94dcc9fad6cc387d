"""Rules for the source of the library that no linter checks."""

import ast

import pytest

from qsmi_lib.utils.paths import ROOT

MODULES = [path for path in sorted((ROOT / "qsmi_lib").rglob("*.py")) if "tests" not in path.parts]
MODULES += [*sorted((ROOT / "docs").rglob("*.py")), *sorted((ROOT / "data").rglob("*.py"))]


def calls(source):
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]


def name_of(call):
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def is_other_warning(call):
    """Whether the call warns with another class than `QsmiWarning`, so that people could not filter it."""
    classes = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "category")]
    return name_of(call) in ("warn", "warn_explicit") and [ast.unparse(c) for c in classes] != ["QsmiWarning"]


def is_of_any_charset(call):
    """Whether the call reads or writes text in the charset of the machine, which may not be UTF-8."""
    words = {word.arg: ast.unparse(word.value) for word in call.keywords}
    if "encoding" in words:
        return False
    mode = next((a.value for a in call.args[-1:] if isinstance(a, ast.Constant)), words.get("mode", "r"))
    opens_text = name_of(call) == "open" and (not call.args or len(str(mode)) < 4) and "b" not in str(mode)
    opens_text &= isinstance(call.func, ast.Name) or not call.args or isinstance(call.args[0], ast.Constant)
    reads = name_of(call) == "read_text" and not call.args
    writes = name_of(call) == "write_text" and isinstance(call.func, ast.Attribute) and len(call.args) == 1
    runs = name_of(call) in ("run", "Popen", "check_output") and words.get("text") == "True"
    return opens_text or reads or writes or runs


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (is_other_warning, "warnings.warn('x')"),
        (is_other_warning, "warnings.warn('x', UserWarning, stacklevel=2)"),
        (is_other_warning, "warn('x', category=RuntimeWarning)"),
        (is_of_any_charset, "open(path)"),
        (is_of_any_charset, "open(path, 'w')"),
        (is_of_any_charset, "path.open()"),
        (is_of_any_charset, "path.open('w')"),
        (is_of_any_charset, "path.read_text()"),
        (is_of_any_charset, "path.write_text(text)"),
        (is_of_any_charset, "subprocess.run(command, text=True)"),
    ],
)
def test_the_rules_find_what_they_forbid(rule, source):
    assert list(map(rule, calls(source))) == [True]


@pytest.mark.parametrize("rule", [is_other_warning, is_of_any_charset])
def test_the_library_keeps_the_rules(rule):
    found = [(path, call) for path in MODULES for call in calls(path.read_text(encoding="utf-8")) if rule(call)]
    assert [f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)}" for path, call in found] == []
