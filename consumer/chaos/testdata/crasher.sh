# A process that dies as soon as somebody writes into its FIFO, DIR/NAME.fifo, and
# says last when it did: bash knows the time without another process.
# Usage: bash crasher.sh DIR NAME
LC_ALL=C
read -r <"$1/$2.fifo"
echo "last words of $2" >&2
echo "$EPOCHREALTIME" >>"$1/$2.died"
exit 3
