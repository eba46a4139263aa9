"""Bake files that are wrong: the message names file, line and column, and a caret shows it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobako.bake import overrides, read, selection
from kobako.bake.scope import World
from kobako.bake.source import BakeError, File
from kobako.errors import Invalid, KobakoError, NotFound


def around(**environ: str) -> read.Surroundings:
    return read.Surroundings(environ.get, (), World("/home/x", 0), lambda path: None)


def define(text: str, name: str = "docker-bake.hcl", **environ: str) -> read.Defined:
    return read.read([File(name, text)], around(**environ))


WRONG = [
    ('target "a" {\n  tags = [B]\n}', "2,11-12: Unknown variable", "^"),
    ('target "a" {\n  tags = ["x\n}', "2,11-13: Invalid multi-line string", "^^"),
    ('target "a" {\n  tags = ["x", \n', "3,1-1: Invalid expression", ""),
    ('target "a" {\n', "1,12-13: Unclosed configuration block", "^"),
    ('target "a" {\n  tags = true\n}', "2,10-14: Unsuitable value type", "^^^^"),
    ('target "a" {\n  x = 1 y = 2\n}', "2,9-10: Missing newline after argument", "^"),
    ('target "a" {\n  context = "a"\n  context = "b"\n}', "3,3-10: Attribute redefined", "^^^^^^^"),
    ("target {}", "1,1-7: Invalid block", "^^^^^^"),
    ('target "a.b" {}', "1,1-13: Invalid name", "^"),
    ('target "a" {\n  name = "x"\n}', "2,3-7: Invalid name; name requires matrix", "^^^^"),
    ('group "g" {}', "1,1-10: Missing required argument", "^"),
    ('target "a" {\n  context = nofunc(1)\n}', "2,13-22: Call to unknown function", "^"),
    ('target "a" {\n  context = uppr("x")\n}', 'Did you mean "upper"?', "^"),
    ('target "a" {\n  context = upper()\n}', "2,13-20: Not enough function arguments", "^"),
    ('target "a" {\n  context = parseint("z", 10)\n}', 'cannot parse "z" as a base 10', "^"),
    ('target "a" {\n  context = "${1 +}"\n}', "2,19-20: Invalid expression", "^"),
    ('target "a" {\n  context = "%{ if true }x"\n}', "Unbalanced template directives", "^"),
    ('target "a" {\n  context = <<EOT\n x\n}', "2,13-3,1: Unterminated heredoc", ""),
    ('target "a" {\n  context = true ? [1] : "x"\n}', "Inconsistent conditional result types", "^"),
    ('target "a" {\n  context = [1][3]\n}', "2,13-19: Invalid index", "^^^^^^"),
    ('target "a" {\n  context = [1][-1]\n}', "2,13-20: Invalid index", "^^^^^^^"),
    ('target "a" {\n  context = [1][null]\n}', "2,13-22: Invalid index", "^^^^^^^^^"),
    ('target "a" {\n  args = {for k in ["x", "x"] : k => 1}\n}', "Duplicate object key", "^"),
    ('target "a" {\n  context = {a = 1}.b\n}', "2,13-22: Unsupported attribute", "^"),
    ('target "a" {\n  context = "x${null}"\n}', "2,17-21: Invalid template interpolation", "^^^^"),
    ('target "a" {\n  output = [{dest = "x"}]\n}', 'type required for "{"dest":"x"}"'[:13], "^"),
    ('A = "${B}"\nB = "${A}"\ntarget "a" {}', "variable cycle not allowed for A", "^"),
    ('target "a" {\n  context = target.a.context\n}', "reference cycle not allowed", "^"),
    ('variable "V" {\n  type = "string"\n}', "Invalid type specification", "^"),
    ('variable "V" {\n  type = number\n  default = "x"\n}', "3,13-16: Invalid value", "^^^"),
    ('function "f" {\n  params = [x]\n}', "1,1-13: Invalid function; empty result", "^"),
    ('function "f" {\n  params = []\n  result = f()\n}\nA = f()', "function cycle not allowed", ""),
    ('target "a" {\n  matrix = [1]\n}', "2,12-15: Invalid matrix; matrix must be a map", "^^^"),
    ('target "a" {\n  matrix = { x = [1, 2] }\n}', 'duplicate name "a"', "^"),
    ('target "日本" {\n  context = "小箱${}"\n}', "2,18-19: Invalid expression", "^"),
]


@pytest.mark.parametrize(("text", "message", "carets"), WRONG, ids=range(len(WRONG)))
def test_a_fault_shows_its_place(text: str, message: str, carets: str) -> None:
    with pytest.raises(BakeError) as fault:
        define(text)
    assert message in str(fault.value)
    assert str(fault.value).startswith("docker-bake.hcl:") and fault.value.line > 0
    lines = fault.value.excerpt.splitlines()
    assert lines[0] == f"docker-bake.hcl:{fault.value.line}"
    assert any(line.startswith(f"{fault.value.line:4d} | >>>") for line in lines)
    assert not carets or any(line.strip(" |\t").startswith(carets) for line in lines)


def test_what_is_not_chosen_need_not_make_sense() -> None:
    defined = define('target "a" {\n  context = true ? "x" : [1][3]\n}')
    assert [target.context for target in defined.config.targets] == ["x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"target": {"a": {"tags": ["${B}"]}}}', "docker-bake.json:1,28-34: Unknown variable"),
        ('{"target": {"a": {"tags": [1,]}}}', "1,30-31: Trailing comma"),
        ('{"target": {"a": 1}}', "1,18-19: Incorrect JSON value type"),
        ('{"target": {"a": {}}', "1,21-21: Missing comma"),
        ('{"target": {"a": {"x": nul}}}', "1,24-27: Invalid JSON value"),
    ],
)
def test_json_too(text: str, message: str) -> None:
    with pytest.raises(BakeError) as fault:
        define(text, "docker-bake.json")
    assert message in str(fault.value) and "^" in fault.value.excerpt


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services:\n  a:\n    build: [x\n", "compose.yaml:4,1-2: Invalid YAML"),
        (
            "services:\n  a:\n    build:\n      contxt: x\n",
            "4,15-16: services.a.build: unknown key",
        ),
        ("services:\n  a:\n    build:\n      context: ${X:?say X}\n", "required variable X is mis"),
        ("services:\n  a:\n    build:\n      secrets: [s]\n", "undefined build secret s"),
        ("a: &a [1]\n", "empty compose file"),
        ("services:\n  a:\n    command: x\n", "neither an image nor a build context"),
        ("services: &s\n  x: *s\n", "Invalid YAML"),
        ("include: [other.yaml]\nservices: {}\n", "include: there is no file other.yaml"),
        ("include: [{pathh: x}]\n", "include: unknown key pathh"),
        ("include: x\n", "include is a list"),
    ],
)
def test_compose_too(text: str, message: str) -> None:
    with pytest.raises(BakeError) as fault:
        define(text, "compose.yaml")
    assert message in str(fault.value) and fault.value.line


def test_aliases_do_not_multiply() -> None:
    lines = ["services:", "  a: &a0 {build: .}"]
    lines += [f"x{n}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(9)]
    with pytest.raises(BakeError, match="more than 100000 values"):
        define("\n".join(lines), "compose.yaml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"N": "x"}, "failed to parse N as number"),
        ({"L": '"a'}, "failed to convert variable L from CSV"),
        ({"O_JSON": "{"}, "failed to convert variable O from JSON"),
        ({"O": "x"}, "unsupported type object for variable O"),
        ({"V": "0"}, "Validation failed; V has to be 1"),
    ],
)
def test_the_environment_can_be_wrong(values: dict[str, str], message: str) -> None:
    text = """
variable "N" { default = 1 }
variable "L" { type = list(string) }
variable "O" { type = object({ a = string }) }
variable "V" {
  default = "1"
  validation {
    condition     = V == "1"
    error_message = "V has to be 1"
  }
}
"""
    define(text)
    with pytest.raises(BakeError) as fault:
        define(text, **values)
    assert message in str(fault.value)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("a.nothing=1", "unknown key: nothing"),
        ("zzz.tags=1", "could not find any target matching 'zzz'"),
        ("tags=1", "expected target.name"),
        ("a.tags", "expected target.name=value"),
        ("a.args=1", "args requires name"),
        ("a.no-cache=maybe", '"maybe" is neither true nor false'),
        ("a.secret.x=env=Y", 'secret "x" must be declared'),
        ("a.context+=x", "context does not support append"),
        ("a.resources.memry=1", "unknown resources key memry"),
    ],
)
def test_overrides_that_fit_nothing(said: str, message: str) -> None:
    config = define('target "a" {}').config
    with pytest.raises(Invalid) as fault:
        selection.select(config, ["a"], overrides.parse([said], lambda name: None))
    assert message in str(fault.value)


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ('target "a" {}', ["b"], "failed to find target b"),
        ('target "a" {}', ["b*"], 'could not find any target matching "b*"'),
        ('target "a" { inherits = ["b"] }', ["a"], "failed to find target b (inherited by a)"),
        ('target "a" { contexts = { x = "target:a" } }', ["a"], "target a cannot link to itself"),
        (
            'target "a" { contexts = { x = "target:b" } }\n'
            'target "b" { contexts = { x = "target:a" } }',
            ["a"],
            "infinite loop from b to a",
        ),
        ('target "a" { context = "-" }', ["a"], "context from stdin not allowed"),
        ('target "a" { platforms = ["linux/x/y/z"] }', ["a"], "target a: platforms: "),
        ('target "a" { ulimits = ["nofile"] }', ["a"], "invalid ulimit argument: nofile"),
        ('target "a" { shm-size = "big" }', ["a"], "shm-size: invalid size 'big'"),
    ],
)
def test_targets_that_are_not_there(text: str, words: list[str], message: str) -> None:
    with pytest.raises((Invalid, NotFound)) as fault:
        selection.select(define(text).config, words, [])
    assert message in str(fault.value)


SEED = """variable "A" { default = "x" }
function "f" {
  params = [a]
  result = "${a}-%{ for i in [1, 2] }${i}%{ endfor }"
}
target "t" {
  name   = "t-${x}"
  matrix = { x = ["1", "2"] }
  tags   = [for k, v in { a = 1 } : "${k}:${v}" if v > 0 && !(A == "y")]
  args   = { V = A == "x" ? f(A) : <<-EOT
    text ${A}
  EOT
  }
  output = [{ type = "local", dest = "o" }]
}
"""
PIECES = st.sampled_from(
    ["${", "}", "%{", '"', "<<EOT\n", "[", "]", "{", "(", ")", "=", "\n", "\\", "\0", "/*", "...",
     "1e99999", "[*]", ".", "?", ":", "日", "target.t.tags", "f(", "null", " -", "%{ if ", "é", "-"]
)  # fmt: skip


@given(
    st.lists(
        st.tuples(st.integers(0, len(SEED)), st.integers(0, 6), PIECES), min_size=1, max_size=5
    )
)
def test_no_mutation_of_a_file_crashes(changes: list[tuple[int, int, str]]) -> None:
    text = SEED
    for at, cut, piece in changes:
        text = text[:at] + piece + text[at + cut :]
    try:
        config = define(text).config
        selection.select(config, [t.name for t in config.targets] or ["default"], [])
    except BakeError as fault:
        assert 0 < fault.line <= text.count("\n") + 1
    except KobakoError as fault:
        assert str(fault)


@pytest.mark.parametrize(
    "text",
    ["A = " + "(" * 5000, "A = " + "[" * 5000, "A = " + "-" * 5000 + "1", 'A = "' + "${" * 3000,
     "a {" * 3000, "A = " + "1+" * 20000 + "1", "A = 2 ? " * 3000, "A = pow(pow(9, 999), 999)"],
    ids=range(8),
)  # fmt: skip
def test_depth_is_refused_not_fatal(text: str) -> None:
    try:
        define(text)
    except BakeError as fault:
        assert fault.line == 1
