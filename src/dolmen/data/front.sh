#!/bin/sh
# The `dolmen` command. `run` and `shell` of an environment that is up to date are answered here,
# by becoming the generation's launcher, because starting Python would cost more than entering;
# everything else, and every doubt, goes to Python, which comes to the same result.
#
# Builtins only, but for cmp(1) where times differ. Variables have a prefix: one that the caller
# exports under the same name would otherwise reach the command changed.

_dolmen_store() {
    if [ -n "$_dolmen_store" ]; then
        :
    elif [ -n "${DOLMEN_STORE-}" ]; then
        _dolmen_store=$DOLMEN_STORE
    elif [ -O / ]; then
        _dolmen_store=/var/lib/dolmen
    else
        case ${XDG_DATA_HOME-} in
        /*) _dolmen_store=$XDG_DATA_HOME/dolmen ;;
        *) _dolmen_store=${HOME:-/nonexistent}/.local/share/dolmen ;;
        esac
    fi
}

# The host's own suite, for `-p` without --suite.
_dolmen_suite() {
    while IFS='=' read -r _dolmen_key _dolmen_value; do
        if [ "$_dolmen_key" = VERSION_CODENAME ]; then
            _dolmen_value=${_dolmen_value#[\"\']}
            _dolmen_suite=${_dolmen_value%[\"\']}
            return
        fi
    done </etc/os-release
}

# The nearest directory with a manifest, upwards as the file system has it, not as $PWD spells it.
_dolmen_find() {
    _dolmen_dir=$PWD
    [ -f dolmen.toml ] && return
    _dolmen_old=${OLDPWD-}
    cd -P . 2>/dev/null || return
    _dolmen_dir=$PWD
    cd -L "$_dolmen_here" 2>/dev/null || return
    OLDPWD=$_dolmen_old
    until [ -f "$_dolmen_dir/dolmen.toml" ]; do
        [ -n "$_dolmen_dir" ] || return
        _dolmen_dir=${_dolmen_dir%/*}
    done
}

# Whether a file equals the copy in the generation. The copy has the original's time, so that most
# often nothing needs to be read (environment/generations.py, match_times).
_dolmen_same() {
    [ -f "$1" ] && [ -f "$2" ] || return
    [ "$1" -nt "$2" ] || [ "$1" -ot "$2" ] || return 0
    /usr/bin/cmp -s "$1" "$2"
}

# Whether a command will be found inside: among the aliases, in the image, or in the parts of PATH that it shares with
# the host. Links count: an absolute one (an alternative) leads nowhere from outside. Python says
# which package has what is missing.
_dolmen_has() {
    case $1 in */*) return 0 ;; esac
    [ ! -f "$_dolmen_live/aliases/$1" ] || return 0
    for _dolmen_place in usr/bin usr/sbin usr/local/bin usr/local/sbin usr/games usr/local/games; do
        _dolmen_place=$_dolmen_live/tree/$_dolmen_place/$1
        [ -x "$_dolmen_place" ] || [ -L "$_dolmen_place" ] || continue
        return
    done
    [ -n "${HOME-}" ] || return 1
    case :${PATH-} in *:"$HOME"/*) ;; *) return 1 ;; esac
    set -f
    _dolmen_ifs=$IFS
    IFS=:
    set -- "$1" ${PATH-}
    IFS=$_dolmen_ifs
    set +f
    _dolmen_name=$1
    shift
    for _dolmen_place; do
        case $_dolmen_place in
        */.dolmen/*) ;;
        "$HOME"/*) [ ! -x "$_dolmen_place/$_dolmen_name" ] || return 0 ;;
        esac
    done
    return 1
}

# Where the shell parts lie: beside this file in a source tree, else where they are installed.
_dolmen_parts() {
    case $0 in
    */dolmen/data/front.sh) _dolmen_parts=${0%/*} ;;
    */bin/dolmen) _dolmen_parts=${0%/bin/dolmen}/share/dolmen ;;
    *) return 1 ;;
    esac
    [ -r "$_dolmen_parts/hook.bash" ]
}

# `hook` stands in start-up files of shells, `__values` serves completions: both without Python.
_dolmen_shells() {
    case $#$1 in
    2hook | 3hook | [34]__values) _dolmen_parts || return 0 ;;
    *) return 0 ;;
    esac
    case $1:$2:${3-} in
    __values:*)
        shift
        exec /bin/sh "$_dolmen_parts/values.sh" "$@"
        ;;
    hook:bash: | hook:bash:--prompt) set -- "${3-}" check.bash hook.bash ;;
    hook:zsh: | hook:zsh:--prompt) set -- "${3-}" hook.zsh ;;
    hook:fish: | hook:fish:--prompt) set -- "${3-}" hook.fish ;;
    hook:direnv:) set -- '' check.bash direnv.bash ;;
    *) return 0 ;;
    esac
    /bin/cat "$_dolmen_parts/$2" ${3+"$_dolmen_parts/$3"} || exit
    case $1$2 in
    --prompthook.fish) echo _dolmen_wrap_prompt ;;
    --prompt*) echo _dolmen_prompt=yes ;;
    esac
    exit 0
}

# Returns when it has no answer.
_dolmen_fast() {
    _dolmen_verb='' _dolmen_dir='' _dolmen_store='' _dolmen_specs='' _dolmen_suite=''
    _dolmen_pure='' _dolmen_network='' _dolmen_here=$PWD
    while [ $# -gt 0 ]; do
        case $1 in
        -C | --dir | --store)
            [ -n "${2-}" ] || return
            if [ "$1" = --store ]; then _dolmen_store=$2; else _dolmen_dir=$2; fi
            shift
            ;;
        --dir=?*) _dolmen_dir=${1#*=} ;;
        --store=?*) _dolmen_store=${1#*=} ;;
        run | shell)
            [ -z "$_dolmen_verb" ] || break
            _dolmen_verb=$1
            ;;
        *)
            [ -n "$_dolmen_verb" ] || return
            case $1 in
            --pure) _dolmen_pure=$1 ;;
            --network) _dolmen_network=$1 ;;
            --auto) [ "$_dolmen_verb" = run ] || return ;;
            -p | --package | --suite)
                # These become part of a file name; Python hashes what is not plain.
                case ${2-} in '' | -* | ,* | *, | *,,* | *[!A-Za-z0-9.+:=~,-]*) return ;; esac
                if [ "$1" = --suite ]; then
                    _dolmen_suite=$2
                else
                    _dolmen_specs=$_dolmen_specs,$2
                fi
                shift
                ;;
            --)
                shift
                break
                ;;
            -*) return ;;
            *) break ;;
            esac
            ;;
        esac
        shift
    done
    case $_dolmen_verb:$# in
    '':* | run:0) return ;;
    esac
    _dolmen_store
    if [ -n "$_dolmen_specs" ]; then
        [ -z "$_dolmen_dir" ] || return
        [ -n "$_dolmen_suite" ] || _dolmen_suite
        _dolmen_specs=$_dolmen_suite$_dolmen_specs
        [ ${#_dolmen_specs} -le 200 ] || return
        _dolmen_dir=$_dolmen_store/shells/names/$_dolmen_specs
        [ -O "$_dolmen_store/shells" ] || return
    else
        [ -z "$_dolmen_suite" ] || return
        if [ -z "$_dolmen_dir" ]; then
            _dolmen_find
            [ -O "$_dolmen_dir/dolmen.toml" ] || return
        fi
    fi

    # A launcher runs outside of any sandbox: it must be ours, and known to our store; one that
    # came with a clone or a copy of the directory is not.
    _dolmen_state=$_dolmen_dir/.dolmen
    [ -O "$_dolmen_state" ] && [ -r "$_dolmen_state/root" ] || return
    { read -r _dolmen_root && read -r _dolmen_home; } <"$_dolmen_state/root" || return
    case $_dolmen_root in '' | *[!0-9a-f]*) return ;; esac
    [ -e "$_dolmen_store/roots/$_dolmen_root" ] || return
    [ "$_dolmen_home/.dolmen" -ef "$_dolmen_state" ] || return

    # The launcher asks for what it misses.
    [ -z "${DOLMEN_FALLBACK-}" ] || return
    _dolmen_live=$_dolmen_state/current
    [ -x "$_dolmen_live/launch" ] && [ -d "$_dolmen_live/tree/usr" ] || return
    _dolmen_launch=launch
    if [ "$_dolmen_verb" = run ]; then
        # A script of the manifest comes before a command of that name.
        case $1 in
        */* | .*) ;;
        *) [ ! -f "$_dolmen_live/scripts/$1" ] || _dolmen_launch=scripts/$1 ;;
        esac
    fi
    [ "$_dolmen_launch" != launch ] || [ $# -eq 0 ] || _dolmen_has "$1" || return
    _dolmen_same "$_dolmen_dir/dolmen.toml" "$_dolmen_live/dolmen.toml" || return
    _dolmen_same "$_dolmen_dir/dolmen.lock" "$_dolmen_live/dolmen.lock" || return
    # Entries that nobody used for a week expire; this sets the time (`true` as it is no special
    # builtin, whose failing redirection would end the shell).
    if [ -n "$_dolmen_specs" ]; then { true >"$_dolmen_state/used"; } 2>/dev/null; fi
    if [ "$_dolmen_verb" = shell ] && [ -n "${DOLMEN_ENVIRONMENT-}" ] && [ -d /run/dolmen ]; then
        echo "dolmen: this is a shell inside $DOLMEN_ENVIRONMENT already" >&2
    fi
    [ "$_dolmen_launch" = launch ] || shift
    exec "$_dolmen_live/$_dolmen_launch" $_dolmen_pure $_dolmen_network -- "$@"
}

case ${1-} in
hook | __values) _dolmen_shells "$@" ;;
*) _dolmen_fast "$@" ;;
esac
# `store` starts without the module site (-S), a third of Python's own start; who needs other
# packages than ours has it run after all (__main__.py).
_dolmen_site=
[ "${1-}" != store ] || _dolmen_site=-S
case $0 in
*/dolmen/data/front.sh)
    # A source tree, not an installation: its modules are not on Python's path.
    exec /usr/bin/python3 -I $_dolmen_site "${0%/data/front.sh}/__main__.py" "$@"
    ;;
*/bin/dolmen)
    _dolmen_parts=${0%/bin/dolmen}/lib/python3/dist-packages/dolmen/__main__.py
    [ -z "$_dolmen_site" ] || [ ! -r "$_dolmen_parts" ] ||
        exec /usr/bin/python3 -I -S "$_dolmen_parts" "$@"
    ;;
esac
exec /usr/bin/python3 -I -m dolmen "$@"
