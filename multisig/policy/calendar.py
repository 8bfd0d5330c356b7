# SPDX-License-Identifier: GPL-2.0-or-later
"""Times as people read them. Pure."""

from __future__ import annotations

import datetime

DAY = 86400
_NEVER_SHOWN = 253402300800  # 10000-01-01: beyond the calendar


def day(second: int) -> str:
    """The UTC day of a time in seconds since the epoch; times beyond the calendar are told in words."""
    if second >= _NEVER_SHOWN:
        return "after the year 9999"
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=second // DAY)).isoformat()


def age(seconds: int) -> str:
    """A length of time that is whole days or hours: "14 days", "1 hour"."""
    number, unit = (seconds // DAY, "day") if seconds % DAY == 0 else (seconds // 3600, "hour")
    return f"{number} {unit}{'' if number == 1 else 's'}"
