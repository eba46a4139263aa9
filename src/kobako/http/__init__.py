"""A small HTTP/1.1 server: streaming bodies both ways, sendfile, ranges, upgrade.

A handler takes a `Request` and returns a `Response` or an `Upgrade`; errors of `kobako.errors` it
raises become responses. `Router` is a handler made of handlers.
"""

from __future__ import annotations

from kobako.http.body import Body, BodyTooLarge
from kobako.http.headers import Headers
from kobako.http.limits import Limits
from kobako.http.ranges import RangeNotSatisfiable, parse_range
from kobako.http.request import Request
from kobako.http.response import FileBody, Response, Upgrade
from kobako.http.router import Router
from kobako.http.served import Served
from kobako.http.server import Server
from kobako.http.wire import Disconnected
from kobako.http.writer import http_date

__all__ = [
    "Body",
    "BodyTooLarge",
    "Disconnected",
    "FileBody",
    "Headers",
    "Limits",
    "RangeNotSatisfiable",
    "Request",
    "Response",
    "Router",
    "Served",
    "Server",
    "Upgrade",
    "http_date",
    "parse_range",
]
