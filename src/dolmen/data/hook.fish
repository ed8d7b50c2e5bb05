# Dolmen's prompt hook for fish: dolmen hook fish | source, in ~/.config/fish/config.fish.
#
# Before each prompt, and after each cd, it looks where the shell is. In a directory that was
# allowed, the environment's commands are put in front of PATH and its variables are set; outside,
# both are taken back. It runs builtins only, but for one sha256sum(1) when a directory is entered
# or a file in it has changed. Names of directories and contents of files are never evaluated. What
# is loaded stands in exported variables, so that a shell started inside can take it back too.

# Whether $argv[1] may be set in this shell; the rest of what an environment declares is set inside.
function _dolmen_may_set
    string match -qr '\A[A-Za-z][A-Za-z0-9_]*\z' -- $argv[1]; or return 1
    switch $argv[1]
        case PATH IFS ENV HOME SHELL PWD OLDPWD 'LD_*' 'BASH*' 'PS?' PROMPT_COMMAND 'DOLMEN_*' \
                'DIRENV_*' status history version argv fish_pid pipestatus hostname umask 'fish_*'
            return 1
    end
end

# The digest of a file in lines as sha256sum(1) writes them: FILE LINE…
function _dolmen_sum
    for line in $argv[2..-1]
        if string match -q -- "*  $argv[1]" $line
            string sub -l 64 -- $line
            return
        end
    end
    echo -
end

# The name of a directory for people: no character that a terminal or a prompt would act upon.
function _dolmen_name
    set -l name
    string match -qr '(?<name>[^/]*)\z' -- $argv[1]
    set name (string replace -ar '[^A-Za-z0-9._+-]' - -- "$name")
    test -n "$name"; and string sub -l 64 -- "$name"; or echo dolmen
end

# Whether $dir may be loaded, by the record $text: sets _dolmen_verdict and _dolmen_message.
function _dolmen_examine --no-scope-shadowing
    set -g _dolmen_verdict off
    set -g _dolmen_message ''
    if string match -q '*:*' -- $dir
        set -g _dolmen_message 'its path has a colon, so it cannot be on PATH'
        return
    end
    for file in '' /dolmen.toml /.dolmen
        if test -e $dir$file; and not test -O $dir$file
            set -g _dolmen_message 'it belongs to another user, and is left alone'
            return
        end
    end
    if test -z "$text"
        set -g _dolmen_message 'it is not allowed here; look at dolmen.toml, then type: dolmen allow'
        return
    end
    set -l files
    for file in dolmen.toml dolmen.lock .dolmen/current/{dolmen.toml,dolmen.lock,launch,environ}
        test -f $dir/$file; and set -a files $file
    end
    set -l sums (/usr/bin/env -C $dir /usr/bin/sha256sum -- $files 2>/dev/null)
    set -l record (string split \n -- $text)
    set -l differ
    set -l changed
    for file in dolmen.toml dolmen.lock
        set -l here (_dolmen_sum $file $sums)
        test $here = (_dolmen_sum .dolmen/current/$file $sums); or set -a differ $file
        test $here = (_dolmen_sum $file $record); or set -a changed $file
    end
    if not test -d $dir/.dolmen/current/bin
        if set -q changed[1]
            set -g _dolmen_message (string join ' and ' -- $changed)' changed since it was allowed; look at it, then type: dolmen allow'
        else if test -f $dir/dolmen.lock
            set -g _dolmen_message 'nothing is built yet; type: dolmen sync'
        else
            set -g _dolmen_message 'nothing is built yet; type: dolmen install'
        end
        return
    end
    for file in .dolmen/current/launch .dolmen/current/environ
        if test (_dolmen_sum $file $sums) != (_dolmen_sum $file $record)
            set -g _dolmen_message 'what is in .dolmen was not built here; type: dolmen sync'
            return
        end
    end
    set -g _dolmen_verdict on
    switch "$differ"
        case ''
        case dolmen.lock
            set -g _dolmen_message 'dolmen.lock changed; what was built before stays until you type: dolmen sync'
        case '*'
            set -g _dolmen_message (string join ' and ' -- $differ)' changed; what was built before stays until you type: dolmen install'
    end
end

function _dolmen_unload
    set -q _DOLMEN_DIR; or return 0
    if set -l place (contains -i -- $_DOLMEN_DIR/.dolmen/bin $PATH)
        set -e PATH[$place]
    end
    for name in (string split -n ' ' -- "$_DOLMEN_NAMES")
        _dolmen_may_set $name; or continue
        set -l old _DOLMEN_OLD_$name
        set -eg $name
        if set -q $old
            set -gx $name $$old
            set -e $old
        end
    end
    set -e _DOLMEN_DIR
    set -e _DOLMEN_NAMES
end

function _dolmen_load
    set -gx PATH $argv[1]/.dolmen/bin $PATH
    set -gx _DOLMEN_DIR $argv[1]
    set -gx _DOLMEN_NAMES ''
    test -f $argv[1]/.dolmen/current/environ; or return 0
    for entry in (string split0 <$argv[1]/.dolmen/current/environ)
        set -l name
        set -l value
        string match -qr '\A(?<name>[A-Za-z0-9_]+)=(?<value>(?s:.*))\z' -- $entry; or continue
        _dolmen_may_set $name; or continue
        if set -qg $name
            set -gx _DOLMEN_OLD_$name "$$name"
        end
        set -gx $name $value
        set _DOLMEN_NAMES "$_DOLMEN_NAMES $name"
    end
end

function _dolmen_hook --on-event fish_prompt --on-variable PWD
    # Inside an image there is nothing to add.
    if set -q DOLMEN_ENVIRONMENT; and test -d /run/dolmen
        return
    end
    set -l dir (path resolve -Z -- $PWD | string split0)
    test "$dir" = /; and set dir ''
    while not test -f $dir/dolmen.toml; and test -n "$dir"
        string match -qr '\A(?<dir>(?s:.*))/[^/]*\z' -- $dir; or set dir ''
    end
    if test -z "$dir"; and test -f /dolmen.toml
        set dir /
    end
    if test -z "$dir"; or test "$dir" = "$_DOLMEN_DIRENV"
        set -g _dolmen_key ''
        _dolmen_unload
        return
    end
    set -l record ''
    set -l text ''
    if test -n "$_dolmen_state"
        set record $_dolmen_state(string replace -a / /= -- $dir | string collect -a)/sums
        if test -f $record; and test -O $record
            read -z text <$record
        end
    end
    # Which of the files here are newer or older than what was built of them, and than the record:
    # as long as this stays as it was, nothing needs to be read again.
    set -l times ''
    for file in dolmen.toml dolmen.lock
        if not test -f $dir/$file
            set times $times-
            continue
        end
        if test $dir/$file -nt $dir/.dolmen/current/$file
            set times $times"n"
        else if test $dir/$file -ot $dir/.dolmen/current/$file
            set times $times"o"
        else
            set times $times"e"
        end
        test -n "$record"; and test $dir/$file -nt $record; and set times $times+
    end
    for file in launch environ
        test -n "$record"; and test $dir/.dolmen/current/$file -nt $record; and set times $times$file
    end
    set -l key "$dir $times $text"
    test "$key" = "$_dolmen_key"; and return
    set -g _dolmen_key $key
    test "$key" = "$_dolmen_seen"; or _dolmen_examine
    set -g _dolmen_seen $key
    _dolmen_unload
    test $_dolmen_verdict = on; and _dolmen_load $dir
    if test -n "$_dolmen_message"; and test "$_dolmen_said" != "$dir $_dolmen_message"
        printf 'dolmen: %s: %s\n' (_dolmen_name $dir) $_dolmen_message >&2
        set -g _dolmen_said "$dir $_dolmen_message"
    end
end

set -g _dolmen_key ''
set -g _dolmen_seen ''
set -g _dolmen_said ''
if string match -q '/*' -- "$XDG_STATE_HOME"
    set -g _dolmen_state $XDG_STATE_HOME/dolmen/allowed
else if string match -q '/*' -- "$HOME"
    set -g _dolmen_state $HOME/.local/state/dolmen/allowed
else
    set -g _dolmen_state ''
end
# Prompt: with `dolmen hook fish --prompt` the name stands before whatever fish_prompt shows.
function _dolmen_wrap_prompt
    functions -q _dolmen_inner_prompt; and return
    functions -q fish_prompt; or return
    functions -c fish_prompt _dolmen_inner_prompt
    function fish_prompt
        set -l code $status
        if set -q _DOLMEN_DIR
            printf '(%s) ' (_dolmen_name $_DOLMEN_DIR)
        end
        # What the prompt shows of the last command's code must be that command's.
        _dolmen_status $code
        _dolmen_inner_prompt
    end
    function _dolmen_status
        return $argv[1]
    end
end
