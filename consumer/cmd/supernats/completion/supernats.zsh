#compdef supernats
# zsh completion of supernats
_supernats() {
    local line word
    local -a described plain
    local files=""
    while IFS= read -r line; do
        word=${line%%$'\t'*}
        if [[ $line == ":files" ]]; then
            files=1
        elif [[ $line == *$'\t'* ]]; then
            described+=("${word//:/\\:}:${line#*$'\t'}")
        else
            plain+=("$word")
        fi
    done < <("${(Q)words[1]}" __complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    (( $#described )) && _describe -t values supernats described
    (( $#plain )) && compadd -a plain
    [[ -n $files ]] && _files
    return 0
}
if [[ ${funcstack[1]} == _supernats ]]; then
    _supernats "$@"
else
    compdef _supernats supernats
fi
