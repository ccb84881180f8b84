"""One piece of work at a time, in a thread of its own, with progress, an end on request, and errors in one line."""

from collections.abc import Callable, Generator
from contextlib import closing
from threading import Event
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QWidget

from framedose.errors import FramedoseError
from framedose.viewer.notify import notified, one_line


class Tasks(QWidget):
    """A progress bar and a button to cancel; torch and numba then never compute in two threads at once."""

    busy = Signal(bool)
    """True when a task begins, False when it has ended, however it did."""

    def __init__(self) -> None:
        super().__init__()
        self._stop = Event()
        self._step: Callable[[Any], None] = lambda step: None
        self._done: Callable[[], None] = lambda: None
        self.bar = QProgressBar()
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("End the task after the frame in work, which is dropped.")
        self.cancel_button.clicked.connect(self.cancel)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.bar, stretch=1)
        layout.addWidget(self.cancel_button)
        self._show(running=False)

    @property
    def running(self) -> bool:
        """Whether a task is in work."""
        return self.cancel_button.isEnabled()

    def start(
        self,
        work: Generator[Any, None, None],
        *,
        label: str,
        total: int = 0,
        step: Callable[[Any], None] = lambda step: None,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Go through ``work`` in a thread.

        Parameters
        ----------
        work
            Computes while it is iterated.
        label
            What the progress bar says.
        total
            Number of steps; 0 if the end cannot be foreseen.
        step
            Called in the main thread with each thing that ``work`` yields, until the task is cancelled.
        done
            Called in the main thread when ``work`` has come to its end.
        """
        if self.running:
            show_error("Another task is in work; wait for it, or cancel it.")
            return
        self._stop, self._step, self._done = Event(), step, done
        self.bar.setRange(0, total)
        self.bar.setValue(0)
        self.bar.setFormat(f"{label} %v/%m" if total else label)
        self._show(running=True)
        create_worker(
            _until,
            work,
            self._stop,
            _ignore_errors=True,  # They are shown here, in one line.
            _connect={
                "yielded": self._yielded,
                "returned": self._returned,
                "errored": self._errored,
                "finished": self._finished,
            },
        )

    def cancel(self) -> None:
        """Let nothing more of the task arrive, and end it as soon as it can."""
        self._stop.set()
        self.bar.setFormat("cancelling ...")

    def _yielded(self, step: Any) -> None:
        if not self._stop.is_set():
            self.bar.setValue(self.bar.value() + 1)
            with notified():
                self._step(step)

    def _returned(self, _: Any) -> None:
        if not self._stop.is_set():
            self._done()

    def _errored(self, error: Exception) -> None:
        if not isinstance(error, FramedoseError | OSError):
            raise error  # A defect: napari shows its traceback.
        show_error(one_line(error))

    def _finished(self) -> None:
        self._show(running=False)

    def _show(self, *, running: bool) -> None:
        self.bar.setVisible(running)
        self.cancel_button.setVisible(running)
        self.cancel_button.setEnabled(running)
        self.busy.emit(running)


def _until(work: Generator[Any, None, None], stop: Event) -> Generator[Any, None, None]:
    # Closing it lets the work clean up after itself: an export that was cancelled leaves nothing.
    with closing(work):
        for step in work:
            yield step
            if stop.is_set():
                return
