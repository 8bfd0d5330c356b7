# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of a first policy that are the same on every machine: what it is, and examples to start from.

Prose begins with "# "; lines of examples with "#" alone, so that without it they are parts of a policy.
"""

from __future__ import annotations

HEAD = """\
# yaml-language-server: $schema=/usr/share/multisig/policy.schema.json
# Who has to have signed what before dnf installs it. Written by "multisig policy init" on {today}.
#
# Each repository that dnf is configured with has a rule here: its packages need a signature by one of its own keys.
# gpgcheck asks for the same, but this holds whatever repository name, key or setting dnf is given. So nothing changes
# for packages that their vendor signed. What has no usable key is exempt until a date: look there first. A vendor's new
# key, as a distribution's next release has one, must be added before its packages come.
#
# It is yours to change: raise the serial, then run   multisig policy check
# docs/policy.md explains every word of it. Lines that begin with "#" and no word right behind a single blank are
# examples; without the "#" they are part of the policy.

multisig: policy/v1
serial: 1
"""

PEOPLE = """\
# Who together may replace this policy, and the channel that they sign it for. A package that ships anything under
# /etc/multisig, the plugins' own files or rpm macros needs these people as well.
#channel: example-policy
#policy-quorum: 2 of release

# People who build packages on machines of their own, and sign what came out. Each has one vote, whatever keys they
# hold. Ask each for their fingerprint, by another way than the key came.
#signers:
#  marek:
#    keys: [{fingerprint: "0000000000000000000000000000000000000001", file: keys/marek.asc}]
#  joanna:
#    keys: [{fingerprint: "0000000000000000000000000000000000000002", file: keys/joanna.asc}]
#  rafal:
#    keys: [{fingerprint: "0000000000000000000000000000000000000003", file: keys/rafal.asc}]
#groups:
#  builders: [marek, joanna, rafal]
#  release: [joanna, rafal]

# A package that no rule matches is refused. Where several match, all of them have to be satisfied, so another rule only
# ever makes things stricter.
rules:"""

RULES = """\
# Our own packages, wherever they come from: two of three people got the same content from the same source. Rules that
# protect packages name no repositories, since anybody can call a repository by any name.
#  - name: our packages
#    packages: ["example-*"]
#    channel: example-stable
#    require: 2 of builders

# A whole system by M of N, as Qubes OS would: every package of these repositories, and every one of these names.
#  - name: our repositories
#    repos: ["qubes-*"]
#    channel: qubes-r4.3-stable
#    require: 2 of builders
#  - name: our names
#    packages: ["qubes-*", "xen*"]
#    channel: qubes-r4.3-stable
#    require: {all: [2 of builders, 1 of release]}

# Vendors' packages that can take over the machine: by the vendor's signature, as above, and rebuilt by two people.
#  - name: rebuilt
#    content: {setuid: true, paths: ["/etc/sudoers.d/**", "/etc/pam.d/**"]}
#    channel: example-rebuilds
#    require: 2 of builders
"""

ELSEWHERE = """\
  # To have it checked, fetch the key and compare its fingerprint with what its owner publishes in another place. Put
  # it beside this file, one key a file, and write instead of exempt and until:
  #    signed-by: [{fingerprint: "…", file: keys/….asc}]"""
