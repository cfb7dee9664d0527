"""Exact money: whole billionths of a US dollar, so that sums never drift.

Prices and costs arrive as decimal text or JSON numbers; they leave as decimal text. In between
they are integers, in Python and in SQLite alike.
"""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import NewType

Money = NewType("Money", int)
"""Billionths of a US dollar."""

NOTHING = Money(0)
_PER_DOLLAR = 10**9


def parse(amount: str | int | float | Decimal) -> Money:
    """Turn dollars into `Money`, rounding to the nearest billionth.

    A float is read as the decimal a person would write for it (0.1 is exactly 0.1).
    Raises `ValueError` for anything that is not a finite amount of at most a billion dollars.
    """
    try:
        dollars = Decimal(str(amount))
    except InvalidOperation:
        raise ValueError(f"not an amount of money: {amount!r}") from None
    if not dollars.is_finite() or abs(dollars) > _PER_DOLLAR:
        raise ValueError(f"not an amount of money: {amount!r}")
    return Money(int((dollars * _PER_DOLLAR).to_integral_value(ROUND_HALF_EVEN)))


def text(amount: Money) -> str:
    """Write dollars as plain decimal text, with no trailing zeros beyond the cents."""
    sign, whole = ("-" if amount < 0 else ""), abs(amount)
    fraction = f"{whole % _PER_DOLLAR:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole // _PER_DOLLAR}.{fraction}"


def display(amount: Money) -> str:
    """Write dollars for people: `$0.0336`, `$12.40`, rounded to a hundredth of a cent."""
    step = _PER_DOLLAR // 10**4
    rounded = Money((amount + step // 2) // step * step)
    return f"${text(rounded)}"


def spent(now: Money, ever: Money) -> str:
    """Say what a run cost, and what all runs of its spec did where that is more."""
    return f"{display(now)} spent" + (f" ({display(ever)} in all)" if ever != now else "")
