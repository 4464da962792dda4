"""The house keeps its shape: file sizes, folders, rule files, kernels and their twins, one way to compile."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tree import FOLDERS, PACKAGES, ROOT, dotted, files, is_kernel, sources, text_of, tree_of

from kernels.records import EVENT_BASE, EVENT_BYTES
from kernels.rules import REGISTRY

MAX_LINES = 400
MAX_RULE_LINES = 150
MAX_STEP_ARGUMENTS = 8

RULES = [path for path in sources("kernels") if path.parent.name == "rules" and path.name != "__init__.py"]
RULE_ORDER = ["docstring", "Config", "EVENT", "prepare", "step", "RULE"]
ALLOCATORS = {"zeros", "zeros_like", "empty", "empty_like", "ones", "ones_like", "full", "array", "arange", "copy"}

#: Where a program begins, so where it may print and end.
PROGRAMS = ("vision/cli/", "kernels/warm.py", "models/train/", "benchmarks/")


# -- files and folders ----------------------------------------------------------------------------------------------


def test_files_are_short():
    lengths = {str(path): len(text_of(path).splitlines()) for path in sources()}
    assert len(lengths) > 50
    assert {name: n for name, n in lengths.items() if n >= MAX_LINES} == {}


def test_no_other_folder_stands_at_the_top():
    tops = {path.parts[0] for path in files() if len(path.parts) > 1 and not path.parts[0].startswith(".")}
    assert set(PACKAGES) <= tops <= FOLDERS


def test_every_module_says_what_it_is_for():
    silent = [str(path) for path in sources() if text_of(path).strip() and not ast.get_docstring(tree_of(path))]
    assert silent == []


def ends_or_prints(tree: ast.Module) -> list[str]:
    """Return each call that prints or ends the process."""
    called = [f"{node.lineno}: {dotted(node.func)}" for node in ast.walk(tree) if isinstance(node, ast.Call)]
    raised = [
        f"{node.lineno}: SystemExit"
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and node.exc is not None
        and dotted(node.exc.func if isinstance(node.exc, ast.Call) else node.exc) == "SystemExit"
    ]
    wrong = {"print", "exit", "quit", "sys.exit", "sys.stdout.write", "sys.stderr.write"}
    return [call for call in called if call.split(": ")[1] in wrong] + raised


def test_library_code_neither_prints_nor_exits():
    found = {
        str(path): calls
        for path in sources(*PACKAGES)
        if not str(path).startswith(PROGRAMS) and (calls := ends_or_prints(tree_of(path)))
    }
    assert found == {}


def test_a_print_and_an_exit_would_be_seen():
    assert ends_or_prints(ast.parse("def f():\n    print(1)\n    sys.exit(2)\n")) == ["2: print", "3: sys.exit"]
    assert ends_or_prints(ast.parse("raise SystemExit\nraise SystemExit(1)\n")) == ["1: SystemExit", "2: SystemExit"]


# -- rules ----------------------------------------------------------------------------------------------------------


def part_of(index: int, node: ast.stmt) -> str:
    """Return which part of a rule file a statement is, empty for none."""
    if index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return "docstring"
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return node.name if node.name in RULE_ORDER else ""
    if isinstance(node, ast.Assign):
        return next((name for name in map(dotted, node.targets) if name in RULE_ORDER), "")
    return ""


def step_mistakes(step: ast.FunctionDef) -> list[str]:
    """Return what is wrong in a rule's step: too many arguments, an allocation, an exception."""
    arguments = step.args.posonlyargs + step.args.args + step.args.kwonlyargs
    wrong = [f"step has {len(arguments)} arguments"] if len(arguments) > MAX_STEP_ARGUMENTS else []
    if not is_kernel(step) or step.args.vararg or step.args.kwarg:
        wrong.append("step is no @kernel with named arguments")
    for node in ast.walk(step):
        if isinstance(node, ast.Raise | ast.Try | ast.Assert):
            wrong.append(f"step has {type(node).__name__}")
        if isinstance(node, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
            wrong.append(f"step allocates with {type(node).__name__}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ALLOCATORS:
            wrong.append(f"step allocates with {node.func.attr}")
    return wrong


def rule_mistakes(text: str) -> list[str]:
    """Return what is wrong with the form of a rule file."""
    body = ast.parse(text).body
    parts = [part for index, node in enumerate(body) if (part := part_of(index, node))]
    wrong = [] if parts == RULE_ORDER else [f"the parts are {parts}"]
    if part_of(1, body[-1]) != "RULE":
        wrong.append("RULE is not the last statement")
    if len(text.splitlines()) > MAX_RULE_LINES:
        wrong.append(f"{len(text.splitlines())} lines")
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == "step":
            wrong += step_mistakes(node)
    return wrong


GOOD_RULE = '''"""Count."""
class Config(RuleConfig): pass
EVENT = event_dtype()
def prepare(config, scene): return Prepared(a, b)
@kernel
def step(tracks, clock, signals, settings, state, out):
    return 0
RULE = Rule()
'''


def test_there_are_rules():
    assert len(RULES) >= 3
    assert {path.stem for path in RULES} == set(REGISTRY)


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_a_rule_file_has_the_fixed_order(path: Path):
    assert rule_mistakes(text_of(path)) == []


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('"""Count."""', "pass"),
        ("EVENT =", "EVENTS ="),
        ("class Config", "RULE = 1\nclass Config"),
        ("RULE = Rule()", "RULE = Rule()\nEXTRA = 1"),
        ("RULE = Rule()", "#\n" * MAX_RULE_LINES + "RULE = Rule()"),
        ("@kernel\n", ""),
        ("state, out", "state, out, a, b, c"),
        ("return 0", "return np.zeros(3)"),
        ("return 0", "return len([out])"),
        ("return 0", "raise ValueError"),
    ],
)
def test_a_wrong_rule_file_would_be_seen(good: str, bad: str):
    assert rule_mistakes(GOOD_RULE) == []
    assert good in GOOD_RULE
    assert len(rule_mistakes(GOOD_RULE.replace(good, bad))) >= 1


@pytest.mark.parametrize("rule", REGISTRY.values(), ids=REGISTRY.keys())
def test_an_event_is_small_and_begins_with_the_common_fields(rule):
    assert REGISTRY[rule.type] is rule
    assert rule.event.itemsize <= EVENT_BYTES
    assert rule.event.descr[: len(EVENT_BASE)] == np.dtype(EVENT_BASE).descr


# -- kernels --------------------------------------------------------------------------------------------------------


def kernel_names() -> set[str]:
    """Return the name that each kernel's twin must have: its own, `<type>_step` for the step of a rule."""
    return {
        f"{path.stem}_step" if path in RULES and node.name == "step" else node.name
        for path in sources("kernels")
        for node in ast.walk(tree_of(path))
        if is_kernel(node)
    }


def test_every_kernel_has_a_twin():
    import naive  # here, as a module that holds twins counts as a test of kernels and would run three times

    names = kernel_names()
    assert len(names) >= 25
    assert sorted(name for name in names if not callable(getattr(naive, name, None))) == []


def test_a_twin_is_plain_python():
    twins = [path for path in sources("tests") if path.name.startswith("naive_")]
    assert len(twins) >= 4
    assert [str(path) for path in twins for node in ast.walk(tree_of(path)) if is_kernel(node)] == []


def numba_imports(tree: ast.Module) -> list[int]:
    """Return the lines that import numba or a part of it."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(name.name.split(".")[0] == "numba" for name in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numba")
    ]


def test_kernel_is_the_only_way_to_compile():
    found = {str(path) for path in sources(*PACKAGES) if numba_imports(tree_of(path))}
    assert found == {"kernels/_jit.py", "kernels/_call.py"}  # the second calls what the first has compiled


HEAD = "from kernels._jit import kernel\n"
CALLER = HEAD + "from kernels.callee import callee\n@kernel\ndef caller(x):\n    return callee(x)\n"
CALLEE = HEAD + "@kernel\ndef callee(x):\n    return x + {}\n"


def test_an_edit_in_a_called_file_is_seen(tmp_path: Path):
    """numba itself would answer from its cache: it looks at the caller's file only."""
    shutil.copytree(ROOT / "kernels", tmp_path / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "kernels" / "caller.py").write_text(CALLER)
    cache = tmp_path / "cache"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    environment = {**kept, "GANTRY_CACHE_DIR": str(cache), "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}

    def answer() -> tuple[int, ...]:
        question = "from kernels.caller import caller; print(caller(10), sum(caller.stats.cache_hits.values()))"
        told = subprocess.run(
            [sys.executable, "-P", "-c", question],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return tuple(map(int, told.stdout.split()))

    (tmp_path / "kernels" / "callee.py").write_text(CALLEE.format(10))
    assert answer() == (20, 0)
    assert answer() == (20, 1)  # the cache is at work
    (tmp_path / "kernels" / "callee.py").write_text(CALLEE.format(1000))
    assert answer() == (1010, 0)
    assert len(list((cache / "gantry" / "kernels").glob("caller-*"))) == 2
