# SPDX-License-Identifier: GPL-2.0-or-later
"""What makes up the page of ``multisig status --html``: a template, its style and its script, all put into one file."""
