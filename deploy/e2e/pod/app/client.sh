# Sends logs and traces as OTLP/HTTP JSON to the sidecar, one request after another, until each is taken.
. /app/lines.sh
restricted
post() {
  tries=0
  until /bin/busybox wget -q -O /dev/null --header 'Content-Type: application/json' --post-data "$2" \
    "http://127.0.0.1:4318/v1/$1" 2> /dev/null; do
    tries=$((tries + 1))
    if [ $tries -gt 300 ]; then echo "not taken"; exit 1; fi
    /bin/busybox usleep 100000
  done
}
for n in $(numbers 100001 100100); do
  s=$a$b$c$d$e$f$n
  # As lines.sh has it, for JSON.
  h="{\"key\":\"note\",\"value\":{\"stringValue\":\"harmless $n, with a quote \\\" and an ümlaut\"}}"
  post logs "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"otlp $n password=$s\"},\"attributes\":[$h,{\"key\":\"db.password\",\"value\":{\"stringValue\":\"$s\"}}]}]}]}]}"
  post traces "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\",\"name\":\"span $n\",\"kind\":2,\"attributes\":[$h,{\"key\":\"url.full\",\"value\":{\"stringValue\":\"https://kasm/?session_token=$s\"}}]}]}]}]}"
done
echo "client is done"
