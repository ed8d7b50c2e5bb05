# Completions of dolmen for bash; written by `dolmen completion bash`.
@TABLE@
_dolmen_offer() {
    case $1 in
    =*) COMPREPLY=($(compgen -W "${1#=}" -- "$cur")) ;;
    directory | file)
        compopt -o filenames 2>/dev/null
        local line flag=-f
        [ "$1" = file ] || flag=-d
        while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen "$flag" -- "$cur")
        ;;
    '' | any) ;;
    *) COMPREPLY=($(compgen -W "$("$program" __values "$1" "$cur" ${directory:+"$directory"} 2>/dev/null)" -- "$cur")) ;;
    esac
}

_dolmen() {
    local cur prev verb='' options values argument passes_on directory='' index word kind program
    local IFS=$' \t\n'
    COMPREPLY=()
    program=${COMP_WORDS[0]/#\~/$HOME}
    cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    # Readline takes --dir=x for three words.
    if [ "$cur" = = ]; then
        cur=''
    elif [ "$prev" = = ] && [ "$COMP_CWORD" -gt 1 ]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    _dolmen_table ''
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        case $word in
        =) continue ;;
        --) ;;
        -*)
            case $'\n'$values in
            *$'\n'"$word:"*)
                [ "${COMP_WORDS[index+1]}" != = ] || index=$((index + 1))
                index=$((index + 1))
                case $word in -C | --dir) directory=${COMP_WORDS[index]} ;; esac
                ;;
            esac
            continue
            ;;
        *)
            if [ -z "$verb" ]; then
                verb=$word options='' values='' argument='' passes_on=''
                _dolmen_table "$verb"
                continue
            fi
            ;;
        esac
        [ -n "$passes_on" ] || continue
        # The rest is a command line of its own.
        [ "$word" != -- ] || index=$((index + 1))
        if [ "$index" -lt "$COMP_CWORD" ]; then
            if declare -F _command_offset >/dev/null; then
                _command_offset "$index"
            else
                _dolmen_offer file
            fi
            return
        fi
        options='' prev=''
        break
    done
    case $'\n'$values in
    *$'\n'"$prev:"*)
        kind=${values#*"$prev:"}
        _dolmen_offer "${kind%%$'\n'*}"
        return
        ;;
    esac
    case $cur in
    -*) COMPREPLY=($(compgen -W "$options" -- "$cur")) ;;
    *)
        if [ -z "$verb" ]; then
            COMPREPLY=($(compgen -W "$_dolmen_verbs" -- "$cur"))
        elif [ -n "$passes_on" ]; then
            _dolmen_offer command
            [ "${#COMPREPLY[@]}" -gt 0 ] || [ -z "$cur" ] || COMPREPLY=($(compgen -c -- "$cur"))
        else
            _dolmen_offer "$argument"
        fi
        ;;
    esac
}
complete -F _dolmen dolmen
