"""What people write today: a listener that mails each unexpected exit, as
superlance's crashmail does, over SMTP, one connection a mail.

Usage: listener.py HOST PORT
"""
import smtplib
import sys
import time
from email.message import EmailMessage

from supervisor import childutils


def mail(host, port, read, headers):
    m = EmailMessage()
    m["From"] = "supervisor@example.com"
    m["To"] = "ops@example.com"
    m["Subject"] = "%(processname)s crashed" % headers
    # For the measurement only.
    m["X-Read"] = "%.6f" % read
    m.set_content(
        "Process %(processname)s in group %(groupname)s exited unexpectedly "
        "(pid %(pid)s) from state %(from_state)s\n" % headers)
    # With a name of its own smtplib asks no name server for that of the machine.
    with smtplib.SMTP(host, port, local_hostname="localhost") as smtp:
        smtp.send_message(m)


def main(host, port):
    while True:
        event, payload = childutils.listener.wait(sys.stdin, sys.stdout)
        read = time.time()
        if event["eventname"] == "PROCESS_STATE_EXITED":
            headers, _ = childutils.eventdata(payload + "\n")
            if not int(headers["expected"]):
                mail(host, port, read, headers)
        childutils.listener.ok(sys.stdout)


main(sys.argv[1], int(sys.argv[2]))
