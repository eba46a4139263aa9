"""Records: what their constructor takes, and that they are values."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from kobako.record import Record


class Point(Record):
    x: int
    y: int = 0
    name: str = "somewhere"


class Place(Point):
    street: str = ""


@pytest.mark.parametrize(
    ("args", "kwargs", "fields"),
    [
        ((1,), {}, (1, 0, "somewhere", "")),
        ((1, 2, "here", "there"), {}, (1, 2, "here", "there")),
        ((), {"x": 1}, (1, 0, "somewhere", "")),
        ((1,), {"street": "there"}, (1, 0, "somewhere", "there")),
        ((), {"street": "there", "name": "here", "y": 2, "x": 1}, (1, 2, "here", "there")),
        ((1, 2), {"street": "there", "name": "here"}, (1, 2, "here", "there")),
    ],
)
def test_fields_are_given_by_place_or_name_or_not(
    args: tuple[Any, ...], kwargs: dict[str, Any], fields: tuple[Any, ...]
) -> None:
    made = Place(*args, **kwargs)
    assert made.as_tuple() == (made.x, made.y, made.name, made.street) == fields
    assert made == Place(*fields)
    assert hash(made) == hash(Place(*fields))
    assert pickle.loads(pickle.dumps(made)) == made
    assert made.replace(y=7) == Place(fields[0], 7, *fields[2:])


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "Place misses the field x"),
        ((), {"y": 1}, "Place misses the field x"),
        ((), {"y": 1, "name": "", "street": "", "z": 1}, "Place misses the field x"),
        ((1,), {"z": 1}, "Place has no field z"),
        ((1,), {"x": 1}, "Place has no field x"),
        ((1, 2, "", ""), {"b": 1, "a": 1}, "Place has no field a, b"),
        ((1, 2, "", "", 5), {}, "Place takes 4 fields, 5 given"),
    ],
)
def test_what_does_not_fit_is_named(
    args: tuple[Any, ...], kwargs: dict[str, Any], says: str
) -> None:
    with pytest.raises(TypeError) as refused:
        Place(*args, **kwargs)
    assert str(refused.value) == says


def test_nothing_changes() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="use replace"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del point.x
    assert point != (1, 0, "somewhere")
    assert repr(point) == "Point(x=1, y=0, name='somewhere')"
