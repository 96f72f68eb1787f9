# Speaks on stdout and stderr, under `run`, without an end, until it is told to stop, as a pod is that is deleted. Its last lines
# say how many there were before: whatever was written must be outside.
. /app/lines.sh
restricted
# The writer is no part of what is signalled: a shell whose write a signal interrupts loses the line itself.
(
  trap '' TERM
  n=100000
  until [ -e /flag/stop ]; do
    n=$((n + 1))
    line burst "$n"
    line burst "$n" >&2
  done
  echo "the last was $n"
  echo "the last was $n" >&2
) &
trap ': > /flag/stop' TERM
wait $!
wait $!
exit 3
