"""An event listener that writes down what it gets: recorder.py FILE [WORD...].

Each event is one line of FILE: its header, a bar, its payload as Python shows it. The words say how it behaves:

    wait=PATH      asks for the first event only when PATH exists
    fail=PATH      rejects the first event, and makes PATH
    noise=PATH     answers the first event with what is no answer, and makes PATH
    die=PATH       ends on the first event, and makes PATH
    deaf=PATH      does not read the first event before PATH exists
    result=TEXT    answers with TEXT, or with the payload where that is "payload"
"""

import os
import sys
import time


def word(name):
    return next((w.split("=", 1)[1] for w in sys.argv[2:] if w.startswith(name + "=")), None)


def wait_for(path):
    while path and not os.path.exists(path):
        time.sleep(0.01)


def first_time(name):
    path = word(name)
    if path is None or os.path.exists(path):
        return False
    open(path, "w").close()
    return True


def say(text):
    os.write(1, text)


def main():
    record = open(sys.argv[1], "a", buffering=1)
    wait_for(word("wait"))
    while True:
        say(b"READY\n")
        wait_for(word("deaf"))
        head = sys.stdin.readline()
        if not head:
            return
        payload = sys.stdin.read(int(head.rsplit(":", 1)[1]))
        if first_time("noise"):
            say(b"this is no answer\n")
            continue
        if first_time("die"):
            sys.exit(7)
        if first_time("fail"):
            say(b"RESULT 4\nFAIL")
            continue
        record.write("%s|%r\n" % (head.strip(), payload))
        text = word("result") or "OK"
        result = (payload if text == "payload" else text).encode()
        say(b"RESULT %d\n%s" % (len(result), result))


main()
