# Lines with and without secrets, numbered. A secret is put together when it is used, of pieces that stand nowhere beside each
# other: nothing in an image or a manifest is what pod.sh searches for.
a=De b=ad c=Ka d=sm e=Be f=ef

# line NAME N: each line has its name and number, one in two a secret, in five ways.
line() {
  s=$a$b$c$d$e$f$2
  case $2 in
    *1) printf '%s %s login of kasm_user password=%s took 3 ms\n' "$1" "$2" "$s" ;;
    *3) printf '{"levelname":"INFO","message":"%s %s stored","db_password":"%s","lineno":7}\n' "$1" "$2" "$s" ;;
    *5) printf '%s %s connecting to postgres://kasmapp:%s@db:5432/kasm now\n' "$1" "$2" "$s" ;;
    *7) printf '%s %s GET /api/x?session_token=%s&page=2 HTTP/1.1 200\n' "$1" "$2" "$s" ;;
    *9) printf '%s %s header Authorization: Bearer %s%s sent\n' "$1" "$2" "$s" "$s" ;;
    *) printf '%s %s harmless, with a quote " and an ümlaut\n' "$1" "$2" ;;
  esac
}

# numbers FROM TO: of six digits.
numbers() { /bin/busybox seq -w "$1" "$2"; }

# Ends the container where it may do more than it should: another user, a capability, a root that can be written to.
restricted() {
  if [ "$(/bin/busybox id -u)" != 65532 ]; then echo "the user is not 65532"; exit 1; fi
  if ! /bin/busybox grep -q '^CapEff:.0*$' /proc/self/status; then echo "there is a capability"; exit 1; fi
  case $(/bin/busybox awk '$2 == "/" { print $4 }' /proc/mounts) in
    ro | ro,*) ;;
    *) echo "the root can be written to"; exit 1 ;;
  esac
}
