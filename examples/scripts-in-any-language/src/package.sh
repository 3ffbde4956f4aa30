# usage: sh package.sh MODEL ARCHIVE
# The model as one compressed archive, for a place that takes files.
set -eu
tar -cf - -C "$1" . | gzip -n > "$2"
printf '{"type":"note","text":"%s bytes"}\n' "$(wc -c < "$2" | tr -d ' ')" >> "$ESPALIER_EVENTS"
