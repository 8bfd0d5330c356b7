# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be approved: RPMs by content, files and trees by digest. Each module reads one kind of thing."""
