# Writes a file that it renames now and then, a FIFO, and syslog over TCP. On stdout it says nothing but that it is done.
. /app/lines.sh
restricted
# The sidecar makes the FIFO; where there is none, a file would come into being.
tries=0
until [ -p /logs/fifo.log ]; do
  tries=$((tries + 1))
  if [ $tries -gt 300 ]; then echo "no FIFO"; exit 1; fi
  /bin/busybox usleep 100000
done

# One descriptor for all its lines: a FIFO is not to be opened and closed for each.
exec 3> /logs/fifo.log
for n in $(numbers 100001 102000); do line fifo "$n" >&3; done
# A value that nothing but itself gives away.
read -r value < /secrets/token
echo "fifo 102001 was started with $value and runs" >&3
exec 3>&-

for part in 1 2 3 4; do
  exec 4>> /logs/app.log
  for n in $(numbers "10${part}001" "10${part}999"); do line file "$n" >&4; done
  exec 4>&-
  /bin/busybox mv /logs/app.log "/logs/app.log.$part"
done

for n in $(numbers 100001 101000); do
  printf '<13>Nov  1 10:00:00 kasm app: '
  line syslog "$n"
done | /bin/busybox nc 127.0.0.1 5514
echo "writer is done"
