"""Templates, tables, sizes and ages."""

from __future__ import annotations

import pytest

from kobako.cli import listing, moments, table, template, units
from kobako.engine.moments import rfc3339
from kobako.errors import Invalid

ROW = {
    "ID": "abc",
    "Names": "web",
    "Labels": {"a": "1", "b": "2"},
    "Label": {"a": "1", "b": "2"}.get,
    "List": ["x", "y"],
    "Nested": {"Deep": {"Value": 7}},
    "Empty": None,
    "Flag": True,
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{.ID}} {{ .Names }}", "abc web"),
        ("{{json .Labels}}", '{"a":"1","b":"2"}'),
        ('{{index .Labels "b"}}', "2"),
        ("{{.Nested.Deep.Value}}", "7"),
        ("{{range .List}}<{{.}}>{{end}}", "<x><y>"),
        ("{{range $i, $v := .List}}{{if $i}},{{end}}{{$v}}{{end}}", "x,y"),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a=1;b=2;"),
        ('{{.Label "b"}} {{"a" | .Label}}', "2 1"),
        ("{{if .Empty}}y{{else if .Flag}}f{{else}}n{{end}}", "f"),
        ("{{with .Nested.Deep}}{{.Value}}{{end}}", "7"),
        ('{{join .List "-" | upper}}', "X-Y"),
        ('{{printf "%s:%d" .ID 5}}', "abc:5"),
        ('{{if and (eq .ID "abc") (not .Empty)}}ok{{end}}', "ok"),
        ("a {{- /* note */ -}} b", "ab"),
        ("{{len .List}}{{println}}", "2\n"),
        ("{{.Flag}} {{.List}} {{.Labels}}", "true [x y] map[a:1 b:2]"),
        ("{{$x := .ID}}{{$x}}{{$.Names}}", "abcweb"),
        ('{{(index .Labels "a")}}', "1"),
        ('{{"}}"}}', "}}"),
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        ("{{with .Empty}}x{{else}}{{.ID}}{{end}}", "abc"),
        ("{{.Empty}} {{.Empty.Deeper}}", "<no value> <no value>"),
        ("{{- .ID -}} !", "abc!"),
        ("{{range $v := .List}}{{$v}}{{end}}", "xy"),
        ("{{with $x := .ID}}{{$x}}{{end}}", "abc"),
        ('{{`a\\n`}}{{"b\\n"}}', "a\\nb\n"),
        ('{{if or .Empty .Flag}}{{ne .ID "x"}}{{end}}', "true"),
        ('{{lt 1 2}} {{ge -1 0}} {{eq .ID "x" "abc"}}', "true false true"),
        ('{{(split "a,b" ",")}} {{slice .ID 1}}{{slice .ID 0 1}} {{title "web"}}', "[a b] bca Web"),
    ],
)
def test_templates(source: str, text: str) -> None:
    assert template.render(source, ROW) == text


@pytest.mark.parametrize(
    "source",
    [
        "{{",
        "{{.Nope}}",
        "{{end}}",
        "{{if .ID}}",
        "{{nope .ID}}",
        "{{.ID | }}",
        "{{(.ID}}",
        "{{%}}",
        "{{.ID.Deeper}}",
        "{{$x}}",
        "{{1x}}",
        "{{.ID .Names}}",
        "{{index .List 9}}",
    ],
)
def test_a_faulty_template_is_told(source: str) -> None:
    with pytest.raises(Invalid, match="template"):
        template.render(source, ROW)


def test_a_table_is_laid_out_as_dockers() -> None:
    text = table.render([["CONTAINER ID", "IMAGE", "NAMES"], ["0123456789ab", "x", "n"]])
    assert text == "CONTAINER ID   IMAGE     NAMES\n0123456789ab   x         n\n"


def test_format_table_prints_titles_made_of_the_fields() -> None:
    rows = [{"ID": "1", "Names": "web", "CreatedAt": "now"}]
    columns = (("ID", "CONTAINER ID"), ("Names", "NAMES"))
    text = listing.render(rows, columns, "table {{.ID}}\\t{{.Names}}\\t{{.CreatedAt}}")
    assert text.splitlines()[0].split() == ["CONTAINER", "ID", "NAMES", "CREATED", "AT"]
    assert listing.render(rows, columns, "{{.Names}}") == "web\n"
    assert listing.render(rows, columns, "json") == '{"CreatedAt":"now","ID":"1","Names":"web"}\n'


def test_sizes_round_as_dockers() -> None:
    assert [units.size(n, 3) for n in (0, 999, 922e6, 4.41e6)] == ["0B", "999B", "922MB", "4.41MB"]
    assert units.size(2048) == "2.048kB"
    assert units.parse_size("64m") == 64 << 20 and units.parse_size("1.5gb") == 3 << 29
    for text in ("12q", "-5", "1e99", "inf", "nan", "", "m"):
        with pytest.raises(ValueError, match="invalid size"):
            units.parse_size(text)
    with pytest.raises(ValueError, match="no machine"):
        units.parse_size("99999999t")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3600, "About an hour"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (90 * 86400, "3 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_ages_are_worded_as_dockers(seconds: float, words: str) -> None:
    assert units.duration(seconds) == words


def test_moments() -> None:
    assert moments.parse("", "since") == 0
    assert moments.parse("1700000000.5", "since") == 1_700_000_000_500_000_000
    assert moments.parse("2023-11-14T22:13:20Z", "since") == 1_700_000_000_000_000_000
    assert moments.duration("1h30m") == 5400 and moments.duration("1x") is None
    with pytest.raises(Invalid, match='invalid value for "since"'):
        moments.parse("yesterday", "since")


def test_rfc3339() -> None:
    assert rfc3339(1_700_000_000_000_000_006) == "2023-11-14T22:13:20.000000006Z"


def test_a_label_has_the_end_of_its_name_for_a_title_and_is_no_field_in_json() -> None:
    rows = [{"Names": "web", "Label": {"com.example.run-by": "me"}.get}]
    form = 'table {{.Names}}\t{{.Label "com.example.run-by"}}'
    text = listing.render(rows, [("Names", "NAMES")], form)
    assert [line.split() for line in text.splitlines()] == [["NAMES", "run", "by"], ["web", "me"]]
    assert listing.render(rows, [], "{{json .}}") == '{"Names":"web"}\n'


def test_a_method_that_lacks_its_words_is_told() -> None:
    with pytest.raises(Invalid, match="error calling"):
        template.render("{{.Label}}", ROW)
