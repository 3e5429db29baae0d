"""Numbers as text, the same in the terminal, in Markdown and on the page."""

from __future__ import annotations

MINUS = "−"
SMALLEST_P = 0.001


def decimal(value: float, digits: int = 3) -> str:
    """Return ``value`` with ``digits`` decimals: 0.757."""
    return f"{value:.{digits}f}"


def interval(low: float, high: float) -> str:
    """Return the ends of an interval of AUCs or proportions: [0.712, 0.801]."""
    return f"[{low:.3f}, {high:.3f}]"


def signed(value: float) -> str:
    """Return a difference with its sign, and 0.000 without one: +0.021, −0.012."""
    text = f"{abs(value):.3f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+") + text


def signed_interval(low: float, high: float) -> str:
    """Return the ends of an interval of differences: [−0.012, +0.034]."""
    return f"[{signed(low)}, {signed(high)}]"


def p_value(p: float) -> str:
    """Return a p-value with three decimals, or ``<0.001``."""
    return f"<{SMALLEST_P}" if p < SMALLEST_P else f"{p:.3f}"


def count(number: float) -> str:
    """Return a whole number with commas: 1,060."""
    return f"{number:,.0f}"


def seconds(value: float) -> str:
    """Return seconds, with one decimal where there are few: 4.2, 87, 1,204."""
    return f"{value:.1f}" if value < 9.95 else count(value)


def rule(chosen: str) -> str:
    """Return how a threshold was chosen, in words: Youden's index, sensitivity 0.90."""
    return "Youden's index" if chosen == "youden" else chosen
