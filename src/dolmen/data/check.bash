# Dolmen, for bash: which environment a directory belongs to, and whether it may be loaded.
# Shared by the prompt hook (hook.bash) and by direnv (direnv.bash). Nothing here is evaluated but
# this text itself: names of directories and contents of files are data throughout.

# The directory with the records of `dolmen allow`; nothing is allowed where there is no home.
_dolmen_records() {
    case ${XDG_STATE_HOME-} in
    /*) _dolmen_state=$XDG_STATE_HOME/dolmen/allowed ;;
    *)
        case ${HOME-} in
        /*) _dolmen_state=$HOME/.local/state/dolmen/allowed ;;
        *) _dolmen_state='' ;;
        esac
        ;;
    esac
}

# The nearest directory with a manifest from $1 (a physical path) upwards, in _dolmen_found.
_dolmen_nearest() {
    _dolmen_found=${1%/}
    until [ -f "$_dolmen_found/dolmen.toml" ]; do
        [ -n "$_dolmen_found" ] || return 0
        _dolmen_found=${_dolmen_found%/*}
    done
    [ -n "$_dolmen_found" ] || _dolmen_found=/
}

# The text of the record of _dolmen_found; its place is the path, /home/me as /=home/=me.
_dolmen_read_record() {
    _dolmen_record='' _dolmen_text=''
    [ -n "$_dolmen_state" ] || return 0
    _dolmen_record=$_dolmen_state${_dolmen_found//\//\/=}/sums
    [ ! -f "$_dolmen_record" ] || [ ! -O "$_dolmen_record" ] ||
        IFS= read -r -d '' _dolmen_text <"$_dolmen_record" || :
}

# Which of the files here are newer or older than what was built of them, and than the record: as
# long as this stays as it was, nothing needs to be read again.
_dolmen_compare_times() {
    local file
    _dolmen_times=''
    for file in dolmen.toml dolmen.lock; do
        if [ ! -f "$_dolmen_found/$file" ]; then
            _dolmen_times+=-
            continue
        fi
        if [ "$_dolmen_found/$file" -nt "$_dolmen_found/.dolmen/current/$file" ]; then
            _dolmen_times+=n
        elif [ "$_dolmen_found/$file" -ot "$_dolmen_found/.dolmen/current/$file" ]; then
            _dolmen_times+=o
        else
            _dolmen_times+=e
        fi
        [ ! "$_dolmen_found/$file" -nt "$_dolmen_record" ] || _dolmen_times+=+
    done
    for file in launch environ; do
        [ ! "$_dolmen_found/.dolmen/current/$file" -nt "$_dolmen_record" ] || _dolmen_times+="$file"
    done
}

# The digest of file $2 in $1, lines as sha256sum(1) writes them; in _dolmen_sum.
_dolmen_take_sum() {
    _dolmen_sum=''
    case $'\n'$1 in
    *"  $2"$'\n'*)
        _dolmen_sum=$'\n'$1
        _dolmen_sum=${_dolmen_sum%%"  $2"$'\n'*}
        _dolmen_sum=${_dolmen_sum##*$'\n'}
        ;;
    esac
}

# The name of _dolmen_found for people: no character that a terminal or a prompt would act upon.
_dolmen_take_name() {
    _dolmen_name=${_dolmen_found##*/}
    _dolmen_name=${_dolmen_name//[!A-Za-z0-9._+-]/-}
    _dolmen_name=${_dolmen_name:0:64}
    [ -n "$_dolmen_name" ] || _dolmen_name=dolmen
}

# Whether _dolmen_found may be loaded: _dolmen_verdict is "on" or "off", _dolmen_message what to say.
_dolmen_examine() {
    local IFS=$' \t\n' file sums differ='' strange='' changed=''
    local -a files=()
    _dolmen_verdict=off _dolmen_message=''
    case $_dolmen_found in
    *:*)
        _dolmen_message='its path has a colon, so it cannot be on PATH'
        return 0
        ;;
    esac
    for file in "" /dolmen.toml /.dolmen; do
        if [ -e "$_dolmen_found$file" ] && [ ! -O "$_dolmen_found$file" ]; then
            _dolmen_message='it belongs to another user, and is left alone'
            return 0
        fi
    done
    if [ -z "$_dolmen_text" ]; then
        _dolmen_message='it is not allowed here; look at dolmen.toml, then type: dolmen allow'
        return 0
    fi
    # No braces: their expansion can be switched off (set +B).
    for file in dolmen.toml dolmen.lock .dolmen/current/dolmen.toml .dolmen/current/dolmen.lock \
        .dolmen/current/launch .dolmen/current/environ; do
        [ ! -f "$_dolmen_found/$file" ] || files+=("$file")
    done
    sums=$(builtin cd -P -- "$_dolmen_found" >/dev/null 2>&1 &&
        exec /usr/bin/sha256sum -- "${files[@]}" 2>/dev/null)$'\n'
    local here there allowed
    for file in dolmen.toml dolmen.lock; do
        _dolmen_take_sum "$sums" "$file"
        here=$_dolmen_sum
        _dolmen_take_sum "$sums" ".dolmen/current/$file"
        there=$_dolmen_sum
        _dolmen_take_sum "$_dolmen_text" "$file"
        allowed=$_dolmen_sum
        [ "$here" = "$there" ] || differ+="${differ:+ and }$file"
        [ "$here" = "$allowed" ] || changed+="${changed:+ and }$file"
    done
    if [ ! -d "$_dolmen_found/.dolmen/current/bin" ]; then
        if [ -n "$changed" ]; then
            _dolmen_message="$changed changed since it was allowed; look at it, then type: dolmen allow"
        elif [ -f "$_dolmen_found/dolmen.lock" ]; then
            _dolmen_message='nothing is built yet; type: dolmen sync'
        else
            _dolmen_message='nothing is built yet; type: dolmen install'
        fi
        return 0
    fi
    for file in .dolmen/current/launch .dolmen/current/environ; do
        _dolmen_take_sum "$sums" "$file"
        here=$_dolmen_sum
        _dolmen_take_sum "$_dolmen_text" "$file"
        [ "$here" = "$_dolmen_sum" ] || strange=yes
    done
    if [ -n "$strange" ]; then
        _dolmen_message='what is in .dolmen was not built here; type: dolmen sync'
        return 0
    fi
    _dolmen_verdict=on
    case $differ in
    '') ;;
    dolmen.lock)
        _dolmen_message='dolmen.lock changed; what was built before stays until you type: dolmen sync'
        ;;
    *)
        _dolmen_message="$differ changed; what was built before stays until you type: dolmen install"
        ;;
    esac
}

# Whether $1 may be set in this shell; the rest of what an environment declares is set inside only.
_dolmen_may_set() {
    case $1 in
    '' | [0-9]* | *[!A-Za-z0-9_]*) return 1 ;;
    _* | PATH | IFS | ENV | HOME | SHELL | PWD | OLDPWD | LD_* | BASH* | PS[0-4] | PROMPT_COMMAND | \
        DOLMEN_* | DIRENV_*) return 1 ;;
    esac
}

# Take back what the prompt hook of this or of an outer shell has loaded; the rest of PATH stays.
_dolmen_unload() {
    local IFS=$' \t\n' bin name old
    [ -n "${_DOLMEN_DIR-}" ] || return 0
    bin=$_DOLMEN_DIR/.dolmen/bin
    case ${PATH-} in
    "$bin":*) PATH=${PATH#"$bin":} ;;
    "$bin") PATH='' ;;
    *:"$bin":*) PATH=${PATH%%":$bin:"*}:${PATH#*":$bin:"} ;;
    *:"$bin") PATH=${PATH%":$bin"} ;;
    esac
    # Splitting only: a name with a star in it would be no name.
    for name in ${_DOLMEN_NAMES-}; do
        _dolmen_may_set "$name" || continue
        old=_DOLMEN_OLD_$name
        if [ -n "${!old+set}" ]; then
            builtin export "$name=${!old}"
            builtin unset -v "$old"
        else
            builtin unset -v "$name"
        fi
    done
    builtin unset -v _DOLMEN_DIR _DOLMEN_NAMES
}
