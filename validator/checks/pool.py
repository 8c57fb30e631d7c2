"""Examines files in several processes."""

from __future__ import annotations

import atexit
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
from validator.checks.examiner import Examiner
from validator.checks.summary import Examination
from validator.findings.codes import new_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from validator.archive.sizes import SizeLimits
    from validator.archive.submission import Handle
    from validator.challenge.challenge import Challenge
    from validator.challenge.manifest import ExpectedFile
    from validator.formats.flac import DecoderFactory

TASKS_AHEAD = 4
"""Tasks queued per process: enough to keep it busy, few enough that results do not pile up."""

EXAMPLES_PER_TASK = 4
"""Examples in one task: about 70 files, so that handing over a task costs little in comparison."""

Task = list[list["ExpectedFile"]]


@dataclass(frozen=True)
class Plan:
    """What every process needs; it is sent to each process once.

    Attributes:
        source: The submission.
        limits: How large it may be.
        challenge: The challenge that it is checked against.
        compare_references: Whether to compare the audio with the references.
        decoder: Opens the decoder of a process.
    """

    source: Handle | Path
    limits: SizeLimits
    challenge: Challenge
    compare_references: bool
    decoder: DecoderFactory


_examiner: Examiner | Exception | None = None
_open = ExitStack()


def _initialise(plan: Plan) -> None:
    global _examiner  # noqa: PLW0603 - a process of the pool serves one submission
    atexit.register(_open.close)  # a decoder may be a container, which has to be ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles the interrupt and ends the pool
    try:
        submission = _open.enter_context(open_submission(plan.source, limits=plan.limits))
        decoder = _open.enter_context(plan.decoder())
        _examiner = Examiner(
            submission, plan.challenge, decoder=decoder, compare_references=plan.compare_references
        )
    except Exception as error:  # the pool would hide it, so the first task raises it
        _examiner = error


def _run(task: Task) -> Examination:
    if isinstance(_examiner, Exception):
        raise _examiner
    if _examiner is None:
        raise RuntimeError("the process was not initialised")
    result = Examination()
    for example in task:
        result += _examiner.examine(example)
    return result


def _executor(plan: Plan, workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_initialise,
        initargs=(plan,),
    )


def group_by_example(files: Sequence[ExpectedFile]) -> Iterator[list[ExpectedFile]]:
    """The files of each example, in their order."""
    for _, group in itertools.groupby(files, key=lambda file: (file.song, file.listener)):
        yield list(group)


def examine_in_processes(
    plan: Plan, files: Sequence[ExpectedFile], *, workers: int
) -> Iterator[tuple[int, Examination]]:
    """Examine files in several processes; yields (number of files, result) in their order.

    A process that crashes takes the pool with it. The tasks in progress are then repeated one by one, to find the
    file that caused the crash.
    """
    examples = group_by_example(files)
    tasks = iter(lambda: list(itertools.islice(examples, EXAMPLES_PER_TASK)), [])
    waiting: deque[tuple[Task, Future[Examination]]] = deque()
    executor = _executor(plan, workers)
    try:
        for task in itertools.islice(tasks, TASKS_AHEAD * workers):
            waiting.append((task, executor.submit(_run, task)))
        while waiting:
            task, future = waiting.popleft()
            try:
                yield _count(task), future.result()
            except BrokenProcessPool:
                lost = [task, *(task for task, _ in waiting)]
                waiting.clear()
                yield from _retry(plan, lost)
                executor.shutdown(cancel_futures=True)
                executor = _executor(plan, workers)
            while len(waiting) < TASKS_AHEAD * workers and (following := next(tasks, None)):
                waiting.append((following, executor.submit(_run, following)))
    finally:
        executor.shutdown(cancel_futures=True)


def _count(task: Task) -> int:
    return sum(map(len, task))


class _SingleProcess:
    """One process at a time, replaced after a crash."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._executor = _executor(plan, 1)

    def run(self, task: Task) -> Examination | None:
        """The result, or None if the process crashed."""
        try:
            return self._executor.submit(_run, task).result()
        except BrokenProcessPool:
            self.close()
            self._executor = _executor(self._plan, 1)
            return None

    def close(self) -> None:
        """End the process."""
        self._executor.shutdown(cancel_futures=True)


def _retry(plan: Plan, tasks: Sequence[Task]) -> Iterator[tuple[int, Examination]]:
    """Run tasks in one process at a time, and a task that crashes file by file, to report the cause."""
    single = _SingleProcess(plan)
    try:
        for task in tasks:
            result = single.run(task)
            if result is None:
                result = Examination()
                for file in itertools.chain.from_iterable(task):
                    part = single.run([[file]])
                    if part is None:
                        crashed = new_finding("flac-corrupt", file.path, "The decoder crashed on this file.")
                        part = Examination([crashed])
                    result += part
            yield _count(task), result
    finally:
        single.close()
