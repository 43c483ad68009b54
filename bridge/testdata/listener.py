# What people write today: supervisor.childutils, and nothing done with the event.
import os, sys, time
from supervisor import childutils

want, result, seen = int(sys.argv[1]), sys.argv[2], 0
while True:
    headers, payload = childutils.listener.wait(sys.stdin, sys.stdout)
    if headers["eventname"] == "REMOTE_COMMUNICATION":
        last = time.monotonic()
        seen += 1
        if seen == 1:
            first = last
    childutils.listener.ok(sys.stdout)
    if seen == want:
        with open(result + ".new", "w") as f:
            f.write("%.9f\n" % (last - first))
        os.rename(result + ".new", result)
        seen = 0
