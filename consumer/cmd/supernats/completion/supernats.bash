# bash completion of supernats
_supernats() {
    local line word IFS=$'\n'
    local -a words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    local current=${COMP_WORDS[COMP_CWORD]}
    # bash divides --flag=value into three words.
    if [ "$current" = "=" ]; then current=""; words+=(""); fi
    COMPREPLY=()
    while IFS= read -r line; do
        if [ "$line" = ":files" ]; then
            compopt -o filenames 2>/dev/null
            COMPREPLY+=($(compgen -f -- "$current"))
            continue
        fi
        printf -v word %q "${line%%$'\t'*}"
        COMPREPLY+=("$word")
    done < <("${COMP_WORDS[0]}" __complete -- "${words[@]}" 2>/dev/null)
}
complete -F _supernats supernats
