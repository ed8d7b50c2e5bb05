# Completions of dolmen for fish; written by `dolmen completion fish`.
complete -c dolmen -f

# The words so far without options and their values: the verb first.
function _dolmen_words
    set -l skip
    for word in (commandline -opc)[2..-1]
        if set -q skip[1]
            set -e skip
            continue
        end
        switch $word
            case -C --dir --store --color -p --package --suite
                set skip yes
            case '-*'
            case '*'
                printf '%s\n' $word
        end
    end
end

function _dolmen_at
    set -l words (_dolmen_words)
    test "$words[1]" = $argv[1]
end

function _dolmen_values
    set -l tokens (commandline -opc)
    set -l directory
    for index in (seq (count $tokens))
        contains -- $tokens[$index] -C --dir; and set directory $tokens[(math $index + 1)]
    end
    set -l program $tokens[1]
    $program __values $argv[1] (commandline -ct | string replace -r '^--[a-z]+=' '' | string collect -a) $directory 2>/dev/null
end

function _dolmen_passed_on
    set -l words (_dolmen_words)
    if test (count $words) -lt 2
        _dolmen_values command
    else
        # The rest is a command line of its own.
        set -l tokens (commandline -opc)
        set -l from (contains -i -- $words[2] $tokens)
        complete -C (string join ' ' -- (string escape -- $tokens[$from..-1]) (commandline -ct))
    end
end

@TABLE@
