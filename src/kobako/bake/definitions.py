"""What the HCL and JSON files together define: every name is computed when it is asked for."""

from __future__ import annotations

import re

from kobako.bake import attributes, convert, evaluate, values, variables
from kobako.bake.functions.table import FUNCTIONS
from kobako.bake.hcl import json_syntax
from kobako.bake.hcl.syntax import Block, Body, Call, Node, Setting, Tuple, keyword
from kobako.bake.scope import Scope, World
from kobako.bake.source import BakeError, Fault, suggest
from kobako.bake.targets import Config, Group, Target, merged
from kobako.bake.values import Value
from kobako.bake.variables import Environment, Variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kobako.bake.scope import Function
    from kobako.bake.source import Range
    from kobako.bake.variables import Listed, Lookup

_TYPES = ("group", "target")
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_MATRIX_LIMIT = 10_000


class Instance:
    """One target of a block: a block with a matrix has many."""

    def __init__(self, block: Block, scope: Scope, name: str) -> None:
        self.block = block
        self.scope = scope
        self.name = name
        self.done: dict[str, object] = {}
        self.busy: set[str] = set()

    def get(self, name: str) -> object:
        """The decoded value of an attribute that is there."""
        if name not in self.done:
            setting = self.block.body.get(name)
            assert setting is not None
            if name in self.busy:
                where = f"{self.block.type}.{self.name}.{name}"
                raise BakeError(
                    setting.at, "Invalid expression", f"reference cycle not allowed for {where}"
                )
            self.busy.add(name)
            value = evaluate.evaluate(setting.value, self.scope)
            try:
                self.done[name] = attributes.decode(name, value)
            except Fault as fault:
                raise BakeError(
                    setting.value.at,
                    "Unsuitable value type",
                    f'{self.block.type} "{self.name}": {name}: {fault.message}',
                ) from None
        return self.done[name]


class Definitions:
    """The names of all files (`scope.Surroundings`). Later files win over earlier ones."""

    def __init__(
        self, bodies: list[Body], lookup: Lookup, builtin: dict[str, str], world: World
    ) -> None:
        self.world = world
        self.warnings: list[str] = []
        self._builtin = builtin
        self._scope = Scope(self)
        self._settings: dict[str, Setting] = {}
        self._variables: dict[str, Variable] = {}
        self._functions: dict[str, Block] = {}
        self._values: dict[str, Value] = {}
        self._busy: set[str] = set()
        self._made: dict[str, Function] = {}
        self._blocks: list[Block] = []
        for body in bodies:
            self._collect(body)
        self._environment = Environment(lookup, frozenset(self._variables), frozenset(builtin))
        self._instances: dict[str, list[Instance]] | None = None
        self._renamed: list[tuple[str, str, tuple[str, ...]]] = []

    def _collect(self, body: Body) -> None:
        for setting in body.settings:
            if setting.name not in (*_TYPES, "function", *self._builtin):
                self._settings[setting.name] = setting
        for block in body.blocks:
            if block.type not in (*_TYPES, "variable", "function"):
                self._warn(
                    block.at, f'blocks of type "{block.type}" have no meaning in a bake file'
                )
                continue
            if len(block.labels) != 1:
                raise BakeError(
                    block.at,
                    "Invalid block",
                    f'A {block.type} has one name: {block.type} "x" {{ }}.',
                )
            name = block.labels[0]
            if block.type == "function":
                self._functions[name] = block
            elif block.type == "variable" and name not in (*_TYPES, *self._builtin):
                self._variables[name] = variables.read(block, self._scope)
            elif block.type != "variable":
                self._blocks.append(block)

    def _warn(self, at: Range, message: str) -> None:
        self.warnings.append(f"{at.file.name}:{at.line}: {message}")

    # What expressions ask for

    def variable(self, name: str) -> Value | None:
        if name in self._values:
            return self._values[name]
        if name in self._builtin:
            return values.text(self._builtin[name])
        setting, variable = self._settings.get(name), self._variables.get(name)
        if setting is None and variable is None:
            return None
        if name in self._busy:
            raise Fault(f"variable cycle not allowed for {name}")
        self._busy.add(name)
        try:
            if variable is None:
                assert setting is not None
                found = evaluate.evaluate(setting.value, self._scope)
            else:
                if setting is not None:
                    variable = variable.replace(kind=None)
                default = setting or variable.default
                found = variables.value(variable, default, self._scope, self._environment)
        finally:
            self._busy.discard(name)
        self._values[name] = found
        return found

    def variable_names(self) -> list[str]:
        return [*self._variables, *self._settings, *self._builtin]

    def block_types(self) -> tuple[str, ...]:
        return _TYPES

    def attribute(self, kind: str, name: str, attribute: str) -> Value | None:
        found = [i for i in self._named().get(name, ()) if i.block.type == kind]
        if not found:
            return None
        if kind == "group":
            known = attribute in attributes.GROUP_NAMES
            words = self._group(found[-1])
            if not known:
                return None
            if attribute == "description":
                return values.text(words.description)
            return values.list_of(values.STRING, map(values.text, words.targets))
        if attribute in attributes.NAMES:
            for instance in reversed(found):
                if instance.block.body.get(attribute) is not None:
                    blank = Target(name).replace(
                        **{attributes.field(attribute): instance.get(attribute)}
                    )
                    return attributes.encode(blank, attribute)
        return attributes.encode(Target(name), attribute)

    def function(self, name: str) -> Function | None:
        if name in FUNCTIONS:
            return FUNCTIONS[name]
        if name in self._functions and name not in self._made:
            self._made[name] = self._user_function(self._functions[name])
        return self._made.get(name)

    def function_names(self) -> list[str]:
        return [*FUNCTIONS, *self._functions]

    def _user_function(self, block: Block) -> Function:
        name = block.labels[0]
        result, given = block.body.get("result"), block.body.get("params")
        more = block.body.get("variadic_params")
        if result is None or given is None:
            what = "result" if result is None else "params"
            raise BakeError(block.at, "Invalid function", f"empty {what} not allowed for {name}")
        if not isinstance(given.value, Tuple):
            raise BakeError(given.value.at, "Invalid function", "params is a list of names.")
        names = [_parameter(node) for node in given.value.items]
        rest = _parameter(more.value) if more else ""
        body = result.value
        busy = 0

        def call(scope: Scope, node: Call, arguments: list[Node]) -> Value:
            nonlocal busy
            if len(arguments) < len(names) or (len(arguments) > len(names) and not rest):
                raise BakeError(
                    node.at,
                    "Invalid function call",
                    f'Function "{name}" expects {len(names)} argument(s), {len(arguments)} given.',
                )
            found = [evaluate.evaluate(argument, scope) for argument in arguments]
            local = dict(zip(names, found, strict=False))
            if rest:
                local[rest] = values.tuple_of(found[len(names) :])
            if busy > 50:
                raise Fault(f"function cycle not allowed for {name}")
            busy += 1
            try:
                return evaluate.evaluate(body, self._scope.bind(local))
            finally:
                busy -= 1

        return call

    # What the files define

    def _named(self) -> dict[str, list[Instance]]:
        """Every target and group by its final name."""
        if self._instances is None:
            self._instances = {}
            for block in self._blocks:
                made = self._instantiate(block)
                for instance in made:
                    self._instances.setdefault(instance.name, []).append(instance)
                names = tuple(instance.name for instance in made)
                self._renamed.append((block.type, block.labels[0], names))
        return self._instances

    def _instantiate(self, block: Block) -> list[Instance]:
        label = block.labels[0]
        self._check_name(label, block.at)
        matrix, name = block.body.get("matrix"), block.body.get("name")
        if block.type == "group":
            for setting in (name, matrix):
                if setting is not None:
                    raise BakeError(
                        setting.at, "Invalid name", f"{setting.name} is not supported for groups"
                    )
        if matrix is None:
            if name is not None:
                raise BakeError(name.at, "Invalid name", "name requires matrix")
            return [Instance(block, self._scope, label)]
        made: dict[str, Instance] = {}
        for scope in self._matrix(matrix):
            final = label
            if name is not None:
                try:
                    final = convert.as_text(evaluate.evaluate(name.value, scope))
                except Fault as fault:
                    raise BakeError(name.value.at, "Invalid name", fault.message) from None
            at = name.value.at if name is not None else block.at
            self._check_name(final, at)
            if final in made:
                raise BakeError(at, "Invalid name", f'duplicate name "{final}"')
            made[final] = Instance(block, scope, final)
        return list(made.values())

    def _matrix(self, setting: Setting) -> list[Scope]:
        found = evaluate.evaluate(setting.value, self._scope)
        if found.null or not found.type.mapping:
            raise BakeError(setting.value.at, "Invalid matrix", "matrix must be a map")
        rows: list[dict[str, Value]] = [{}]
        for key, axis in found.elements():
            if axis.null or not axis.type.sequence:
                raise BakeError(setting.value.at, "Invalid matrix", "matrix values must be a list")
            rows = [{**row, key.raw: item} for item in axis.raw for row in rows]
            if len(rows) > _MATRIX_LIMIT:
                raise BakeError(
                    setting.value.at, "Invalid matrix", f"more than {_MATRIX_LIMIT} targets"
                )
        return [self._scope.bind(row) for row in rows]

    def _check_name(self, name: str, at: Range) -> None:
        if not _NAME.fullmatch(name):
            raise BakeError(
                at, "Invalid name", f'"{name}": only letters, digits, "_" and "-" are allowed'
            )

    def config(self, base: Config) -> Config:
        """The files' definitions, laid over those of compose files."""
        for name in self._variables:
            self.variable(name)
        for variable in self._variables.values():
            variables.validate(variable, self._scope)
        for name in self._functions:
            self.function(name)
        groups = {group.name: group for group in base.groups}
        targets = {target.name: target for target in base.targets}
        for instances in self._in_order():
            for instance in instances:
                if instance.block.type == "group":
                    groups[instance.name] = self._group(instance)
                else:
                    made = self._target(instance)
                    before = targets.get(made.name)
                    targets[made.name] = merged(before, made) if before else made
        for name in self._settings:
            self.variable(name)
        extra = [
            Group(old, tuple(dict.fromkeys(n for o, n in self._renames() if o == old)))
            for old in dict.fromkeys(o for o, n in self._renames() if o != n)
        ]
        return Config(
            (*groups.values(), *extra), tuple(targets.values()), (*base.warnings, *self.warnings)
        )

    def _in_order(self) -> list[list[Instance]]:
        named = self._named()
        by_block: dict[int, list[Instance]] = {}
        for held in named.values():
            for instance in held:
                by_block.setdefault(id(instance.block), []).append(instance)
        return [by_block.get(id(block), []) for block in self._blocks]

    def _renames(self) -> list[tuple[str, str]]:
        return [(old, name) for _, old, names in self._renamed for name in names]

    def _group(self, instance: Instance) -> Group:
        body = instance.block.body
        if body.get("targets") is None:
            raise BakeError(
                instance.block.at,
                "Missing required argument",
                'The argument "targets" is required, but no definition was found.',
            )
        self._unknown(instance, attributes.GROUP_NAMES)
        targets = instance.get("targets")
        assert isinstance(targets, tuple)
        description = instance.get("description") if body.get("description") else ""
        return Group(instance.name, tuple(dict.fromkeys(targets)), str(description))

    def _target(self, instance: Instance) -> Target:
        self._unknown(instance, [*attributes.NAMES, "name", "matrix"])
        changes = {
            attributes.field(setting.name): instance.get(setting.name)
            for setting in instance.block.body.settings
            if setting.name in attributes.NAMES
        }
        return Target(instance.name).replace(**changes)

    def _unknown(self, instance: Instance, known: list[str]) -> None:
        block = instance.block
        for setting in block.body.settings:
            if setting.name not in known:
                hint = suggest(setting.name, known)
                self._once(
                    setting.at,
                    f'{block.type} "{block.labels[0]}" knows no {setting.name}; ignored.{hint}',
                )
        for inner in block.body.blocks:
            self._once(
                inner.at, f'{block.type} "{block.labels[0]}" knows no {inner.type} block; ignored'
            )

    def _once(self, at: Range, message: str) -> None:
        line = f"{at.file.name}:{at.line}: {message}"
        if line not in self.warnings:
            self.warnings.append(line)

    def listed(self) -> list[Listed]:
        """All variables, for `--list=variables`."""
        found = []
        for variable in self._variables.values():
            worth = self.variable(variable.name)
            assert worth is not None
            found.append(variables.listed(variable, worth))
        return sorted(found, key=lambda v: v.name)


def _parameter(node: Node) -> str:
    name = keyword(json_syntax.expression(node))
    if not name:
        raise BakeError(
            node.at, "Invalid param element", "Each parameter name must be an identifier."
        )
    return name
