"""Fields of the panel: numbers that may be left empty, and rows of buttons."""

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from framedose.errors import ConfigurationError


class NumberField(QLineEdit):
    """A number, or several separated by commas, or nothing.

    Parameters
    ----------
    name
        What it is, for messages.
    unit
        Its unit, for messages.
    empty
        What it means to leave it empty, shown in grey.
    tip
        One sentence on its meaning.
    """

    def __init__(self, name: str, *, unit: str, empty: str, tip: str) -> None:
        super().__init__()
        self._name, self._unit = name, unit
        self.setPlaceholderText(empty)
        self.setToolTip(tip)

    def number(self) -> float | None:
        """Return the number, or None if the field is empty.

        Raises
        ------
        ConfigurationError
            If it holds anything else.
        """
        numbers = self.numbers()
        if numbers is None:
            return None
        if len(numbers) > 1:
            raise ConfigurationError(f"{self._name} must be one number of {self._unit}, got {self.text()!r}.")
        return numbers[0]

    def numbers(self) -> list[float] | None:
        """Return the numbers, or None if the field is empty."""
        text = self.text().strip()
        try:
            return [float(part) for part in text.split(",")] if text else None
        except ValueError:
            raise ConfigurationError(f"{self._name} must be a number of {self._unit}, got {text!r}.") from None


def button(text: str, pressed: Callable[[], None], tip: str) -> QPushButton:
    """Return a button."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.clicked.connect(lambda _: pressed())
    return made


def row(*widgets: QWidget) -> QWidget:
    """Return widgets side by side, of equal width."""
    made = QWidget()
    layout = QHBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget, stretch=1)
    return made


def text() -> QLabel:
    """Return a place for words that may be long, and that can be copied."""
    made = QLabel()
    made.setWordWrap(True)
    made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return made
