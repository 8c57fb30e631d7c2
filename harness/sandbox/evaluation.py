"""Running an evaluator: a thread sends it the questions, and what it answers is checked."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterator

from harness.protocol.records import EndMessage, Hello, Job
from harness.sandbox.contract import Records, Result, Running, Sandbox, Task
from harness.sandbox.conversation import Conversation
from harness.sandbox.feed import Pieces, message
from harness.sandbox.stream import Clock, read_output

END_SECONDS = 10.0
"""Seconds within which an evaluator must end after its last line."""


def evaluate(sandbox: Sandbox, task: Task) -> Records:
    """Runs the evaluator on a task; see `Sandbox.run`."""
    environment = sandbox.environment()
    job = Job(
        nonce=secrets.token_hex(16),
        scorer_digest=environment.scorer_digest,
        require_lock=environment.locked,
        engine=task.engine,
    )
    senders: list[Sender] = []
    try:
        with sandbox.start("evaluator", memory=task.memory) as running:
            conversation = Conversation(job, running)
            sender = Sender(running, conversation, task, job)
            senders.append(sender)
            try:
                yield from _listen(running, conversation, task, sender)
                running.check_end(complete=conversation.complete)
                conversation.finish()
            finally:
                sender.abandon()
    finally:  # the evaluator is gone, so that nothing blocks its sender any more
        for sender in senders:
            sender.join()


def _listen(
    running: Running, conversation: Conversation, task: Task, sender: Sender
) -> Iterator[Hello | Result]:
    """Yields the records of a conversation until the output ends."""
    clock = Clock(task.seconds)
    silence = f"after {task.patience:.0f} s without an answer"
    clock.expect(task.patience, when=silence)
    for raw in read_output(running, clock, task.stop):
        sender.raise_error()
        answered = False
        for record in conversation.feed(raw or b""):
            yield record
            answered = True
        if conversation.complete:
            clock.expect(END_SECONDS, when=f"{END_SECONDS:.0f} s after its last answer: it did not end")
            yield from _end(running, conversation, clock, task)
            return
        if answered or not conversation.waiting:
            clock.expect(task.patience, when=silence)
    sender.raise_error()


def _end(running: Running, conversation: Conversation, clock: Clock, task: Task) -> Iterator[Hello | Result]:
    """What comes after the last line: only the end of the output is allowed."""
    for raw in read_output(running, clock, task.stop):
        if raw is not None:
            yield from conversation.feed(raw)


class Sender:
    """Sends a job and its questions from a thread of its own.

    Args:
        running: The evaluator.
        conversation: Notes each question before it is sent.
        task: Has the questions.
        job: The first message.
    """

    def __init__(self, running: Running, conversation: Conversation, task: Task, job: Job) -> None:
        self._running = running
        self._conversation = conversation
        self._task = task
        self._job = job
        self._abandoned = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._send_all, daemon=True, name="sandbox-sender")
        self._thread.start()

    def raise_error(self) -> None:
        """Raises what reading the questions has raised."""
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """Sends nothing more; what is being sent ends when the evaluator does."""
        self._abandoned.set()

    def join(self) -> None:
        """Waits until nothing is being sent or read."""
        self._thread.join()

    def _send_all(self) -> None:
        try:
            with contextlib.closing(self._task.questions()) as questions:
                self._write(message(self._job))
                for question in questions:
                    if self._abandoned.is_set():
                        return
                    self._conversation.ask(question)
                    self._write(question.pieces())
            self._conversation.asked_all()
            self._write(message(EndMessage()))
        except _EndedError:
            return  # the evaluator has ended: why, its output and its end tell
        except Exception as error:
            self._error = error

    def _write(self, pieces: Pieces) -> None:
        for piece in pieces:
            if self._abandoned.is_set():
                raise _EndedError
            try:
                self._running.write(piece)
            except OSError as error:
                raise _EndedError from error


class _EndedError(Exception):
    """The evaluator takes nothing more."""
