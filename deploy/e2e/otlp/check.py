"""check.py FILE SECRET MARK COUNT: what an upstream has taken holds no secret, and every mark of MARK exactly once."""

import collections
import json
import re
import sys

file, secret, mark, count = sys.argv[1:]
marks = collections.Counter()
tenants = set()
for line in open(file, encoding="utf-8"):
    request = json.loads(line)
    for text in (request["message"], request["raw"]):
        if secret in text:
            sys.exit(f"a secret came through in {request['signal']} over {request['protocol']}")
    if mark in request["message"]:
        marks.update(re.findall(re.escape(mark) + r"-\w+-\d+-", request["message"]))
        tenants.add(request.get("tenant", "kasm"))
want = {f"{mark}-{kind}-{i}-" for kind in ("span", "record", "point") for i in range(int(count))}
if set(marks) != want:
    sys.exit(f"{len(want - set(marks))} of {len(want)} marks of {mark} are missing, {len(set(marks) - want)} are unknown")
if any(times != 1 for times in marks.values()):
    sys.exit(f"marks of {mark} arrived more than once")
if tenants != {"kasm"}:
    sys.exit(f"the tenant of {mark} did not arrive")
