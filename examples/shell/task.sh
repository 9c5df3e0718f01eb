#!/bin/sh
# A task service as a shell script: it is run once for every request, in the folder where everything is kept, with
# ACTION, TASK, RELEASE and STUDIES ("study address" on each line) in its environment. It prints the task's state and
# progress; exit status 4 means that there is no such task, and 3 that what is asked cannot be done now.
#
# A task is a folder, and its state is the folder that it is in: `mv` is one step, and of two that try only one succeeds.
set -eu

LINE="pending running staged publishing published failed canceled"
mkdir -p public work progress releases
for state in $LINE; do mkdir -p "tasks/$state"; done

where() {
    for state in $LINE; do
        if [ -d "tasks/$state/$TASK" ]; then echo "$state"; return; fi
    done
}

move() { mv "tasks/$1/$TASK" "tasks/$2/$TASK" 2>/dev/null; }

refuse() { echo "$2" >&2; exit "$1"; }

show() {
    now=$(where)
    case $now in
        staged | published) echo "$now 100" ;;
        running) echo "$now $(cat "progress/$TASK")" ;;
        *) echo "$now 0" ;;
    esac
}

# The work itself, which goes on when the request has been answered.
stage() {
    total=$(printf '%s' "$STUDIES" | wc -l)
    fetched=0
    while read -r study url; do
        if ! curl -fsS --max-time 30 -o "work/$TASK/$study.json" "$url"; then
            move running failed || true
            rm -rf "work/$TASK"
            return
        fi
        fetched=$((fetched + 1))
        echo $((100 * fetched / total)) >"progress/$TASK.next"
        mv "progress/$TASK.next" "progress/$TASK"
    done <<STUDIES
$(printf '%s' "$STUDIES")
STUDIES
    move running staged || rm -rf "work/$TASK"
}

state=$(where)
if [ -z "$state" ]; then
    case $ACTION in
        initialize)
            echo "$RELEASE" >"releases/$TASK"
            echo 0 >"progress/$TASK"
            mkdir "tasks/pending/$TASK"
            show
            exit
            ;;
        *) refuse 4 "there is no task $TASK here" ;;
    esac
fi
[ "$(cat "releases/$TASK")" = "$RELEASE" ] || refuse 3 "task $TASK belongs to another release"

case $ACTION:$state in
    get_status:* | cancel:published | cancel:canceled | cancel:failed) ;;
    cancel:*)
        move "$state" canceled || move staged canceled || true
        rm -rf "work/$TASK"
        ;;
    *:failed | *:canceled) refuse 3 "task $TASK is $state" ;;
    initialize:*) ;;
    start:pending)
        mkdir -p "work/$TASK"
        move pending running
        (stage) </dev/null >/dev/null 2>&1 &
        ;;
    start:*) ;;
    publish:staged)
        move staged publishing
        mv "work/$TASK" "public/$RELEASE"
        move publishing published
        ;;
    publish:publishing | publish:published) ;;
    publish:*) refuse 3 "task $TASK is $state; only what is staged can be published" ;;
esac
show
