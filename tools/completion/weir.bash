# Completion of weir for bash. The command itself tells what a word can become, from the tables that it parses by.
# shellcheck shell=bash

# Splits what is typed up to the cursor at blanks, as the shell would, into `words`, without their quotes; COMP_WORDS
# is split at '=' and ':' too. `start` becomes where in the last word, without quotes, what bash replaces begins; `quote`
# the quote that is open there.
_weir_split() {
    local line=${COMP_LINE:0:COMP_POINT} word='' begun='' c i
    words=() start=0 quote=''
    for ((i = 0; i < ${#line}; i++)); do
        c=${line:i:1}
        if [[ $quote ]]; then
            if [[ $c == "$quote" ]]; then quote='' start=${#word}; else word+=$c; fi
        elif [[ $c == [\'\"] ]]; then
            quote=$c begun=yes start=${#word}
        elif [[ $c == \\ ]]; then
            i=$((i + 1)) word+=${line:i:1} begun=yes
        elif [[ $c == [[:blank:]] ]]; then
            [[ $begun ]] && words+=("$word")
            word='' begun='' start=0
        else
            word+=$c begun=yes
            [[ $COMP_WORDBREAKS == *"$c"* ]] && start=${#word}
        fi
    done
    words+=("$word")
}

_weir() {
    local words start quote line files='' more='' weir=${1/#\~/$HOME}
    _weir_split
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
        :files) files=yes ;;
        :more) more=yes ;;
        *)
            line=${line%%$'\t'*}
            [[ $line == *= ]] && more=yes
            COMPREPLY+=("${line:start}")
            ;;
        esac
    done < <("$weir" --complete "${words[@]:1}" 2>/dev/null)
    [[ $more ]] && compopt -o nospace
    # A quote would be closed behind the only word that there is.
    [[ $more && $quote && ${#COMPREPLY[@]} == 1 ]] && COMPREPLY+=("${COMPREPLY[0]} ")
    if [[ $files && ${#COMPREPLY[@]} == 0 ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "${words[-1]:start}")
    fi
}

complete -F _weir weir
