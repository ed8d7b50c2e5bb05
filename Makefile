# The ways in, for users and developers; `make` alone explains them. Everything works as root on a
# fresh Debian 12; as an ordinary user where the packages named below are there already.

PYTHON := /usr/bin/python3
PREFIX ?= /usr/local
DESTDIR ?=

# What Dolmen needs to run: the same list as Depends in debian/control (a test compares them).
RUNTIME := python3 python3-apt python3-gi gir1.2-ostree-1.0 python3-click python3-rich \
	python3-tomlkit bubblewrap util-linux mount dpkg gpgv ca-certificates debian-archive-keyring

# What its tests need beyond that, apart from the linters and pytest, which come from PyPI.
TESTING := python3-venv python3-pip git gnupg openssl ostree mmdebstrap strace seccomp \
	zsh fish tmux direnv bash-completion man-db e2fsprogs uidmap xfsprogs procps xz-utils zstd \
	dosfstools mtools fdisk qemu-utils btrfs-progs qemu-system-x86 ovmf \
	attr cpio bsdextrautils libsoup2.4-1 python3-yaml openssh-client

# What building the .deb needs (Build-Depends in debian/control).
PACKAGING := build-essential debhelper dh-python pybuild-plugin-pyproject python3-setuptools \
	lintian

BENCHING := mmdebstrap e2fsprogs zsh fish direnv fdisk

APT_INSTALL := scripts/apt-install
VENV := .venv/bin

.PHONY: help install uninstall demo check check-system check-unit bench deb clean test-packages

help: ## Explain the targets (the default)
	@echo "Dolmen: an immutable, declarative, reproducible Debian"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \t\2/p' Makefile | expand -t 20
	@echo
	@echo "  PREFIX=$(PREFIX) (or /usr) and DESTDIR say where install goes."

install: ## Install what Dolmen needs, then Dolmen itself, on this host
	@[ -n "$(DESTDIR)" ] || $(APT_INSTALL) $(RUNTIME)
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" scripts/install

uninstall: ## Remove what install has put on this host (packages stay)
	@DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" scripts/install --remove

demo: install ## Install, then declare, build and run an environment in a scratch directory
	@PATH="$(PREFIX)/bin:$$PATH" scripts/demo

check: test-packages .venv/ready ## Install what the tests need, then lint and run all tests
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/mypy
	$(VENV)/python -m pytest

check-system: test-packages .venv/ready ## Start machines in QEMU and do to them what may happen (as root; half an hour)
	scripts/check-system $(VENV)/python

check-unit: .venv/ready ## Lint and run the unit tests: no root, no network, seconds
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/mypy
	$(VENV)/python -m pytest tests/unit

bench: ## Time Dolmen against its peers; writes docs/benchmarks.md (as root)
	@$(APT_INSTALL) $(RUNTIME) $(BENCHING)
	$(PYTHON) -m bench.run

deb: ## Build the Debian package (into the parent directory)
	@$(APT_INSTALL) $(PACKAGING) $(RUNTIME)
	dpkg-buildpackage --build=binary --unsigned-source --unsigned-changes

clean: ## Delete what building and testing left in this tree
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .pybuild src/*.egg-info
	rm -rf debian/dolmen debian/.debhelper debian/files debian/debhelper-build-stamp
	rm -f debian/*.substvars debian/*.debhelper.log debian/*.debhelper
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

test-packages:
	@$(APT_INSTALL) $(RUNTIME) $(TESTING) $(PACKAGING)

# The linters' and pytest's versions stand in pyproject.toml, group `check`.
.venv/ready: pyproject.toml
	$(PYTHON) -m venv --system-site-packages .venv
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["check"], sep="\n")' >.venv/tools
	$(VENV)/python -m pip install --quiet --disable-pip-version-check --requirement .venv/tools
	touch $@
