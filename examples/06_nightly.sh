# sh examples/06_nightly.sh MODEL   (local, or any model on OpenRouter; from cron the same, with whole paths)
#
# A job that nobody watches: every text in INBOX becomes a line of invoices.csv. Each run has a budget (06_nightly.toml),
# the night has one too, and the exit code of a run says what to do about it.
set -u

here=$(cd "$(dirname "$0")" && pwd)
model=${1:-${OUTRIDER_MODEL:-qwen/qwen3-14b}}
inbox=${INBOX:-$here/inbox}
budget=${BUDGET:-0.10} # US dollars for the whole night
spent=0
worst=0

# Something of the report that outrider run --json prints: an expression in Python, or jq if you have it.
of_report() {
    echo "$report" | python3 -c "import json, sys; report = json.load(sys.stdin); print($1)"
}

for text in "$inbox"/*.txt; do
    if awk "BEGIN { exit !($spent >= $budget) }"; then
        echo "the night's budget is used up before $text" >&2
        worst=4
        break
    fi

    report=$(outrider run "$here/06_nightly.toml" --model "$model" --var text=@"$text" --json --quiet)
    code=$?
    # where nothing was begun, nothing would be for the other texts; it has said why
    [ "$(of_report 'report["run"]')" != None ] || exit "$code"
    case $code in
    0) # there is an answer of the declared type
        of_report '";".join(str(report["output"][name]) for name in ("vendor", "number", "total", "currency"))' \
            >> invoices.csv
        ;;
    4 | 5 | 6) # a limit, the provider, or a question: nothing is lost, and stderr has the command that goes on
        ;;
    130) # Ctrl-C is meant for the whole night
        exit 130
        ;;
    *) # rejected, refused, truncated, error: somebody should look at what happened
        echo "$text needs a look: outrider show $(of_report 'report["run"]')" >&2
        ;;
    esac
    [ "$code" -le "$worst" ] || worst=$code
    spent=$(of_report "$spent + float(report['cost'] or 0)")
done

echo "spent: $spent dollars"
exit "$worst"
