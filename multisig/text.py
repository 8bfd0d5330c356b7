# SPDX-License-Identifier: GPL-2.0-or-later
"""Text for people: what came from elsewhere is made fit for a terminal.

Imports nothing: whatever else fails can still be said.
"""


def plain(text: str) -> str:
    """Control and format characters, and lone surrogates, are shown as escapes, not obeyed."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def counted(number: int, what: str) -> str:
    """``1 package``, ``2 packages``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def shown(name: bytes) -> str:
    """A name from an RPM, in quotes and ASCII: whatever its bytes are, it is one line that a person can read."""
    return ascii(name.decode("utf-8", "backslashreplace"))
