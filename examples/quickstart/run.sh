#!/usr/bin/env bash
# Founds an alliance of three organizations with three nodes on this machine's loopback. Loads a catalog for each
# member, kills a node in the middle of an import, and shows that all three directories are identical afterwards.
#
#   examples/quickstart/run.sh [--keep] [FILE[,kind=KIND][,key=COLUMN][,name=COLUMN] ...]
#
# --keep leaves the nodes running. Files on the command line replace the illustrative catalogs next to this script;
# the organizations load them in turn.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

keep=no
files=()
for word in "$@"; do
    case $word in
    --keep) keep=yes ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    -*) echo "run.sh: unknown option $word (use --keep, or name files)" >&2; exit 2 ;;
    *)
        [ -r "${word%%,*}" ] || { echo "run.sh: cannot read ${word%%,*}" >&2; exit 2; }
        files+=("$word")
        ;;
    esac
done

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || step() { printf '\n== %s\n' "$*"; }

# --- requirements -----------------------------------------------------------------------------------------------------
"$root/Tests/install-packages.sh"
step "Building hansa (the first time takes some minutes)"
(cd "$root" && swift build -c release --product hansa)
hansa="$(cd "$root" && swift build -c release --show-bin-path)/hansa"

started=$(date +%s)
work=$(mktemp -d "${TMPDIR:-/tmp}/hansa-quickstart.XXXXXX")
pids=(0 0 0)
finish() {
    status=$?
    if [ "$keep" = no ] || [ "$status" -ne 0 ]; then
        for pid in "${pids[@]}"; do [ "$pid" -eq 0 ] || kill "$pid" 2>/dev/null || true; done
        wait 2>/dev/null || true
        rm -rf "$work"
    fi
}
trap finish EXIT

names=("China Aerospace System Engineering" "Hunan Aerospace" "Aerospace Information")
catalogs=(china-aerospace-system-engineering hunan-aerospace aerospace-information)
ports=()
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
}
for _ in 0 1 2; do ports+=("$(free_port)"); done
# One random passphrase protects all keys of this example; it is lost with the folder.
export HANSA_PASSPHRASE="quickstart-$RANDOM$RANDOM$RANDOM"

node() { local index=$1; shift; local verb=$1; shift; "$hansa" "$verb" --data "$work/node$index" "$@"; }
start() {
    "$hansa" run --data "$work/node$1" >>"$work/node$1.log" 2>&1 &
    pids[$1]=$!
    for _ in $(seq 200); do
        if node "$1" status --json 2>/dev/null | grep -q '"running" *: *true'; then return; fi
        sleep 0.05
    done
    echo "the node of ${names[$1]} did not start:" >&2
    cat "$work/node$1.log" >&2
    exit 1
}
digest() { node "$1" status --json | sed -n 's/^ *"digest" *: *"\([0-9a-f]*\)".*/\1/p'; }
records() { node "$1" status --json | sed -n '/^  "records"/s/[^0-9]//gp'; }
converge() {
    local index
    for _ in $(seq 400); do
        local all=yes
        for index in 0 1 2; do node "$index" status --check >/dev/null 2>&1 || all=no; done
        [ "$all" = no ] || return 0
        sleep 0.1
    done
    echo "the nodes did not get in step within 40 seconds:" >&2
    for index in 0 1 2; do node "$index" status >&2; done
    exit 1
}

# --- one alliance, three members -------------------------------------------------------------------------------------
step "Founding the Smart Industry Alliance, with three members on this machine"
node 0 init --alliance "Smart Industry Alliance" --org "${names[0]}" --listen "127.0.0.1:${ports[0]}" >/dev/null 2>&1
start 0
for index in 1 2; do
    node 0 invite --expires 1h >"$work/ticket$index"
    node "$index" join "$work/ticket$index" --org "${names[$index]}" --listen "127.0.0.1:${ports[$index]}" \
        >/dev/null 2>&1
    start "$index"
done
converge
node 0 members

# --- their catalogs ---------------------------------------------------------------------------------------------------
import_file() { # index file kind key name-column
    local map=()
    [ -z "$5" ] || map=(--column "name=$5")
    node "$1" import "$2" --kind "$3" --key "$4" "${map[@]}"
}
if [ ${#files[@]} -gt 0 ]; then
    step "Loading the named files, one organization after the other"
    position=0
    for word in "${files[@]}"; do
        file=${word%%,*}
        kind=resource key= name=
        IFS=, read -ra settings <<<"${word#"$file"}"
        for setting in "${settings[@]}"; do
            case $setting in
            kind=*) kind=${setting#kind=} ;;
            key=*) key=${setting#key=} ;;
            name=*) name=${setting#name=} ;;
            esac
        done
        header=$( (gzip -dcf "$file" 2>/dev/null || true) | head -n 1 | tr -d '\r"')
        case $header in
        \{*) [ -n "$key" ] || { echo "run.sh: name the key of $file: $file,key=MEMBER" >&2; exit 2; } ;;
        *)
            [ -n "$key" ] || key=${header%%,*}
            [ -n "$name" ] || name=$(tr ',' '\n' <<<"$header" | grep -i -m 1 name || true)
            ;;
        esac
        echo "${names[$((position % 3))]} loads $file ($kind, key $key)"
        import_file $((position % 3)) "$file" "$kind" "$key" "$name"
        position=$((position + 1))
    done
else
    step "Loading all members' catalogs at the same time (illustrative: invented for this example)"
    load_catalog() {
        local folder="$here/catalogs/${catalogs[$1]}" kind more
        for kind in capability resource need; do
            local file="$folder/${kind}s.csv" titles=name
            [ "$kind" != capability ] || file="$folder/capabilities.csv"
            [ "$kind" != need ] || titles=title
            case $kind in
            capability) more=(--column deliveryMode=delivery_mode) ;;
            resource)
                more=(--column serviceLevel=service_level --column priceModel=price_model --column leadTime=lead_time_days)
                ;;
            need) more=(--column expiresAt=expires_at) ;;
            esac
            node "$1" import "$file" --kind "$kind" --key code \
                --column "$titles.zh=name_zh" --column "$titles.en=name_en" \
                --column description.zh=description_zh --column description.en=description_en "${more[@]}" \
                >>"$work/import$1.txt" 2>&1 || { cat "$work/import$1.txt" >&2; return 1; }
        done
    }
    loading=()
    for index in 0 1 2; do load_catalog "$index" & loading+=($!); done
    for pid in "${loading[@]}"; do wait "$pid"; done
    for index in 0 1 2; do
        printf '%s\n' "${names[$index]}:"
        sed 's/^/  /' "$work/import$index.txt"
    done
fi
converge

step "China Aerospace System Engineering searches its own node: 振动 (vibration), and pipe networks"
node 0 search 振动 --limit 4
node 0 search "pipe leak" --limit 4

step "Aerospace Information asks its node for its status"
node 2 status

# --- a kill, a node that is down, concurrent edits -------------------------------------------------------------------------
step "Hunan Aerospace imports 20,000 sensors (illustrative), and kill -9 ends its node in the middle"
{
    echo "code,name,note"
    seq -f "HNA-SENSOR-%06.0f,Sensor %.0f,illustrative; invented for this example" 20000 2>/dev/null ||
        awk 'BEGIN { for (i = 1; i <= 20000; i++)
            printf "HNA-SENSOR-%06d,Sensor %d,illustrative; invented for this example\n", i, i }'
} >"$work/sensors.csv"
node 1 import "$work/sensors.csv" --kind resource --key code >"$work/killed.txt" 2>&1 &
importing=$!
before=$(records 1)
for _ in $(seq 500); do
    now=$(records 1 2>/dev/null || echo "$before")
    [ "${now:-0}" -le "$before" ] || break
done
kill -9 "${pids[1]}" 2>/dev/null || true
wait "${pids[1]}" 2>/dev/null || true
pids[1]=0
outcome=0
wait "$importing" || outcome=$?
echo "the import ended with exit code $outcome: $(tail -n 1 "$work/killed.txt")"

step "The others change records while that node is down"
if [ ${#files[@]} -eq 0 ]; then
    node 0 edit "${names[0]}/capability/CASE-CAP-001" "tag+=edited while Hunan Aerospace was away" status=active
    node 2 edit "${names[2]}/capability/AI.C.01" "terms=by agreement; edited while Hunan Aerospace was away"
    node 2 delete "${names[2]}/need/$(node 2 export --kind need --format jsonl --owner "${names[2]}" |
        sed -n '1s/.*"localId":"\([^"]*\)".*/\1/p')"
else
    node 0 edit --create "${names[0]}/notice/while-you-were-away" "title=Written while Hunan Aerospace was away"
fi
node 0 status || true

step "Hunan Aerospace's node comes back, checks its folder, and imports the same file again"
start 1
node 1 verify
node 1 import "$work/sensors.csv" --kind resource --key code
converge

step "The directory on each node"
for index in 0 1 2; do
    printf '  %-36s %6s records  digest %s\n' "${names[$index]}" "$(records "$index")" "$(digest "$index")"
done
for index in 1 2; do node 0 diff "${names[$index]}"; done
[ "$(digest 0)" = "$(digest 1)" ] && [ "$(digest 1)" = "$(digest 2)" ]
echo
echo "All three are identical. It took $(($(date +%s) - started)) seconds."

if [ "$keep" = yes ]; then
    cat <<TEXT

The nodes keep running (logs and data in $work). Try:
  hansa=$hansa
  \$hansa status --data $work/node0
  \$hansa search "remote sensing" --data $work/node1
  \$hansa export --kind need --format csv --data $work/node2
Stop them with: kill ${pids[*]}
TEXT
else
    cat <<TEXT

Next: run it with --keep and query the nodes, or load your own spreadsheet:
  examples/quickstart/run.sh --keep my-equipment.csv,kind=resource,key=ID,name=Name
To found a real alliance, read README.md and Docs/Operators.md.
TEXT
fi
