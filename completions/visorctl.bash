# Completion of visorctl for bash: visorctl itself says what fits.
#
# bash takes every `:` for the end of a word, and names of programs have them: words without a blank between are put
# together before visorctl is asked, and what bash keeps of the last one is cut from the answers.
_visorctl() {
    local line="${COMP_LINE:0:COMP_POINT}" i word
    local -a words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        if ((i > 0)) && [[ $line != [[:space:]]* ]]; then
            ((i < COMP_CWORD)) || word="$line"
            words[${#words[@]} - 1]+="$word"
        else
            line="${line#"${line%%[![:space:]]*}"}"
            ((i < COMP_CWORD)) || word="$line"
            words+=("$word")
        fi
        line="${line#"$word"}"
    done
    local last="${words[${#words[@]} - 1]}" kept=""
    if [[ $last == *[:=]* && $COMP_WORDBREAKS == *:* ]]; then
        kept="${last%"${last##*[:=]}"}"
    fi
    local IFS=$'\013'
    COMPREPLY=($(
        _CLAP_IFS="$IFS" _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) _CLAP_COMPLETE_SPACE=false \
            COMPLETE=bash visorctl -- "${words[@]}" 2>/dev/null
    ))
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[:=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o bashdefault -F _visorctl visorctl
