# SPDX-License-Identifier: GPL-2.0-or-later
"""Install only what M of N trusted people signed."""

__version__ = "0.1.0"
