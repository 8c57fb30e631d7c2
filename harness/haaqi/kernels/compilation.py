"""Numba decorators: one for loops that round every operation, one for loops that may fuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba
import numba.extending

P = ParamSpec("P")
R = TypeVar("R")


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop whose additions and multiplications round one by one, in the order written.

    The direct-form gammatone filters amplify a change in the last bit by up to 1e8, so everything up to and
    including the filters uses this decorator.
    """
    compiled: Callable[P, R] = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=False)(
        function
    )
    return compiled


def fused(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop in which LLVM may contract a product and a sum to one fused multiply-add.

    Sums are never reordered. Which operations are fused depends only on the target processor, so the results
    are reproducible once the target is fixed (see `harness.haaqi.target`).
    """
    compiled: Callable[P, R] = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})(
        function
    )
    return compiled


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a small function that LLVM inlines into the loops that call it."""
    return fused(function)


def instruction(function: Callable[..., Any]) -> Any:
    """Define a function that emits LLVM instructions itself (Numba's `intrinsic`)."""
    return numba.extending.intrinsic(function)


def plain(value: Any) -> Any:
    """Convert nested NamedTuples to nested tuples, to call a compiled function.

    Numba 0.57 recognises the type of a tuple in less than a microsecond, that of a NamedTuple in 20 or more. Where
    this matters, a compiled function takes tuples and makes NamedTuples of them.
    """
    return tuple(plain(element) for element in value) if isinstance(value, tuple) else value
