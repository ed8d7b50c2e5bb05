# Dolmen's prompt hook for zsh: eval "$(dolmen hook zsh)" in ~/.zshrc.
#
# Before each prompt, and after each cd, it looks where the shell is. In a directory that was
# allowed, the environment's commands are put in front of PATH and its variables are set; outside,
# both are taken back. It runs builtins only, but for one sha256sum(1) when a directory is entered
# or a file in it has changed. Names of directories and contents of files are never evaluated. What
# is loaded stands in exported variables, so that a shell started inside can take it back too.

typeset -g _dolmen_found='' _dolmen_key='' _dolmen_seen='' _dolmen_said='' _dolmen_prompt='' _dolmen_state=''
typeset -g _dolmen_text='' _dolmen_record='' _dolmen_times='' _dolmen_verdict='' _dolmen_message=''
typeset -g _dolmen_sum='' _dolmen_name='' _dolmen_shown=${_dolmen_shown-}
case ${XDG_STATE_HOME-} in
(/*) _dolmen_state=$XDG_STATE_HOME/dolmen/allowed ;;
(*) [[ ${HOME-} != /* ]] || _dolmen_state=$HOME/.local/state/dolmen/allowed ;;
esac

# Whether $1 may be set in this shell; the rest of what an environment declares is set inside only.
_dolmen_may_set() {
    case $1 in
    ('' | [0-9]* | *[^A-Za-z0-9_]*) return 1 ;;
    (_* | PATH | path | IFS | ENV | HOME | SHELL | PWD | OLDPWD | LD_* | BASH* | PS[0-4] | PROMPT* | \
        ZDOTDIR | FPATH | fpath | DOLMEN_* | DIRENV_*) return 1 ;;
    esac
}

# The digest of file $2 in $1, lines as sha256sum(1) writes them; in _dolmen_sum.
_dolmen_take_sum() {
    local text=$'\n'$1 mark="  $2"$'\n'
    _dolmen_sum=''
    [[ $text != *"$mark"* ]] || _dolmen_sum=${${text%%"$mark"*}##*$'\n'}
}

# The name of _dolmen_found for people: no character that a terminal or a prompt would act upon.
_dolmen_take_name() {
    _dolmen_name=${_dolmen_found##*/}
    _dolmen_name=${_dolmen_name//[^A-Za-z0-9._+-]/-}
    _dolmen_name=${_dolmen_name[1,64]:-dolmen}
}

# Which of the files here are newer or older than what was built of them, and than the record: as
# long as this stays as it was, nothing needs to be read again.
_dolmen_compare_times() {
    local file here built
    _dolmen_times=''
    for file in dolmen.toml dolmen.lock; do
        here=$_dolmen_found/$file built=$_dolmen_found/.dolmen/current/$file
        if [[ ! -f $here ]]; then _dolmen_times+=-; continue; fi
        if [[ ! -f $built || $here -nt $built ]]; then _dolmen_times+=n
        elif [[ $here -ot $built ]]; then _dolmen_times+=o
        else _dolmen_times+=e
        fi
        [[ ! $here -nt $_dolmen_record ]] || _dolmen_times+=+
    done
    for file in launch environ; do
        [[ ! $_dolmen_found/.dolmen/current/$file -nt $_dolmen_record ]] || _dolmen_times+=$file
    done
}

# Whether _dolmen_found may be loaded: _dolmen_verdict is "on" or "off", _dolmen_message what to say.
_dolmen_examine() {
    local file sums here there allowed differ='' strange='' changed=''
    local -a files
    _dolmen_verdict=off _dolmen_message=''
    if [[ $_dolmen_found == *:* ]]; then
        _dolmen_message='its path has a colon, so it cannot be on PATH'
        return
    fi
    for file in '' /dolmen.toml /.dolmen; do
        if [[ -e $_dolmen_found$file && ! -O $_dolmen_found$file ]]; then
            _dolmen_message='it belongs to another user, and is left alone'
            return
        fi
    done
    if [[ -z $_dolmen_text ]]; then
        _dolmen_message='it is not allowed here; look at dolmen.toml, then type: dolmen allow'
        return
    fi
    for file in dolmen.toml dolmen.lock .dolmen/current/{dolmen.toml,dolmen.lock,launch,environ}; do
        [[ ! -f $_dolmen_found/$file ]] || files+=("$file")
    done
    sums=$(builtin cd -qP -- "$_dolmen_found" && exec /usr/bin/sha256sum -- "${files[@]}" 2>/dev/null)$'\n'
    for file in dolmen.toml dolmen.lock; do
        _dolmen_take_sum "$sums" "$file"; here=$_dolmen_sum
        _dolmen_take_sum "$sums" ".dolmen/current/$file"; there=$_dolmen_sum
        _dolmen_take_sum "$_dolmen_text" "$file"; allowed=$_dolmen_sum
        [[ $here == "$there" ]] || differ+="${differ:+ and }$file"
        [[ $here == "$allowed" ]] || changed+="${changed:+ and }$file"
    done
    if [[ ! -d $_dolmen_found/.dolmen/current/bin ]]; then
        if [[ -n $changed ]]; then
            _dolmen_message="$changed changed since it was allowed; look at it, then type: dolmen allow"
        elif [[ -f $_dolmen_found/dolmen.lock ]]; then
            _dolmen_message='nothing is built yet; type: dolmen sync'
        else
            _dolmen_message='nothing is built yet; type: dolmen install'
        fi
        return
    fi
    for file in .dolmen/current/launch .dolmen/current/environ; do
        _dolmen_take_sum "$sums" "$file"; here=$_dolmen_sum
        _dolmen_take_sum "$_dolmen_text" "$file"
        [[ $here == "$_dolmen_sum" ]] || strange=yes
    done
    if [[ -n $strange ]]; then
        _dolmen_message='what is in .dolmen was not built here; type: dolmen sync'
        return
    fi
    _dolmen_verdict=on
    case $differ in
    ('') ;;
    (dolmen.lock)
        _dolmen_message='dolmen.lock changed; what was built before stays until you type: dolmen sync'
        ;;
    (*)
        _dolmen_message="$differ changed; what was built before stays until you type: dolmen install"
        ;;
    esac
}

_dolmen_unload() {
    local bin name old
    [[ -n ${_DOLMEN_DIR-} ]] || return 0
    bin=$_DOLMEN_DIR/.dolmen/bin
    case $PATH in
    ("$bin":*) PATH=${PATH#"$bin":} ;;
    ("$bin") PATH='' ;;
    (*:"$bin":*) PATH=${PATH%%":$bin:"*}:${PATH#*":$bin:"} ;;
    (*:"$bin") PATH=${PATH%":$bin"} ;;
    esac
    for name in ${=_DOLMEN_NAMES-}; do
        _dolmen_may_set "$name" || continue
        old=_DOLMEN_OLD_$name
        if (( ${(P)+old} )); then
            export "$name=${(P)old}"
            unset "$old"
        else
            unset "$name"
        fi
    done
    unset _DOLMEN_DIR _DOLMEN_NAMES
}

_dolmen_load() {
    local entry name
    PATH=$_dolmen_found/.dolmen/bin${PATH:+:$PATH}
    export _DOLMEN_DIR="$_dolmen_found" _DOLMEN_NAMES=''
    [[ -f $_dolmen_found/.dolmen/current/environ ]] || return 0
    while IFS= read -r -d '' entry; do
        name=${entry%%=*}
        _dolmen_may_set "$name" || continue
        if (( ${(P)+name} )); then
            [[ ${(Pt)name} != *readonly* ]] || continue
            export "_DOLMEN_OLD_$name=${(P)name}"
        fi
        export "$name=${entry#*=}"
        _DOLMEN_NAMES+=" $name"
    done <$_dolmen_found/.dolmen/current/environ
}

_dolmen_update() {
    local key
    # Inside an image there is nothing to add.
    if [[ -n ${DOLMEN_ENVIRONMENT-} && -d /run/dolmen ]]; then return; fi
    _dolmen_found=${${PWD:A}%/}
    until [[ -f $_dolmen_found/dolmen.toml || -z $_dolmen_found ]]; do
        _dolmen_found=${_dolmen_found%/*}
    done
    if [[ -z $_dolmen_found && -f /dolmen.toml ]]; then _dolmen_found=/; fi
    if [[ -z $_dolmen_found || $_dolmen_found == "${_DOLMEN_DIRENV-}" ]]; then
        _dolmen_key=''
        _dolmen_unload
        return
    fi
    _dolmen_record='' _dolmen_text=''
    if [[ -n $_dolmen_state ]]; then
        _dolmen_record=$_dolmen_state${_dolmen_found//\//\/=}/sums
        if [[ -f $_dolmen_record && -O $_dolmen_record ]]; then
            IFS= read -r -d '' _dolmen_text <$_dolmen_record
        fi
    fi
    _dolmen_compare_times
    key="$_dolmen_found $_dolmen_times $_dolmen_text"
    [[ $key != "$_dolmen_key" ]] || return 0
    _dolmen_key=$key
    [[ $key == "$_dolmen_seen" ]] || _dolmen_examine
    _dolmen_seen=$key
    _dolmen_unload
    [[ $_dolmen_verdict == off ]] || _dolmen_load
    if [[ -n $_dolmen_message && $_dolmen_said != "$_dolmen_found $_dolmen_message" ]]; then
        _dolmen_take_name
        print -ru2 -- "dolmen: $_dolmen_name: $_dolmen_message"
        _dolmen_said="$_dolmen_found $_dolmen_message"
    fi
}

_dolmen_hook() {
    emulate -L zsh
    (( ZSH_SUBSHELL == 0 )) || return 0
    _dolmen_update
}

_dolmen_show_name() {
    emulate -L zsh
    [[ -n $_dolmen_prompt ]] || return 0
    [[ -z $_dolmen_shown ]] || PS1=${PS1#"$_dolmen_shown"}
    _dolmen_shown=''
    if [[ -n ${_DOLMEN_DIR-} ]]; then
        _dolmen_found=$_DOLMEN_DIR
        _dolmen_take_name
        _dolmen_shown="($_dolmen_name) "
        PS1=$_dolmen_shown$PS1
    fi
}

if [[ -o interactive ]]; then
    typeset -ga precmd_functions chpwd_functions
    # The last ones: others may set PS1.
    precmd_functions=(${precmd_functions:#_dolmen_*} _dolmen_hook _dolmen_show_name)
    chpwd_functions=(${chpwd_functions:#_dolmen_*} _dolmen_hook)
fi
