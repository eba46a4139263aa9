"""libc through `_ctypes`: the one place where foreign functions are declared.

The `ctypes` package costs 2.5 ms at start (it imports struct and builds many types); the few types
needed here are declared on `_ctypes` directly. Argument types are given once, at load.
"""

from __future__ import annotations

import _ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


class c_int(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: N801 - the C names
    _type_ = "i"


class c_uint(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: N801
    _type_ = "I"


class c_long(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: N801
    _type_ = "l"


class c_ulong(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: N801
    _type_ = "L"


class c_char(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: N801
    _type_ = "c"


class c_char_p(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: N801
    _type_ = "z"


class c_void_p(_ctypes._SimpleCData):  # type: ignore[type-arg]  # noqa: N801
    _type_ = "P"


_handle = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # NULL: this very process


class _Function(_ctypes.CFuncPtr):
    """A function that returns an int, as nearly all do: making a type for each is dear."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = c_int


def function(name: str, restype: Any, *argtypes: Any) -> Callable[..., Any]:
    """A C function of libc; a variadic one (`syscall`) is declared without `argtypes`."""
    call: Any = _Function(_ctypes.dlsym(_handle, name))
    if restype is not c_int:
        call.restype = restype
    if argtypes:
        call.argtypes = argtypes
    result: Callable[..., Any] = call
    return result


def buffer(size: int) -> Any:
    """`size` zeroed bytes of C memory; `.raw` reads them, `addressof` finds them."""
    return (c_char * size)()


def strings(words: Sequence[str]) -> Any:
    """A NULL-terminated vector of C strings; `ValueError` where one has a zero byte."""
    encoded = [os.fsencode(word) for word in words]
    if any(b"\0" in word for word in encoded):
        raise ValueError("embedded null byte")
    return (c_char_p * (len(encoded) + 1))(*encoded, None)


addressof = _ctypes.addressof
get_errno = _ctypes.get_errno


def check(result: int, what: str, subject: str | bytes | None = None) -> int:
    """`result`, or an `OSError` with errno that names the call and its object."""
    if result == -1:
        number = get_errno()
        name = os.fsdecode(subject) if subject is not None else None
        raise OSError(number, f"{what}: {os.strerror(number)}", name)
    return result


_syscall = function("syscall", c_long)


def syscall(number: int, *args: Any, what: str = "syscall") -> int:
    """A raw system call. Integers are passed as C longs, bytes as pointers, None as NULL."""
    fixed = [c_long(a) if isinstance(a, int) else a for a in args]
    return check(_syscall(c_long(number), *fixed), what)
