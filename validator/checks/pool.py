"""Decoding in several processes."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from validator.archive.submission import open_submission
from validator.checks.examiner import Examined, Examiner
from validator.findings.codes import rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from validator.archive.limits import Limits
    from validator.challenge.challenge import Challenge
    from validator.challenge.manifest import Entry

AHEAD = 4
"""Tasks a process has waiting, so that it never idles and results do not pile up."""

EXAMPLES = 4
"""Examples in one task: some 70 files, well over the cost of handing them over."""

Task = list[list["Entry"]]


@dataclass(frozen=True)
class Plan:
    """What every process needs to know; goes to it once.

    Attributes:
        path: The submission.
        bounds: How large it may be.
        challenge: What it is held against.
        sense: Whether to compare the audio with the references.
    """

    path: Path
    bounds: Limits
    challenge: Challenge
    sense: bool


_examiner: Examiner | Exception | None = None
_open = ExitStack()


def _start(plan: Plan) -> None:
    global _examiner  # noqa: PLW0603 - a process of the pool serves one submission
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted and ends the pool
    try:
        submission = _open.enter_context(open_submission(plan.path, limits=plan.bounds))
        _examiner = Examiner(submission, plan.challenge, decode=True, sense=plan.sense)
    except Exception as error:  # the pool would hide it: the first task raises it instead
        _examiner = error


def _run(task: Task) -> Examined:
    if isinstance(_examiner, Exception):
        raise _examiner
    if _examiner is None:
        raise RuntimeError("a process of the pool was not started properly")
    whole = Examined()
    for example in task:
        part = _examiner(example)
        whole.findings += part.findings
        whole.facts += part.facts
    return whole


def _executor(plan: Plan, workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start, initargs=(plan,)
    )


def by_example(present: Sequence[Entry]) -> Iterator[list[Entry]]:
    """The files of each example, in their order."""
    for _, group in itertools.groupby(present, key=lambda entry: (entry.song, entry.listener)):
        yield list(group)


def in_processes(plan: Plan, present: Sequence[Entry], *, workers: int) -> Iterator[tuple[int, Examined]]:
    """Examine files in several processes; yields (number of files, what was found), in order.

    A process that dies over a file takes the pool with it; the tasks in hand are then done again one by
    one, so that the report can name the file.
    """
    examples = by_example(present)
    tasks = iter(lambda: list(itertools.islice(examples, EXAMPLES)), [])
    waiting: deque[tuple[Task, Future[Examined]]] = deque()
    executor = _executor(plan, workers)
    try:
        for task in itertools.islice(tasks, AHEAD * workers):
            waiting.append((task, executor.submit(_run, task)))
        while waiting:
            task, future = waiting.popleft()
            try:
                yield _files(task), future.result()
            except BrokenProcessPool:
                lost = [task, *(one for one, _ in waiting)]
                waiting.clear()
                yield from _again(plan, lost)
                executor.shutdown(cancel_futures=True)
                executor = _executor(plan, workers)
            while len(waiting) < AHEAD * workers and (following := next(tasks, None)):
                waiting.append((following, executor.submit(_run, following)))
    finally:
        executor.shutdown(cancel_futures=True)


def _files(task: Task) -> int:
    return sum(map(len, task))


class _Single:
    """One process at a time, replaced when it dies."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._executor = _executor(plan, 1)

    def run(self, task: Task) -> Examined | None:
        """The outcome, or None where the process died over it."""
        try:
            return self._executor.submit(_run, task).result()
        except BrokenProcessPool:
            self.close()
            self._executor = _executor(self._plan, 1)
            return None

    def close(self) -> None:
        """End the process."""
        self._executor.shutdown(cancel_futures=True)


def _again(plan: Plan, tasks: Sequence[Task]) -> Iterator[tuple[int, Examined]]:
    """Tasks in one process at a time; of one that kills it, file by file, so that the culprit is named."""
    single = _Single(plan)
    try:
        for task in tasks:
            whole = single.run(task)
            if whole is None:
                whole = Examined()
                for entry in itertools.chain.from_iterable(task):
                    part = single.run([[entry]])
                    if part is None:
                        part = Examined(
                            [rule("flac-corrupt").at(entry.path, "The decoder crashed over this file.")]
                        )
                    whole.findings += part.findings
                    whole.facts += part.facts
            yield _files(task), whole
    finally:
        single.close()
