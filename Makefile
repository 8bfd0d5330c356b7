# SPDX-License-Identifier: GPL-2.0-or-later
# The system's own Python: its rpm and dnf modules are not on PyPI.
PYTHON := /usr/bin/python3
VENV := .venv
export PYTHONDONTWRITEBYTECODE = 1

.DEFAULT_GOAL := help
.PHONY: test-e2e help install rpm zipapp rpm-plugin install-rpm-plugin install-dnf5 setup demo test test-unit test-rpm6 matrix lint bench vectors fuzz clean

help:        ## this list
	@sed -n 's/^\([a-z0-9-]*\): .*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup:       ## install what is missing of Debian's (or Fedora's) packages
	@.ci/setup

demo:        ## watch five builders make a release, and dnf accept one package and refuse four
	@.ci/setup demo
	@$(PYTHON) -m fixtures.demo

test: setup $(VENV)/pysequoia/done $(VENV)/gemato/done  ## all tests, with real dnf, rpm and GnuPG
	@# Side by side: most of the unit tests compute, most of the others wait for dnf and rpm.
	@$(MAKE) --no-print-directory -j2 test-unit test-e2e

test-e2e: $(VENV)/pysequoia/done $(VENV)/gemato/done  ## the tests with real dnf and rpm alone; installs no package
	$(PYTHON) -m pytest -q tests/e2e

test-unit: $(VENV)/pysequoia/done  ## the fast tests alone; installs pysequoia into .venv and nothing else
	$(PYTHON) -m pytest -q tests/unit

test-rpm6: setup  ## content by rpm 6.1 and by this rpm, in a chroot; root, and 90 s more for the first time
	$(PYTHON) -m pytest -q tests/chroot/test_rpm6.py

matrix: setup  ## all of tests/chroot: the packages on whole systems, other dnf and rpm; root, and minutes at first
	$(PYTHON) -m pytest -q tests/chroot

lint: setup $(VENV)/done  ## ruff, and mypy in its strict mode
	$(VENV)/bin/ruff check .
	@# dnf wants its plugin to be called as the package is, and mypy cannot have two modules of one name.
	@mkdir -p build/lint && ln -sf ../../dnf-plugins/multisig.py build/lint/dnf4_plugin.py
	$(VENV)/bin/mypy multisig fixtures tests packaging setup.py build/lint/dnf4_plugin.py

# ruff and mypy are not in Debian 12; they see the system's modules through --system-site-packages.
$(VENV)/done: tests/requirements-lint.txt
	$(MAKE) setup
	@echo "lint: installing ruff and mypy into $(VENV)"
	$(PYTHON) -m venv --clear --system-site-packages $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements-lint.txt
	@touch $@

# The system's Python cannot see a venv's modules, so the tests add this folder to its path.
$(VENV)/pysequoia/done: tests/requirements-sequoia.txt
	$(MAKE) setup
	@echo "test: installing pysequoia into $(VENV)/pysequoia"
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade --target $(@D) -r tests/requirements-sequoia.txt
	@touch $@

# What Gentoo verifies trees with; the tests hold ours to it.
$(VENV)/gemato/done: tests/requirements-gemato.txt
	$(MAKE) setup
	@echo "test: installing gemato into $(VENV)/gemato"
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade --target $(@D) -r tests/requirements-gemato.txt
	@touch $@

bench: setup $(VENV)/pysequoia/done $(VENV)/gemato/done  ## what the checks cost, measured on 1,000 packages
	$(PYTHON) -m fixtures.bench

vectors: setup  ## the conformance vectors of rpm/v1 and of OpenPGP, into build
	$(PYTHON) -m fixtures.vectors build/vectors
	$(PYTHON) -m fixtures.openpgp build/openpgp-vectors

SECONDS = 60
fuzz: setup $(VENV)/fuzz  ## fuzz what reads RPMs, bundles, indexes, OpenPGP, policies and metadata, each for SECONDS=60
	$(VENV)/bin/python -m fixtures.fuzz --seconds $(SECONDS)

$(VENV)/fuzz: $(VENV)/done tests/requirements-fuzz.txt
	@echo "fuzz: installing atheris into $(VENV)"
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements-fuzz.txt
	@touch $@

# Where things go. dnf looks for its plugins where its own are, whatever the prefix is.
PREFIX = /usr/local
BINDIR = $(PREFIX)/bin
DATADIR = $(PREFIX)/share
MANDIR = $(DATADIR)/man
SYSCONFDIR = /etc
LOCALSTATEDIR = /var
PYTHONDIR = $(shell $(PYTHON) packaging/where.py python $(PREFIX))
DNFPLUGINDIR = $(shell $(PYTHON) packaging/where.py dnf)

install:     ## install for this system's Python and dnf; DESTDIR=, PREFIX=/usr/local
	install -d "$(DESTDIR)$(PYTHONDIR)" "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(DNFPLUGINDIR)"
	@# Listed by git or found: no leftovers of a build, no caches.
	find multisig -type f ! -name '*.pyc' -exec install -D -m 644 {} "$(DESTDIR)$(PYTHONDIR)/{}" \;
	install -m 755 packaging/multisig "$(DESTDIR)$(BINDIR)/multisig"
	install -m 644 dnf-plugins/multisig.py "$(DESTDIR)$(DNFPLUGINDIR)/multisig.py"
	install -D -m 644 etc/multisig.conf "$(DESTDIR)$(SYSCONFDIR)/dnf/plugins/multisig.conf"
	install -D -m 644 packaging/protected.conf "$(DESTDIR)$(SYSCONFDIR)/dnf/protected.d/multisig.conf"
	install -D -m 644 etc/policy.yaml.example "$(DESTDIR)$(SYSCONFDIR)/multisig/policy.yaml.example"
	for schema in multisig/schemas/*.json; do \
		install -D -m 644 "$$schema" "$(DESTDIR)$(DATADIR)/multisig/$${schema##*/}" || exit 1; \
	done
	install -d -m 755 "$(DESTDIR)$(SYSCONFDIR)/multisig/keys" "$(DESTDIR)$(LOCALSTATEDIR)/lib/multisig"
	for page in docs/*.[158]; do \
		install -D -m 644 "$$page" "$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}" || exit 1; \
	done
	install -d "$(DESTDIR)$(DATADIR)/bash-completion/completions" "$(DESTDIR)$(DATADIR)/zsh/site-functions"
	$(PYTHON) packaging/completion.py bash > "$(DESTDIR)$(DATADIR)/bash-completion/completions/multisig"
	$(PYTHON) packaging/completion.py zsh > "$(DESTDIR)$(DATADIR)/zsh/site-functions/_multisig"
	$(PYTHON) -m compileall -q -s "$(DESTDIR)" -p / "$(DESTDIR)$(PYTHONDIR)/multisig"

rpm: setup   ## the project's own packages, into build/rpm; the same content from every builder
	@packaging/build-rpm build/rpm

zipapp:      ## one file that verifies ISOs and trees on any Linux, build/multisig.pyz
	@$(PYTHON) packaging/zipapp.py build/multisig.pyz
	@echo "zipapp: $$(sha256sum build/multisig.pyz)"

RPMPLUGINDIR = $(shell rpm --eval '%{__plugindir}')
RPMMACRODIR = $(shell rpm --eval '%{_rpmconfigdir}')/macros.d
LIBEXECDIR = $(PREFIX)/libexec

rpm-plugin:  ## the plugin for rpm itself, build/multisig.so
	@$(MAKE) --no-print-directory -C rpm-plugin -B CHECKER="$(LIBEXECDIR)/multisig-check"

install-rpm-plugin: rpm-plugin  ## install it, and with it switch it on; DESTDIR=, PREFIX=/usr/local
	install -D -m 755 build/multisig.so "$(DESTDIR)$(RPMPLUGINDIR)/multisig.so"
	install -D -m 755 rpm-plugin/multisig-check "$(DESTDIR)$(LIBEXECDIR)/multisig-check"
	install -D -m 644 rpm-plugin/macros.multisig "$(DESTDIR)$(RPMMACRODIR)/macros.multisig"

install-dnf5:  ## have dnf5 ask, through its actions plugin; DESTDIR=, PREFIX=/usr/local
	install -D -m 755 dnf5-plugins/multisig-dnf5 "$(DESTDIR)$(LIBEXECDIR)/multisig-dnf5"
	install -d "$(DESTDIR)$(SYSCONFDIR)/dnf/libdnf5-plugins/actions.d"
	sed 's|/usr/libexec/|$(LIBEXECDIR)/|' dnf5-plugins/multisig.actions > \
		"$(DESTDIR)$(SYSCONFDIR)/dnf/libdnf5-plugins/actions.d/multisig.actions"

clean:       ## remove what the other targets made here
	rm -rf build dist *.egg-info $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
