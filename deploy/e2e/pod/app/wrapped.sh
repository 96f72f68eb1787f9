# Speaks on stdout and stderr, under `run`; the last line has no newline, and what it ends with must be seen outside.
. /app/lines.sh
restricted
for n in $(numbers 100001 104000); do
  line out "$n"
  line err "$n" >&2
done
printf 'out 104001 the last line password=%s' "$a$b$c$d$e$f"
exit 7
