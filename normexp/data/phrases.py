"""CLDR phrases: dates, times, units, durations and lists of them, as Babel's formatters write them.

Every phrase is generated and exact: a value is drawn from a seeded generator, and Babel's formatter writes it with
the patterns and names that CLDR has for a language. Nothing is downloaded, and no sentence is stored.
Babel is under the BSD-3 licence, its CLDR data under the Unicode licence.
"""

import datetime
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, get_args

from babel import Locale, UnknownLocaleError
from babel.dates import TIMEDELTA_UNITS, format_date, format_time, format_timedelta
from babel.lists import format_list
from babel.units import format_unit

FIRST_DAY = datetime.date(1900, 1, 1)
DAYS = (datetime.date(2100, 1, 1) - FIRST_DAY).days
Span = Literal["year", "month", "week", "day", "hour", "minute", "second"]
SPANS: tuple[Span, ...] = get_args(Span)
AMOUNTS = range(1, 1000)  # of a unit, whole or in tenths, and of a duration
SECONDS_IN = dict(TIMEDELTA_UNITS)
Style = Literal["standard", "or"]
STYLES: tuple[Style, ...] = get_args(Style)
ITEMS = ("date", "time", "unit", "duration")  # what a list holds
LENGTHS = (2, 3)  # items in a list
UNITS = (
    *("length-kilometer", "length-meter", "length-centimeter", "length-millimeter"),
    *("area-square-meter", "area-square-kilometer", "area-hectare"),
    *("volume-liter", "volume-milliliter", "volume-cubic-meter"),
    *("mass-kilogram", "mass-gram", "mass-tonne"),
    *("speed-kilometer-per-hour", "speed-meter-per-second", "temperature-celsius"),
    *("power-watt", "power-kilowatt", "energy-kilowatt-hour", "energy-calorie", "energy-joule"),
    *("electric-volt", "electric-ampere", "frequency-hertz"),
)


def draw_date(random: Random) -> datetime.date:
    """A day from 1900 to 2099."""
    return FIRST_DAY + datetime.timedelta(days=random.randrange(DAYS))


def write_date(value: datetime.date, locale: Locale) -> str:
    """`Wednesday, March 4, 1987`"""
    return format_date(value, "full", locale)


def draw_time(random: Random) -> datetime.time:
    """A second of the day."""
    return datetime.time(random.randrange(24), random.randrange(60), random.randrange(60))


def write_time(value: datetime.time, locale: Locale) -> str:
    """`1:04:05 PM`"""
    return format_time(value, "medium", locale=locale)


def draw_unit(random: Random) -> tuple[float, str]:
    """An amount, whole or in tenths, and a CLDR unit."""
    amount = random.choice(AMOUNTS)
    return (amount / 10 if random.randrange(2) else amount), random.choice(UNITS)


def write_unit(value: tuple[float, str], locale: Locale) -> str:
    """`12.5 kilometers`"""
    amount, unit = value
    phrase = format_unit(amount, unit, "long", locale=locale)
    # Where its tables lack the name, Babel writes the code of the unit, which is not a phrase.
    return "" if unit in phrase else phrase


def draw_duration(random: Random) -> tuple[int, Span]:
    """A signed amount (negative is past) and a unit of time."""
    return random.choice(AMOUNTS) * random.choice((-1, 1)), random.choice(SPANS)


def write_duration(value: tuple[int, Span], locale: Locale) -> str:
    """`in 12 hours`, `3 days ago`"""
    amount, unit = value
    delta = datetime.timedelta(seconds=amount * SECONDS_IN[unit])
    return format_timedelta(delta, unit, threshold=float("inf"), add_direction=True, locale=locale)


def draw_list(random: Random) -> tuple[Style, tuple[tuple[str, Any], ...]]:
    """`standard` (and) or `or`, and two or three (kind, value) pairs."""
    items = tuple(draw(random, ITEMS) for _ in range(random.choice(LENGTHS)))
    return random.choice(STYLES), items


def write_list(value: tuple[Style, tuple[tuple[str, Any], ...]], locale: Locale) -> str:
    """`12.5 kilometers, 1:04:05 PM, and 3 days ago`"""
    style, items = value
    parts = [write(item, locale) for item in items]
    return format_list(parts, style, locale) if all(parts) else ""


@dataclass(frozen=True)
class Kind:
    """How a value of one kind is drawn, and how it is written in a language ('' if CLDR has no phrase for it)."""

    draw: Callable[[Random], Any]
    write: Callable[[Any, Locale], str]


KINDS = {
    "date": Kind(draw_date, write_date),
    "time": Kind(draw_time, write_time),
    "unit": Kind(draw_unit, write_unit),
    "duration": Kind(draw_duration, write_duration),
    "list": Kind(draw_list, write_list),
}


def draw(random: Random, kinds: tuple[str, ...]) -> tuple[str, Any]:
    """A (kind, value) pair, each kind as likely as any other."""
    kind = random.choice(kinds)
    return kind, KINDS[kind].draw(random)


def write(value: tuple[str, Any], locale: Locale) -> str:
    """The phrase of a (kind, value) pair; '' if CLDR has none in this language."""
    return KINDS[value[0]].write(value[1], locale)


def entropies(locales: Iterable[Locale]) -> dict[str, float]:
    """Nats per phrase of each kind: what a model that knows the language, but not the value, has to guess.

    Dates, times and durations are uniform over values that all read differently, so theirs is the logarithm of how
    many there are: 73,049 days, 86,400 seconds, 13,986 durations. Units: 99 of the amounts are reached in two ways
    (10 as such and as 100 tenths). Lists: the style, the length, and the items. Kinds never read alike.

    locales: the languages of the corpus; only units that all of them name are drawn.
    """
    named = [unit for unit in UNITS if all(write_unit((1, unit), locale) for locale in locales)]
    twice = 2 * (len(AMOUNTS) // 10) / (2 * len(AMOUNTS))  # probability of an amount that is reached in two ways
    by_kind = {
        "date": math.log(DAYS),
        "time": math.log(24 * 60 * 60),
        "unit": math.log(2 * len(AMOUNTS)) - twice * math.log(2) + math.log(max(1, len(named))),
        "duration": math.log(2 * len(AMOUNTS) * len(SPANS)),
    }
    item = math.log(len(ITEMS)) + sum(by_kind[kind] for kind in ITEMS) / len(ITEMS)
    by_kind["list"] = math.log(len(STYLES)) + math.log(len(LENGTHS)) + item * sum(LENGTHS) / len(LENGTHS)
    return by_kind


def check_kinds(kinds: str | Iterable[str]) -> tuple[str, ...]:
    """The kinds in the order of `KINDS`, so that the order in which they are given changes nothing.

    Raises ValueError for an unknown kind, and for none at all.
    """
    named = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if not named or not set(named) <= set(KINDS):
        given = ", ".join(map(str, named)) or "none"
        raise ValueError(f"data.kinds must be one or more of {', '.join(KINDS)}; got {given}")
    return tuple(kind for kind in KINDS if kind in named)


def check_language(key: str, code: str) -> Locale:
    """Babel's locale of a CLDR code such as `en` or `pt_BR`.

    Raises ValueError, naming the config key `key`, if Babel does not know the language.
    """
    try:
        return Locale.parse(str(code))  # YAML reads a bare `no` as False
    except (UnknownLocaleError, ValueError):
        raise ValueError(f"{key} must be a CLDR language code such as en, fr or pt_BR; got {code!r}") from None
