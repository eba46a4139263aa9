"""Names of containers: which are allowed, some for those nobody named, and ids."""

from __future__ import annotations

import os

from kobako.errors import Invalid

_LEFT = (
    "able agile amber ample apt azure bold brave breezy bright brisk calm candid careful cheery "
    "clever cosy crisp curious deft dewy eager early earnest easy fair fond frank fresh frosty "
    "gentle glad golden grand happy hardy hazel honest humble ivory jolly keen kind lively loyal "
    "lucid lucky mellow merry mild misty modest neat nimble noble patient placid plucky polite "
    "prime proud quick quiet rapid ready rosy rustic serene sharp silent silver sincere sleek "
    "smart snug solar sound spry steady still subtle sunny swift tidy tranquil trusty upbeat "
    "useful valiant vivid warm wise witty young zesty"
).split()
_RIGHT = (
    "acorn anchor arch aster badger bamboo basket beacon birch bobbin brook button cabin camel "
    "candle canoe cedar chest cicada cloud clover comet coral crane cricket daisy dolphin dune "
    "ember falcon fern finch firefly fjord flint fox garnet ginkgo glacier hare harbor hazel "
    "heron holly iris ivy jasper juniper kestrel kettle kite koi lagoon lantern lark lemon lily "
    "lotus lynx magpie mango maple marble marten meadow moss nutmeg oak olive onyx orchid otter "
    "owl parcel pebble pine plum poppy quail quartz raft raven reed river robin rowan saffron "
    "satchel sparrow spruce swan teapot thistle tiger tulip turtle walnut willow wren"
).split()

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def random_name() -> str:
    """Two words and an underscore, as docker names containers; not necessarily unique."""
    first, second, third, fourth = os.urandom(4)
    left = _LEFT[(first << 8 | second) % len(_LEFT)]
    return f"{left}_{_RIGHT[(third << 8 | fourth) % len(_RIGHT)]}"


def random_id() -> str:
    """64 hexadecimal digits, the first 12 not all decimal (such a short id would be a number)."""
    while True:
        name = os.urandom(32).hex()
        if not name[:12].isdigit():
            return name


def check(name: str) -> None:
    """`Invalid` unless `name` is empty or what docker accepts."""
    if name and (len(name) < 2 or not name[0].isalnum() or not set(name.lstrip("/")) <= _NAME):
        raise Invalid(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )
