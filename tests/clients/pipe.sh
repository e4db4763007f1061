printf '%s\n' one two | fanlight publish --url "$1" logs/journal
