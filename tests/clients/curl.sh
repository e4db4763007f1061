#!/bin/bash
# curl.sh BASE TRANSPORT TOPIC CURSOR: prints events, one a line.
base=$1 transport=$2 topic=$3 cursor=$4

# The cursor behind the last event of what curl got.
while :; do
    case $transport in
    poll | longpoll)
        # A body that was cut is not used: curl says so by its status.
        if answer=$(curl -fsS "$base/v1/$transport?topic=$topic&after=$cursor"); then
            jq -c '.events[]?' <<<"$answer"
            cursor=$(jq -r --arg cursor "$cursor" '.cursor // $cursor' <<<"${answer:-{\}}")
        fi
        ;;
    chunked)
        while read -r line; do # read fails on a line without its end, so a cut event is left out
            case $line in
            '{"id":'*)
                printf '%s\n' "$line"
                cursor=$(jq -r .id <<<"$line")
                ;;
            esac
        done < <(curl -fsSN "$base/v1/chunked?topic=$topic&after=$cursor")
        ;;
    sse)
        data=
        while read -r line; do
            case $line in
            'data: {"id":'*) data=${line#data: } ;;
            '') # the empty line is what completes an event
                if [ -n "$data" ]; then
                    printf '%s\n' "$data"
                    cursor=$(jq -r .id <<<"$data")
                    data=
                fi
                ;;
            esac
        done < <(curl -fsSN -H "Last-Event-ID: $cursor" "$base/v1/sse?topic=$topic")
        ;;
    esac
    sleep 0.1
done
