#!/usr/bin/env bash
# Rebuilds the golden data folder: the files of a node of this format version. Run it only when the format version
# changes; until then every later program must read the committed folder.
#
#   Tests/Golden/make.sh PATH-OF-HANSA
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
hansa=$(realpath "${1:?the path of the hansa program}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HANSA_PASSPHRASE="golden"

run() { "$hansa" "$1" --data "$work/node" "${@:2}" >/dev/null; }
run init --alliance "Golden Alliance" --org "Golden Works" --listen 127.0.0.1:4267
cat >"$work/resources.csv" <<'CSV'
code,name.zh,name.en,tags,capacity,note
0007,振动试验台,Vibration table,振动;test,"1,000 kg","illustrative; invented
for this test"
19E7,管网检测车,Pipe inspection vehicle,管网,,illustrative
a/b,遥感影像,Remote sensing images,遥感;data set,12 TB,illustrative
gone,将被删除,To be deleted,,,illustrative
CSV
run import "$work/resources.csv" --kind resource --key code
printf '{"id":"n-1","title":{"zh":"需要振动试验","en":"Vibration test wanted"},"quantity":2,"urgent":true,"window":{"from":"2027-01-01"}}\n' \
    >"$work/needs.jsonl"
run import "$work/needs.jsonl" --kind need --key id
run edit "Golden Works/resource/0007" "status=active" "tag+=edited" "tag-=test"
run edit "Golden Works/resource/0007" "status=suspended"
run delete "Golden Works/resource/gone"
run verify --deep

rm -rf "$here/node"
mkdir "$here/node"
# One file: the last command closed the folder, which copied the write-ahead log into the database.
cp "$work/node/"{directory.sqlite,node.key,organization.key,config.json} "$here/node/"
"$hansa" status --data "$work/node" --json | grep -E '^  "(digest|records)"' | tr -d ' ,' | sort >"$here/expected.txt"
cat "$here/expected.txt"
