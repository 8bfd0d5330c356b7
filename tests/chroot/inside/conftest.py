# SPDX-License-Identifier: GPL-2.0-or-later
"""The stage of the end-to-end tests, for those that run in a chroot."""

from __future__ import annotations

from tests.e2e.conftest import listener, shop, stage, web

__all__ = ["listener", "shop", "stage", "web"]
