#!/bin/sh
# The same in shell: GNU parallel starts a job for each row, curl asks, jq reads. Cells hold no comma.
#
#   parallel_curl.sh BASE_URL ROWS_CSV FOLDER CONNECTIONS
set -eu
export base="$1" folder="$3"
mkdir -p "$folder"

exec parallel --colsep , --header : --jobs "$4" --halt now,fail=1 '
  task=$(jq -n --arg prompt "Studio photo of "{title} \
      "{model: \"gemini-3.1-flash-lite-image\", prompt: \$prompt, size: \"1:1\", resolution: \"1K\", n: 1}" |
    curl -fsS -H "Authorization: Bearer sk-benchmark" -H "Content-Type: application/json" \
      --data-binary @- "$base/v1/images/generations" | jq -r ".data[0].task_id") &&
  url=$(curl -fsS -H "Authorization: Bearer sk-benchmark" "$base/v1/tasks/$task" |
    jq -er "select(.data.status == \"completed\").data.result.images[0].url[0]") &&
  curl -fsS -o "$folder"/{sku}.jpg "$url"
' <"$2"
