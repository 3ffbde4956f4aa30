# usage: sh ingest.sh FILE COPY VERSION
# Versions a file by its content: what it is, said as a small JSON document that later steps and people can read.
set -eu
cp "$1" "$2"
if command -v sha256sum > /dev/null; then digest=$(sha256sum < "$1"); else digest=$(shasum -a 256 < "$1"); fi
bytes=$(wc -c < "$1" | tr -d ' ')
printf '{"sha256":"%s","bytes":%s}\n' "${digest%% *}" "$bytes" > "$3"
printf '{"type":"metric","key":"bytes","value":%s}\n' "$bytes" >> "$ESPALIER_EVENTS"
