"""Manifests that use what there is."""

MORE = (
    """\
suite = "bookworm"
packages = ["postgresql", "gcc-multilib [amd64]", "jq/backports", "gdb [!i386 !armhf]"]
snapshot = "14d"
persist = ["/var/lib/postgresql", "/srv/data"]

[pins]
curl = "=7.88*"
"linux-*" = "/bookworm-backports 990"
snapd = -1
code = "/vendor"

[[sources]]
uris = ["https://archive.example/debian"]
suites = ["bookworm"]
snapshot = "now"

[[sources]]
name = "vendor"
uris = ["https://vendor.example/apt"]
suites = ["stable"]
signed-by = "keys/vendor.asc"
priority = 100

[[debs]]
path = "debs/tool_1.0_amd64.deb"
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

[groups.dev]
packages = ["gdb [!i386 !armhf]", "strace"]

[groups.docs]
packages = ["texlive"]

[env]
PGDATA = "/var/lib/postgresql/data"
GREETING = "it's \\"quoted\\" $HOME `id` \\\\ \\n"

[aliases]
k = "kubectl --context home"

[scripts]
test = "pytest -x"
"db:start" = """
    + "'''"
    + """
test -d "$PGDATA" || initdb
exec postgres "$@"
"""
    + "'''"
    + """
"""
)
