# What people write today: supervisor.childutils, and a line for each death with the
# time at which it was heard of.
import sys, time
from supervisor import childutils

with open(sys.argv[1], "a", buffering=1) as out:
    while True:
        headers, payload = childutils.listener.wait(sys.stdin, sys.stdout)
        if headers["eventname"] == "PROCESS_STATE_EXITED":
            out.write("%s %.6f\n" % (childutils.get_headers(payload)["pid"], time.time()))
        childutils.listener.ok(sys.stdout)
