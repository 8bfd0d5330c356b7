# SPDX-License-Identifier: GPL-2.0-or-later
"""From an upload directory to a repository, on a server that holds no key and is not trusted."""
