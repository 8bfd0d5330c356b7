# SPDX-License-Identifier: GPL-2.0-or-later
"""``hold-back = yes``: dnf resolves without the packages that more people have yet to sign.

By indexes alone, and for no more packages than a transaction might take. What is left out is only ever an option less
for the solver: whatever dnf takes in its stead is judged like everything else.
"""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import Any, Callable, Collection, Dict, Iterable, Mapping, Optional, Sequence, Set

import dnf
import dnf.subject
import hawkey

from multisig import report
from multisig.config import Config, load_config
from multisig.dnf4.fetch import Fetcher, index_path
from multisig.dnf4.packages import package_of
from multisig.dnf4.sources import Sources
from multisig.errors import JournalError
from multisig.gate import Gate, Package
from multisig.held import Find, Look
from multisig.holding import lacking_people
from multisig.journal import Journal
from multisig.openpgp import open_engine
from multisig.policy import load_policy
from multisig.releasing import Releases
from multisig.threads import workers
from multisig.verdict import HeldBack

# By these a certain version is asked for, or less than there is.
_OTHER_COMMANDS = ("downgrade", "reinstall", "history", "remove", "autoremove", "mark")
_MOST = 20_000

Handles = Set["dnf.package.Package"]
Held = Dict["dnf.package.Package", HeldBack]


def hold_back(base: "dnf.Base", cli: Any, say: Callable[[str], None]) -> None:
    """Leave packages out of the sack. ``cli`` is dnf's command line, None where a program uses dnf's library.

    Steps: 1. What the command might take in, newer than what is installed, is looked up in the indexes. 2. What lacks
    people's signatures is left out, and what cannot be installed without it. 3. What was asked for by a name that
    nothing else has stays, with what it needs: it is to be refused with the reason, and not to be unknown. 4. All that
    is older than what is installed is left out: nothing is downgraded because something else was held back. 5. It is
    said.
    """
    command = getattr(cli, "command", None)
    config = load_config(base.conf.pluginconfpath)
    if not config.hold_back or not config.enforcing or getattr(command, "_basecmd", "") in _OTHER_COMMANDS:
        return
    specs = getattr(getattr(command, "opts", None), "pkg_specs", None) or ()
    options = _Options(base, specs, group_members(base, command))
    if not options.candidates:
        return
    lacking = _lacking(base, config, options.candidates)
    before = base.sack.get_excludes()
    try:
        out = _leave_out(base, options, lacking)
        if out:
            base.sack.add_excludes(options.older())
    except BaseException:
        _restore(base, before)
        raise
    told = [held for handle, held in out.items() if handle in options.wanted]
    if told:
        say(report.held_back(told, _since(config, told)))


class _Options:
    """What a transaction might take from repositories that have an index. ``specs`` are what was asked for, ``members``
    the names of packages of groups that were; None where none was.

    ``wanted``: what a person expects to come: what was asked for, or where nothing was what is newer than what is
    installed. ``candidates``: all of that, and what it might bring with it.
    """

    def __init__(self, base: "dnf.Base", specs: Iterable[str], members: Optional[Collection[str]] = None) -> None:
        self._sack = base.sack
        available = base.sack.query().available()
        self._own = available.filter(reponame=[repo.id for repo in base.repos.iter_enabled() if index_path(repo)])
        installed = base.sack.query().installed()
        self._installed = {(handle.name, handle.arch) for handle in installed}
        self._asked = [set(dnf.subject.Subject(spec).get_best_query(base.sack).available()) for spec in specs]
        newer: Handles = {*self._own.filter(upgrades=True), *self._own.filter(obsoletes=installed)}
        asked = {handle for found in self._asked for handle in self._own.intersection(self.query(found))}
        asked.update(self._own.filter(name=sorted(members)) if members else ())
        asked = {handle for handle in asked if self._is_new(handle) or handle in newer}
        self.wanted = asked if self._asked or members is not None else newer
        self.candidates = self._with_dependencies(asked | newer)

    def query(self, handles: Iterable["dnf.package.Package"]) -> "dnf.query.Query":
        """A query that finds these packages."""
        return self._sack.query().filterm(pkg=list(handles))

    def without_others(self, out: Held) -> Handles:
        """What was asked for by names that nothing has but what is ``out``."""
        return {handle for found in self._asked if found and found <= out.keys() for handle in found}

    def older(self) -> "dnf.query.Query":
        """What is older than what is installed, and was not asked for."""
        asked = {handle for found in self._asked for handle in found}
        return self._sack.query().available().filterm(downgrades=True).difference(self.query(asked))

    def _is_new(self, handle: "dnf.package.Package") -> bool:
        return (handle.name, handle.arch) not in self._installed

    def _with_dependencies(self, handles: Handles) -> Handles:
        """And whatever provides something that they require and is not installed; none beyond _MOST."""
        found, frontier = set(handles), list(handles)
        while frontier and len(found) < _MOST:
            required = {str(item): item for handle in frontier for item in (*handle.requires, *handle.recommends)}
            providers = self._own.filter(provides=list(required.values()))
            frontier = [handle for handle in providers if handle not in found and self._is_new(handle)]
            found.update(frontier)
        return found


def group_members(base: "dnf.Base", command: Any) -> Optional[Set[str]]:
    """The names of the packages in the groups, and groups of groups, that the command is to install or upgrade; None
    where it names none. What a repository says of its groups decides nothing but what is looked up."""
    options = getattr(command, "opts", None)
    patterns = list(getattr(options, "grp_specs", None) or ())
    if getattr(command, "_basecmd", "") == "group" and getattr(options, "subcmd", "") in ("install", "upgrade"):
        patterns += getattr(options, "args", None) or ()
    if not patterns:
        return None
    base.read_comps(arch_filter=True)
    groups = []
    for pattern in patterns:
        groups += base.comps.groups_by_pattern(pattern)
        for environment in base.comps.environments_by_pattern(pattern):
            groups += [*environment.mandatory_groups, *environment.optional_groups]
    return {package.name for group in groups for package in group.packages_iter()}


class _Indexes:
    """The gate's EvidenceSource of indexes alone: no bundle is asked for before it is known what dnf would take."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def fetch(self, packages: Sequence[Package], look: Look) -> Mapping[int, Find]:
        """See gate.EvidenceSource."""
        return self._sources.fetch(packages, look) if look is Look.INDEX else {}


def _lacking(base: "dnf.Base", config: Config, handles: Handles) -> Held:
    sources, releases = Sources(base, {}, config.bundles), Releases(Fetcher(base), Journal(config.journal))
    by_key = dict(enumerate(sorted(handles)))
    packages = [package_of(key, handle) for key, handle in by_key.items()]
    for package in packages:
        sources.add(package, by_key[package.key])
        releases.add(package)
    policy, now = load_policy(config.policy), int(time.time())
    with (
        closing(open_engine(config.openpgp)) as engine,
        Gate(policy, engine, now=now, workers=workers(), releases=releases) as gate,
    ):
        verdicts = lacking_people(gate, packages, _Indexes(sources), releases.metadata)
    return {by_key[key]: HeldBack(item.name, item.origin, item.message) for key, item in verdicts.items()}


def _leave_out(base: "dnf.Base", options: _Options, lacking: Held) -> Held:
    """Exclude from the sack what is ``lacking``, and so on: what is out in the end."""
    before = base.sack.get_excludes()
    spared: Handles = set()
    while True:
        out = {handle: held for handle, held in lacking.items() if handle not in spared}
        base.sack.add_excludes(options.query(out))
        needed = _left_without(base, options, out)
        in_vain = options.without_others(out)
        if not in_vain:
            return out
        while in_vain:
            spared |= in_vain
            in_vain = {handle for item in in_vain for handle in needed.get(item, ())} - spared
        _restore(base, before)


def _left_without(base: "dnf.Base", options: _Options, out: Held) -> Dict["dnf.package.Package", Handles]:
    """Exclude as well what requires something that nothing provides but what is ``out``, and add it to that. For each
    what would provide what it requires."""
    needed: Dict["dnf.package.Package", Handles] = {}
    gone: Handles = set(out)
    while gone:
        provided = [item for handle in gone for item in handle.provides]
        gone = set()
        for handle in options.query(options.candidates).filter(requires=provided):
            unmet = [item for item in handle.requires if not base.sack.query().filterm(provides=item)]
            missing = set(_everything(base).filterm(pkg=list(out), provides=unmet)) if unmet else set()
            if missing:
                needed[handle] = missing
                message = f"needs {package_of(0, min(missing)).nevra}, which is held back"
                out[handle] = HeldBack(package_of(0, handle).nevra, handle.reponame, message)
                gone.add(handle)
        base.sack.add_excludes(options.query(gone))
    return needed


def _restore(base: "dnf.Base", excludes: Sequence["dnf.package.Package"]) -> None:
    base.sack.set_excludes(_everything(base).filterm(pkg=list(excludes)))


def _everything(base: "dnf.Base") -> "dnf.query.Query":
    """A query that what was left out is in."""
    return base.sack.query(flags=hawkey.IGNORE_EXCLUDES)


def _since(config: Config, held: Sequence[HeldBack]) -> Mapping[HeldBack, int]:
    """Since when each has been held back, in seconds since the epoch; nothing where the journal cannot be written."""
    with suppress(JournalError):
        return Journal(config.journal).hold_back(held, time=int(time.time()))
    return {}
