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

#: The table of a whole machine.
MACHINE = """
[system]
hostname = "web1"
locale = "en_GB.UTF-8"
locales = ["de_DE.UTF-8"]
timezone = "Europe/Berlin"
kernel = "linux-image-cloud-amd64"
kernel-arguments = ["console=ttyS0,115200", "quiet"]
default-target = "multi-user.target"
enable = ["nginx.service"]
disable = ["apt-daily.timer"]
mask = ["apt-daily-upgrade.timer"]
boot-loader = "grub"
boot-tries = 2
volatile = "state"
keep = ["/var/lib/postgresql", "/etc/ssh"]

[[system.users]]
name = "alice"
uid = 1000
groups = ["sudo"]
shell = "/bin/bash"
comment = "Alice"
home = "/home/alice"
ssh-keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleEx a@home"]
password = "$y$j9T$abcdefghijklmnop$abcdefghijklmnopqrstuvwxyz0123456789"

[[system.users]]
name = "worker"
system = true

[[system.files]]
path = "/etc/motd"
text = "Welcome.\\n"

[[system.files]]
path = "/etc/app/key"
source = "files/key"
mode = "0640"
owner = "root"
group = "worker"

[[system.files]]
path = "/etc/app/current"
link = "key"

[system.disk]
filesystem = "ext4"
size = "8G"
boot-size = "512M"
esp-size = "64M"
grow = true

[system.update]
remote = "origin"
url = "https://images.example/web"
ref = "web/stable"
key = "keys/web.asc"
automatic = "stage"
sequence = 1800000000
"""
