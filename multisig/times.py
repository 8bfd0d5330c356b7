# SPDX-License-Identifier: GPL-2.0-or-later
"""Times as people and formats write them. They are seconds since the epoch, written in UTC; spans are seconds. Pure."""

from __future__ import annotations

import re
import time
from typing import Optional

from multisig.text import counted

DAY = 86400
LAST_SECOND = 253402300799
"""9999-12-31T23:59:59Z: what comes after it has no date of four digits."""

_AGE = re.compile(r"([1-9][0-9]{0,4})([dh])", re.ASCII)


def timestamp(second: int) -> str:
    """``2026-01-31T12:00:00Z`` (RFC 3339), of a time that is not after LAST_SECOND."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def told_time(second: int) -> str:
    """A time for people: ``2026-01-31 12:00 UTC``."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(second))


def day(second: int) -> str:
    """The day of a time, ``2026-01-31``; of times after LAST_SECOND it is told in words."""
    if second > LAST_SECOND:
        return "after the year 9999"
    moment = time.gmtime(second)
    return f"{moment.tm_year:04}-{moment.tm_mon:02}-{moment.tm_mday:02}"


def told_span(seconds: int) -> str:
    """A span of time for people, in the largest unit of which there are two or more: ``36 hours``, ``14 days``."""
    for unit, size in (("days", DAY), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return "1 minute" if seconds >= 60 else "a moment"


def age(seconds: int) -> str:
    """A span that is whole days or hours: ``14 days``, ``1 hour``."""
    number, unit = (seconds // DAY, "day") if seconds % DAY == 0 else (seconds // 3600, "hour")
    return counted(number, unit)


def parse_age(text: str) -> Optional[int]:
    """The seconds of ``14d`` or ``36h``, 1 to 99,999 of either; None where the text is neither."""
    found = _AGE.fullmatch(text)
    return None if found is None else int(found[1]) * (DAY if found[2] == "d" else 3600)
