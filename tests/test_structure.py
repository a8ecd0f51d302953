"""The house rules that a machine can hold: sizes, layers, names, and the tree in docs/architecture.md.

Each rule is a function from a parsed file to offenders `path:line: what`; each is shown to find one.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.shared_material import REPOSITORY

FILE_LINES, FUNCTION_LINES, NESTING, PARAMETERS = 300, 50, 3, 6
DRAWERS = {"utils.py", "misc.py", "common.py", "helpers.py", "helper.py"}
LAYERS = {"utils": 0, "networks": 1, "datasets": 2, "methods": 2, "engine": 3, "anal_tools": 4, "main": 4}
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try)
Functions = ast.FunctionDef | ast.AsyncFunctionDef
Rule = Callable[[ast.Module, str], Iterator[str]]


def tracked(suffix: str = ".py") -> list[str]:
    """Our files, those not committed yet too."""
    out = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [name for name in out.splitlines() if name.endswith(suffix) and (REPOSITORY / name).exists()]


def functions(tree: ast.Module) -> Iterator[Functions]:
    yield from (node for node in ast.walk(tree) if isinstance(node, Functions))


def parameters(function: Functions) -> list[ast.arg]:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [each for each in named if each.arg not in ("self", "cls")]


def long_functions(tree: ast.Module, path: str) -> Iterator[str]:
    for function in functions(tree):
        lines = function.end_lineno - function.lineno + 1
        if lines > FUNCTION_LINES:
            yield f"{path}:{function.lineno}: {function.name} has {lines} lines"


def depth(node: ast.AST) -> int:
    """Blocks within blocks; elif is no block of its own, an inner function begins anew."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*Functions.__args__, ast.Lambda, ast.ClassDef)):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, depth(child) + (isinstance(child, BLOCKS) and not is_elif))
    return deepest


def deep_functions(tree: ast.Module, path: str) -> Iterator[str]:
    for function in functions(tree):
        if depth(function) > NESTING:
            yield f"{path}:{function.lineno}: {function.name} is nested {depth(function)} deep"


def many_parameters(tree: ast.Module, path: str) -> Iterator[str]:
    for function in functions(tree):
        count = len(parameters(function))
        keyword_only = len(function.args.kwonlyargs)
        is_constructor = function.name == "__init__" and count - keyword_only <= 2
        if count > PARAMETERS and not is_constructor:
            yield f"{path}:{function.lineno}: {function.name} takes {count} parameters"


def imported(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node, node.module


def upward_imports(tree: ast.Module, path: str) -> Iterator[str]:
    ours = path.split("/")[0].removesuffix(".py")
    for node, name in imported(tree):
        theirs = name.split(".")[0]
        if ours not in LAYERS or theirs not in LAYERS or ours == theirs:
            continue
        if LAYERS[theirs] >= LAYERS[ours]:
            yield f"{path}:{node.lineno}: {ours} imports {theirs}"


def hidden_imports(tree: ast.Module, path: str) -> Iterator[str]:
    for function in functions(tree):
        for node, name in imported(function):
            if name.split(".")[0] in LAYERS:
                yield f"{path}:{node.lineno}: {function.name} imports {name}"


def unsafe_loading(tree: ast.Module, path: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if called == "torch.load" and keywords.get("weights_only") != "True":
            yield f"{path}:{node.lineno}: torch.load without weights_only=True"
        if called in ("yaml.load", "yaml.unsafe_load", "yaml.full_load") and "Safe" not in ast.unparse(node):
            yield f"{path}:{node.lineno}: {called} without a safe loader"
        if keywords.get("allow_pickle") == "True":
            yield f"{path}:{node.lineno}: allow_pickle=True"


def silent_asserts(tree: ast.Module, path: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and node.msg is None:
            yield f"{path}:{node.lineno}: assert without a message"


def public(tree: ast.Module) -> Iterator[Functions | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, (*Functions.__args__, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                methods = [each for each in node.body if isinstance(each, Functions)]
                yield from (each for each in methods if not each.name.startswith("_"))


def undocumented(tree: ast.Module, path: str) -> Iterator[str]:
    if ast.get_docstring(tree) is None and tree.body:
        yield f"{path}:1: module without a docstring"
    for node in public(tree):
        if ast.get_docstring(node) is None:
            yield f"{path}:{node.lineno}: {node.name} without a docstring"
        arguments = [] if isinstance(node, ast.ClassDef) else parameters(node)
        for argument in arguments:
            if argument.annotation is None:
                yield f"{path}:{argument.lineno}: {argument.arg} of {node.name} without a type"


RULES_FOR_ALL: list[Rule] = [long_functions, deep_functions, many_parameters, unsafe_loading]
RULES_FOR_CODE: list[Rule] = [*RULES_FOR_ALL, upward_imports, hidden_imports, silent_asserts, undocumented]

OFFENDERS: dict[Rule, str] = {
    long_functions: "def f():\n" + "    x = 1\n" * FUNCTION_LINES,
    deep_functions: "def f():\n if a:\n  for b in c:\n   while d:\n    with e:\n     pass\n",
    many_parameters: "def f(a, b, c, d, e, f, g):\n    pass\n",
    unsafe_loading: "import torch\ntorch.load('x')\n",
    upward_imports: "import engine.log\n",
    hidden_imports: "def f():\n    import engine.log\n",
    silent_asserts: "assert x\n",
    undocumented: "def f(x):\n    pass\n",
}


def parsed(path: str) -> ast.Module:
    return ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("rule", RULES_FOR_CODE, ids=lambda rule: rule.__name__)
def test_rule_holds(rule: Rule) -> None:
    paths = [path for path in tracked() if rule in RULES_FOR_ALL or not path.startswith("tests/")]
    assert len(paths) > 50, f"only {len(paths)} files looked at"
    offenders = [line for path in paths for line in rule(parsed(path), path)]
    assert not offenders, "\n".join(offenders)


@pytest.mark.parametrize("rule", OFFENDERS, ids=lambda rule: rule.__name__)
def test_rule_finds_an_offender(rule: Rule) -> None:
    assert list(rule(ast.parse(OFFENDERS[rule]), "utils/x.py"))


def test_a_deep_elif_chain_is_no_nesting() -> None:
    chain = "def f(x):\n if x == 1:\n  pass\n" + "".join(f" elif x == {i}:\n  pass\n" for i in range(2, 9))
    assert not list(deep_functions(ast.parse(chain), "x.py"))


def test_files_are_short_and_named() -> None:
    long = [
        f"{path}: {count} lines"
        for path in tracked()
        if (count := len((REPOSITORY / path).read_text(encoding="utf-8").splitlines())) > FILE_LINES
    ]
    drawers = [path for path in tracked() if Path(path).name in DRAWERS]
    assert not long + drawers, "\n".join(long + drawers)


def imports_of_ours() -> dict[str, set[str]]:
    """Module -> modules of ours that it imports."""
    names = {path.removesuffix(".py").replace("/", ".").removesuffix(".__init__"): path for path in tracked()}
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        found = set()
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names} & names.keys()
                found |= inner or {node.module}
        graph[name] = (found & names.keys()) - {name}
    return graph


def cycle_in(graph: dict[str, set[str]]) -> list[str] | None:
    """A cycle, if there is one."""
    finished: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in finished:
            return None
        found = next((cycle for each in sorted(graph[name]) if (cycle := walk(each, [*path, name]))), None)
        finished.add(name)
        return found

    return next((cycle for name in graph if (cycle := walk(name, []))), None)


def test_no_import_cycles() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert cycle_in(imports_of_ours()) is None


def test_the_tree_in_the_docs_is_the_tree_that_exists() -> None:
    """The fenced block under "The tree" has a path per line, then two spaces or more and a remark."""
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    block = re.search(r"## The tree\n+```\n(.*?)```", text, re.DOTALL)
    assert block, "docs/architecture.md has no fenced block under '## The tree'"
    listed = {re.split(r"\s{2,}", line)[0] for line in block[1].splitlines() if line.strip()}
    exist = {path for path in tracked() if not path.startswith("tests/")}
    code = {path for path in listed if path.endswith(".py")}
    assert not exist - code, f"not in the tree: {sorted(exist - code)}"
    gone = sorted(path for path in listed if not (REPOSITORY / path).exists())
    assert not gone, f"in the tree, but gone: {gone}"
