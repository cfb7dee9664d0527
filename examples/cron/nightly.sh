#!/bin/sh
# Runs one spec from cron and speaks only when somebody should look: cron mails what it prints.
#
#   nightly.sh SPEC [options of the run]
#
# The exit code is that of the run, so that a monitor can read it as well.
set -u

if [ "$#" -lt 1 ]; then
    echo "usage: $0 SPEC [options of the run]" >&2
    exit 2
fi
spec=$1
shift

said=$(banana-batch run "$spec" --quiet "$@" 2>&1)
code=$?

case $code in
    0) ;;                         # everything is there
    4) ;;                         # an earlier run still works on it: nothing to worry about
    5) ;;                         # out of time or out of reach: the next run goes on
    130 | 143) ;;                 # somebody stopped it, or the machine went down: so does that
    1) echo "$spec: some images could not be made" ;;
    2) echo "$spec: the spec or the command line is wrong; nothing was sent" ;;
    3) echo "$spec: stopped for the key, the balance or the cost limit" ;;
    127) echo "$spec: this is not on PATH ($PATH): banana-batch" ;;
    *) echo "$spec: ended with exit code $code" ;;
esac
case $code in
    0 | 4 | 5 | 130 | 143) ;;
    *) printf '%s\n' "$said" ;;
esac
exit "$code"
