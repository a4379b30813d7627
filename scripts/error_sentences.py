"""Find the errors of the services in their source code: classes, codes and sentences.

The source is parsed, not imported, because both services have a package named `app`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_BASE = "OmsError"
_ATTRIBUTES = ("status", "kind", "title")


Function = ast.FunctionDef | ast.AsyncFunctionDef
Block = tuple[ast.AST, str]  # a statement and the name of its field that holds the nested statements


class ErrorClass(NamedTuple):
    """An error of the REST API: the end of the problem's `type`, its HTTP status and title."""

    kind: str
    status: int
    title: str


class Module(NamedTuple):
    """A parsed module: its constants, classes, calls, and the function and the block that each node is in."""

    path: str
    constants: dict[str, ast.expr]
    classes: dict[str, ast.ClassDef]
    calls: dict[str, list[ast.Call]]
    functions: dict[ast.AST, Function]
    blocks: dict[ast.AST, Block]


def parse_modules(folder: Path) -> list[Module]:
    """Return the modules below a folder, in the order of their paths."""
    return [_parse_module(file, folder) for file in sorted(folder.rglob("*.py"))]


def _parse_module(file: Path, folder: Path) -> Module:
    tree = ast.parse(file.read_text())
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    functions = {
        node: function
        for function in ast.walk(tree)
        if isinstance(function, Function)
        for node in ast.walk(function)
    }
    blocks = {
        child: (node, field)
        for node in ast.walk(tree)
        for field, value in ast.iter_fields(node)
        for child in (value if isinstance(value, list) else [value])
        if isinstance(child, ast.AST)
    }
    classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    calls: dict[str, list[ast.Call]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            calls.setdefault(_get_called_name(node), []).append(node)
    return Module(str(file.relative_to(folder)), constants, classes, calls, functions, blocks)


def find_error_classes(modules: list[Module]) -> dict[str, ErrorClass]:
    """Return the classes derived from `OmsError`, by name."""
    nodes = {name: node for module in modules for name, node in module.classes.items()}
    error_classes = {}
    for name in nodes:
        body: dict[str, object] = {}
        if _add_inherited_attributes(name, nodes, body):
            error_classes[name] = ErrorClass(str(body["kind"]), int(str(body["status"])), str(body["title"]))
    return error_classes


def _add_inherited_attributes(
    name: str, nodes: dict[str, ast.ClassDef], attributes: dict[str, object]
) -> bool:
    """Add the attributes of a class and its bases to `attributes`. Return whether it is an `OmsError`."""
    node = nodes.get(name)
    if node is None:
        return False
    for key, value in _list_class_attributes(node):
        attributes.setdefault(key, value)
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    return name == _BASE or any(_add_inherited_attributes(base, nodes, attributes) for base in bases)


def _list_class_attributes(node: ast.ClassDef) -> Iterator[tuple[str, object]]:
    for line in node.body:
        if not isinstance(line, ast.Assign):
            continue
        target = line.targets[0]
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        values = line.value.elts if isinstance(line.value, ast.Tuple) else [line.value]
        for name, value in zip(names, values, strict=False):
            if isinstance(name, ast.Name) and name.id in _ATTRIBUTES and isinstance(value, ast.Constant):
                yield name.id, value.value


def find_calls(modules: list[Module], name: str) -> Iterator[tuple[Module, ast.Call]]:
    """Yield the calls of a function or class."""
    for module in modules:
        for call in module.calls.get(name, ()):
            yield module, call


def _get_called_name(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def find_details(modules: list[Module], name: str) -> list[str]:
    """Return the sentences of an error class: those of its constructor, or those that it is created with."""
    problems: list[str] = []
    for module in modules:
        if name in module.classes:
            problems += _find_sentences(module, module.classes[name])
            calls = _find_super_calls(module.classes[name])
            problems += [text for call in calls for text in _find_argument_texts(module, call, 0)]
    if not problems:
        problems = [
            text
            for module, call in find_calls(modules, name)
            for text in _find_argument_texts(module, call, 0)
        ]
    return list(dict.fromkeys(problems))


def _find_sentences(module: Module, node: ast.ClassDef) -> list[str]:
    """Return the sentence of a class whose errors all have the same."""
    assignments = [line for line in node.body if isinstance(line, ast.Assign)]
    values = [line.value for line in assignments if ast.unparse(line.targets[0]) == "sentence"]
    return [text for value in values for text in _find_texts(module, value)]


def _find_super_calls(node: ast.ClassDef) -> Iterator[ast.Call]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__":
            yield call


def find_coded(modules: list[Module], name: str, code: int, message: int) -> Iterator[tuple[str, str]]:
    """Yield code and message of the calls of `name`, at these positions of its arguments."""
    for module, call in find_calls(modules, name):
        if len(call.args) <= max(code, message):
            continue
        for coded, worded in _find_pairs(module, call.args[code], call.args[message]):
            for sentence in _find_texts(module, coded):
                for text in _find_texts(module, worded):
                    yield sentence, _fill_context(module, call, text)


def _find_pairs(module: Module, code: ast.expr, message: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield code and message. If both are parameters of a function, yield what each of its calls passes."""
    function = module.functions.get(code)
    parameters = [arg.arg for arg in function.args.args] if function else []
    names = [getattr(node, "id", "") for node in (code, message)]
    if function is None or not set(names) <= set(parameters):
        yield code, message
        return
    first, second = (parameters.index(name) for name in names)
    for _, call in find_calls([module], function.name):
        if len(call.args) > max(first, second):
            yield call.args[first], call.args[second]


def _fill_context(module: Module, call: ast.Call, text: str) -> str:
    """Replace `{message}` by the text that the error's context holds under that name."""
    if text != "{message}" or not isinstance(call.args[-1], ast.Dict):
        return text
    context = call.args[-1]
    values = [value for key, value in zip(context.keys, context.values, strict=True)
              if isinstance(key, ast.Constant) and key.value == "message"]  # fmt: skip
    texts = _find_texts(module, values[0]) if values else []
    return texts[0] if texts else ""


def find_keyword(modules: list[Module], name: str, keyword: str) -> Iterator[str]:
    """Yield the texts that calls of `name` pass as `keyword`."""
    for module, call in find_calls(modules, name):
        for argument in call.keywords:
            if argument.arg == keyword:
                yield from _find_texts(module, argument.value)


def find_constants(module: Module) -> dict[str, str]:
    """Return the texts that a module defines as public constants."""
    constants = {}
    for name, value in module.constants.items():
        texts = _find_texts(module, value)
        if name.isupper() and not name.startswith("_") and texts:
            constants[name] = texts[0]
    return constants


def find_entries(module: Module, name: str) -> dict[str, str]:
    """Return the entries of a dict of texts, by the last part of their keys."""
    value = module.constants[name]
    if not isinstance(value, ast.Dict):
        raise TypeError(f"{name} is not a dict display")
    return {
        ast.unparse(key).rpartition(".")[2].strip("'"): _find_texts(module, text)[0]
        for key, text in zip(value.keys, value.values, strict=True)
        if key is not None
    }


def _find_argument_texts(module: Module, call: ast.Call, index: int) -> list[str]:
    return _find_texts(module, call.args[index]) if len(call.args) > index else []


def _find_texts(module: Module, node: ast.expr) -> list[str]:
    """Return the texts that an expression can have. A part that is not known is shown as {name}."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(_format_part(module, part) for part in parts)]
        case ast.IfExp(body=body, orelse=other):
            return [*_find_texts(module, body), *_find_texts(module, other)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [a + b for a in _find_texts(module, left) for b in _find_texts(module, right)]
        case ast.Name(id=name):
            return _find_named_texts(module, node, name)
        case _:
            return []


def _find_named_texts(module: Module, node: ast.Name, name: str) -> list[str]:
    function = module.functions.get(node)
    if function is not None:
        assigned = _find_assigned_texts(module, function, node)
        if assigned:
            return assigned
        parameters = [arg.arg for arg in function.args.args]
        if name in parameters:
            return _find_passed_texts(module, function.name, parameters.index(name), name)
    return _find_texts(module, module.constants[name]) if name in module.constants else []


def _find_assigned_texts(module: Module, function: Function, use: ast.Name) -> list[str]:
    """Return the texts that a local variable can have where it is used."""
    found_texts: list[str] = []
    lines = [node for node in ast.walk(function) if isinstance(node, ast.Assign | ast.AugAssign)]
    for line in sorted(lines, key=lambda node: node.lineno):
        targets = [line.target] if isinstance(line, ast.AugAssign) else line.targets
        if line.lineno > use.lineno or use.id not in {getattr(target, "id", None) for target in targets}:
            continue
        texts = _find_texts(module, line.value)
        if isinstance(line, ast.AugAssign):
            found_texts = [a + b for a in found_texts for b in texts]
        elif module.blocks[line] in _find_enclosing_blocks(module, use):
            found_texts = texts  # replaces the texts assigned before
        elif not _leaves_function(module.blocks[line]):
            found_texts += texts
    return found_texts


def _leaves_function(block: Block) -> bool:
    """Return whether a block ends by leaving the function, so that nothing after it sees its assignments."""
    statement, field = block
    return isinstance(getattr(statement, field)[-1], ast.Raise | ast.Return)


def _find_enclosing_blocks(module: Module, node: ast.AST) -> list[Block]:
    blocks: list[Block] = []
    while node in module.blocks:
        blocks.append(module.blocks[node])
        node = module.blocks[node][0]
    return blocks


def _find_passed_texts(module: Module, function: str, index: int, name: str) -> list[str]:
    """Return the texts that the calls within the module pass for a parameter."""
    texts: list[str] = []
    for _, call in find_calls([module], function):
        named_values = [argument.value for argument in call.keywords if argument.arg == name]
        texts += [
            text for value in named_values for text in _find_texts(module, value)
        ] or _find_argument_texts(module, call, index)
    return texts


def _format_part(module: Module, part: ast.expr) -> str:
    """Return a part of an f-string: its text, or a placeholder with the name of the value."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    value = part.value if isinstance(part, ast.FormattedValue) else part
    if isinstance(value, ast.Name) and value.id in module.constants:
        texts = _find_texts(module, module.constants[value.id])
        if texts:
            return texts[0]
    return f"{{{_build_placeholder(value)}}}"


def _build_placeholder(value: ast.expr) -> str:
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lower().strip("_")
        case (
            ast.Call(args=[*_, inner])
            | ast.IfExp(body=inner)
            | ast.BoolOp(values=[inner, *_])
            | ast.Call(func=ast.Attribute(value=inner))
        ):
            return _build_placeholder(inner)
        case ast.Constant(value=constant):
            return str(constant).strip()
        case _:
            return "value"
