"""How the loops are compiled: one decorator for those that keep every rounding, one for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba
import numba.extending

P = ParamSpec("P")
R = TypeVar("R")


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop whose additions and multiplications round one by one, in the order written.

    The gammatone filters are of direct form and amplify a change in the last bit by up to 1e8, so
    everything up to and within them is compiled by this.
    """
    compiled: Callable[P, R] = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=False)(
        function
    )
    return compiled


def fused(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop in which a product and a sum may round once, as a fused multiply-add.

    No sum is reordered: what the compiler may fuse is fixed by the target, so the bits are too.
    """
    compiled: Callable[P, R] = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})(
        function
    )
    return compiled


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a small function that LLVM puts into the loops that call it."""
    return fused(function)


def instruction(function: Callable[..., Any]) -> Any:
    """Let a function write a few LLVM instructions itself (Numba's `intrinsic`)."""
    return numba.extending.intrinsic(function)
