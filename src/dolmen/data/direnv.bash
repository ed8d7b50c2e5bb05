# Dolmen for direnv: `use dolmen [DIR]` in an .envrc.
#
# Beside direnv's own `allow` of the .envrc, the directory needs `dolmen allow`: direnv knows nothing
# of what the manifest, the lock and the launchers hold.
use_dolmen() {
    local _dolmen_found _dolmen_state _dolmen_record _dolmen_text _dolmen_times _dolmen_sum \
        _dolmen_name _dolmen_verdict _dolmen_message entry name
    _dolmen_found=$(builtin cd -P -- "${1:-.}" 2>/dev/null && builtin pwd -P && builtin printf x)
    if [ -z "$_dolmen_found" ]; then
        log_error 'dolmen: there is no such directory'
        return 0
    fi
    _dolmen_nearest "${_dolmen_found%$'\n'x}"
    if [ -z "$_dolmen_found" ]; then
        log_error 'dolmen: there is no dolmen.toml here; type: dolmen init'
        return 0
    fi
    _dolmen_records
    _dolmen_read_record
    _dolmen_examine
    _dolmen_take_name
    watch_file "$_dolmen_found/dolmen.toml" "$_dolmen_found/dolmen.lock" \
        "$_dolmen_found/.dolmen/current/generation.json" ${_dolmen_record:+"$_dolmen_record"}
    [ -z "$_dolmen_message" ] || log_error "dolmen: $_dolmen_name: $_dolmen_message"
    [ "$_dolmen_verdict" = on ] || return 0
    # Where the prompt hook was first, direnv takes over; all that the hook knows is in variables,
    # which direnv puts back when it leaves.
    _dolmen_unload
    export _DOLMEN_DIRENV="$_dolmen_found"
    PATH_add "$_dolmen_found/.dolmen/bin"
    [ -f "$_dolmen_found/.dolmen/current/environ" ] || return 0
    while IFS= read -r -d '' entry; do
        name=${entry%%=*}
        _dolmen_may_set "$name" || continue
        export "$name=${entry#*=}"
    done <"$_dolmen_found/.dolmen/current/environ"
}
