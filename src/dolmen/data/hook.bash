# Dolmen's prompt hook for bash: eval "$(dolmen hook bash)" in ~/.bashrc.
#
# Before each prompt it looks where the shell is. In a directory that was allowed, the environment's
# commands are put in front of PATH and its variables are set; outside, both are taken back. It runs
# builtins only, but for one sha256sum(1) when a directory is entered or a file in it has changed.
# What is loaded stands in exported variables, so that a shell started inside can take it back too.

_dolmen_say() {
    if [ -n "$_dolmen_message" ] && [ "$_dolmen_said" != "$_dolmen_found $_dolmen_message" ]; then
        _dolmen_take_name
        builtin printf 'dolmen: %s: %s\n' "$_dolmen_name" "$_dolmen_message" >&2
        _dolmen_said="$_dolmen_found $_dolmen_message"
    fi
}

_dolmen_load() {
    local entry name
    PATH=$_dolmen_found/.dolmen/bin${PATH:+:$PATH}
    builtin export _DOLMEN_DIR="$_dolmen_found" _DOLMEN_NAMES=''
    [ -f "$_dolmen_found/.dolmen/current/environ" ] || return 0
    while IFS= read -r -d '' entry; do
        name=${entry%%=*}
        _dolmen_may_set "$name" || continue
        if [ -n "${!name+set}" ]; then
            case ${!name@a} in *r*) continue ;; esac
            builtin export "_DOLMEN_OLD_$name=${!name}"
        fi
        builtin export "$name=${entry#*=}"
        _DOLMEN_NAMES+=" $name"
    done <"$_dolmen_found/.dolmen/current/environ"
}

# The working directory without symbolic links, in _dolmen_real. A process is made only where a
# component of $PWD is one.
_dolmen_resolve() {
    local part=${PWD%/}
    if [ "$PWD" = "$_dolmen_pwd" ] && [ "$_dolmen_real" -ef . ]; then return 0; fi
    _dolmen_pwd=$PWD _dolmen_real=$PWD
    if [ "$PWD" -ef . ]; then
        until [ -L "$part" ]; do
            [ -n "$part" ] || return 0
            part=${part%/*}
        done
    fi
    _dolmen_real=$(builtin pwd -P 2>/dev/null && builtin printf x)
    _dolmen_real=${_dolmen_real%$'\n'x}
}

_dolmen_update() {
    local key
    # Inside an image there is nothing to add.
    if [ -n "${DOLMEN_ENVIRONMENT-}" ] && [ -d /run/dolmen ]; then return 0; fi
    _dolmen_resolve
    _dolmen_nearest "$_dolmen_real"
    if [ -z "$_dolmen_found" ] || [ "$_dolmen_found" = "${_DOLMEN_DIRENV-}" ]; then
        _dolmen_key=''
        _dolmen_unload
        return 0
    fi
    _dolmen_read_record
    _dolmen_compare_times
    key="$_dolmen_found $_dolmen_times $_dolmen_text"
    [ "$key" != "$_dolmen_key" ] || return 0
    _dolmen_key=$key
    [ "$key" = "$_dolmen_seen" ] || _dolmen_examine
    _dolmen_seen=$key
    _dolmen_unload
    [ "$_dolmen_verdict" = off ] || _dolmen_load
    _dolmen_say
}

_dolmen_show_name() {
    [ -n "$_dolmen_prompt" ] || return 0
    if [ -n "$_dolmen_shown" ]; then PS1=${PS1#"$_dolmen_shown"}; fi
    _dolmen_shown=''
    if [ -n "${_DOLMEN_DIR-}" ]; then
        _dolmen_found=$_DOLMEN_DIR
        _dolmen_take_name
        _dolmen_shown="($_dolmen_name) "
        PS1=$_dolmen_shown${PS1-}
    fi
}

_dolmen_hook() {
    local code=$?
    _dolmen_update
    _dolmen_show_name
    return "$code"
}

_dolmen_found='' _dolmen_key='' _dolmen_seen='' _dolmen_said='' _dolmen_pwd='' _dolmen_real='' _dolmen_prompt=''
_dolmen_shown=${_dolmen_shown-}
_dolmen_records
case $- in
*i*)
    case $'\n'"${PROMPT_COMMAND[*]-}" in
    *_dolmen_hook*) ;;
    *)
        # The last one: others may set PS1.
        if [[ "$(declare -p PROMPT_COMMAND 2>/dev/null)" == 'declare -a'* ]]; then
            PROMPT_COMMAND+=(_dolmen_hook)
        else
            PROMPT_COMMAND=${PROMPT_COMMAND:+$PROMPT_COMMAND$'\n'}_dolmen_hook
        fi
        ;;
    esac
    ;;
esac
