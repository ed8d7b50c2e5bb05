#compdef dolmen
# Completions of dolmen for zsh; written by `dolmen completion zsh`.
local -a _dolmen_verbs
@TABLE@
_dolmen_values() {
    local directory=${opt_args[-C]:-${opt_args[--dir]}}
    local -a found
    found=(${(f)"$($_dolmen_program __values $1 "$PREFIX" ${directory:+$directory} 2>/dev/null)"})
    compadd -- $found
}

_dolmen() {
    local curcontext=$curcontext context state state_descr line rest='' passes_on='' _dolmen_program=$words[1]
    local -a specs
    local -A opt_args
    _dolmen_program=${_dolmen_program/#\~/$HOME}
    _dolmen_table ''
    _arguments -C -S $specs '(-): :->verb' '(-)*:: :->arguments' && return
    case $state in
    (verb) _describe command _dolmen_verbs ;;
    (arguments)
        local verb=$words[1]
        specs=()
        _dolmen_table "$verb"
        _dolmen_arguments "$verb"
        if [[ -n $passes_on ]]; then
            # What follows our own options is a command line of its own.
            local index=2
            while (( index < CURRENT )); do
                case $words[index] in
                (--) (( index++ )); break ;;
                (-*)
                    (( ${specs[(I)\*${words[index]}(=|)\[*\]:value:*]} == 0 )) || (( index++ ))
                    (( index++ ))
                    ;;
                (*) break ;;
                esac
            done
            if (( index < CURRENT )); then
                shift $(( index - 1 )) words
                (( CURRENT -= index - 1 ))
                _normal
            elif [[ $words[CURRENT-1] == -- ]]; then
                _dolmen_values command
            else
                _arguments -S $specs $rest
            fi
        else
            _arguments -S $specs ${rest:+$rest}
        fi
        ;;
    esac
}

if [[ $funcstack[1] == _dolmen ]]; then
    _dolmen "$@"
else
    compdef _dolmen dolmen
fi
