"""Calls every method of the interface and prints what comes back, without what differs from run to run.

usage: script.py SOCKET DIRECTORY
"""
import json, os, re, shutil, sys, time
from xmlrpc.client import Fault, ServerProxy
from supervisor.xmlrpc import SupervisorTransport

socket, directory = sys.argv[1:3]
rpc = ServerProxy("http://127.0.0.1/RPC2", transport=SupervisorTransport("", "", "unix://" + socket))


def masked(value, key=""):
    if isinstance(value, dict):
        return {name: masked(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner) for inner in value]
    if key in ("start", "stop", "now", "pid") and value:
        return key.upper()
    if isinstance(value, str):
        value = value.replace(directory, "DIR")
        value = re.sub(r"---ident-.{8}\.log", "---ident-XXXXXXXX.log", value)
        value = re.sub(r"pid \d+, uptime \d:\d\d:\d\d", "pid PID, uptime UPTIME", value)
        value = re.sub(r"[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M", "TIME", value)
    return value


def show(name, value):
    print(name, json.dumps(value, sort_keys=True, ensure_ascii=False), flush=True)


def call(name, *params, order=None, text=True):
    title = "%s%r" % (name, params)
    try:
        value = masked(getattr(rpc, name)(*params))
        if order:
            value = sorted(value, key=lambda row: str(row.get(order)) + str(row.get("group")))
        show(title, value)
        return value
    except Fault as fault:
        show(title, [fault.faultCode, masked(fault.faultString) if text else fault.faultString.split(":")[0]])


def wait(name, *states):
    end = time.monotonic() + 60
    while True:
        info = rpc.supervisor.getProcessInfo(name)
        if info["statename"] in states:
            return
        assert time.monotonic() < end, info
        time.sleep(0.02)


def wait_log(name, text):
    end = time.monotonic() + 60
    while text not in rpc.supervisor.readProcessStdoutLog(name, 0, 0):
        assert time.monotonic() < end, text
        time.sleep(0.02)


S = "supervisor."
for name, state in [("cat", "RUNNING"), ("grp:ga", "RUNNING"), ("grp:gb", "RUNNING"), ("say", "RUNNING"),
                    ("zero", "EXITED"), ("nf", "FATAL"), ("quick", "FATAL"), ("slow", "RUNNING")]:
    wait(name, state)
wait_log("say", "héllo\n")

methods = call("system.listMethods")
for method in methods:
    call("system.methodSignature", method)
    assert rpc.system.methodHelp(method)
call("system.methodSignature", "supervisor.nope")
call("system.methodHelp", "nope")
for method in ["getAPIVersion", "getVersion", "getSupervisorVersion", "getIdentification", "getState", "getPID"]:
    value = getattr(rpc.supervisor, method)()
    show(method, value if method != "getPID" else value > 0)
call(S + "getAllProcessInfo")
call(S + "getAllConfigInfo")
for name in ["cat", "grp:ga", "grp:*", "grp:", "grp", "ga", "nope", "all", "grp:nope", "cat:cat", "", ":"]:
    call(S + "getProcessInfo", name)

for name in ["cat", "nope", "grp", "grp:*", "nf", "dir", "empty", "quick"]:
    call(S + "startProcess", name)
# A command is looked at whether or not the program is up.
gone = os.path.join(directory, "gone")
shutil.copy("/bin/sleep", gone)
call(S + "startProcess", "gone")
call(S + "startProcess", "gone")
os.chmod(gone, 0o644)
call(S + "startProcess", "gone")
os.unlink(gone)
call(S + "startProcess", "gone")
call(S + "startProcess", "gone:*")
call(S + "getProcessInfo", "gone")
call(S + "stopProcess", "gone")
call(S + "startProcess", "man", False)
wait("man", "RUNNING")
call(S + "stopProcess", "man")
call(S + "stopProcess", "man")
call(S + "startProcess", "man", True)
call(S + "stopProcess", "man", False)
wait("man", "STOPPED")
call(S + "stopProcess", "nope")
call(S + "stopProcess", "grp:*", order="name")
call(S + "startProcess", "grp:*", order="name")
call(S + "stopProcessGroup", "grp", order="name")
call(S + "startProcessGroup", "grp", order="name")
call(S + "startProcessGroup", "grp:*")
call(S + "stopProcessGroup", "nope")
call(S + "getProcessInfo", "man")

for signal in ["WINCH", "sigwinch", "28", 28, "NOPE", "32", ""]:
    call(S + "signalProcess", "cat", signal)
call(S + "signalProcess", "cat", " winch ")
call(S + "signalProcess", "man", "WINCH")
call(S + "signalProcess", "nope", "NOPE")
call(S + "signalProcess", "grp:*", "WINCH", order="name")
call(S + "signalProcessGroup", "grp", "WINCH", order="name")
call(S + "signalProcessGroup", "nope", "WINCH")
call(S + "signalAllProcesses", "WINCH", order="name")
call(S + "signalProcess", "man", "NOPE")
call(S + "signalProcess", "grp:*", "NOPE", order="name")
call(S + "signalProcessGroup", "grp", "99", order="name")
call(S + "signalProcessGroup", "nope", "NOPE")
call(S + "signalAllProcesses", "NOPE", order="name")

for offset, length in [(0, 0), (2, 4), (-4, 0), (-9999999, 0), (9999999, 5), (0, -1), (-1, 1), ("0", "2")]:
    call(S + "readProcessStdoutLog", "say", offset, length)
    call(S + "readProcessLog", "say", offset, length)
for offset, length in [(0, 10), (0, 100000), (5, 3), (-1, 3), (99999, 3), (0, 0), (0, -5), (9, 100)]:
    call(S + "tailProcessStdoutLog", "say", offset, length)
    call(S + "tailProcessLog", "say", offset, length)
call(S + "readProcessStderrLog", "say", 0, 0)
call(S + "tailProcessStderrLog", "say", 0, 10)
for method in ["readProcessStderrLog", "tailProcessStderrLog", "readProcessStdoutLog", "tailProcessStdoutLog"]:
    for name in ["grp:gb", "nolog", "missing", "nope", "grp:*"]:
        call(S + method, name, 0, 10, text=method.startswith("tail"))
assert rpc.supervisor.readLog(0, 4) and rpc.supervisor.readMainLog(-4, 0)
call(S + "readLog", -1, 1)

call(S + "sendProcessStdin", "cat", "grüße\n")
wait_log("cat", "grüße\n")
call(S + "sendProcessStdin", "man", "x")
call(S + "sendProcessStdin", "nope", "x")
call(S + "sendProcessStdin", "grp:*", "x")
call(S + "sendRemoteCommEvent", "type", "data")

call(S + "clearProcessLogs", "say")
call(S + "readProcessStdoutLog", "say", 0, 0)
call(S + "clearProcessLog", "nope")
call(S + "clearProcessLogs", "grp:*")
call(S + "clearAllProcessLogs", order="name")
call(S + "clearLog")

call("system.multicall", [
    {"methodName": S + "getState", "params": []},
    {"methodName": S + "stopProcess", "params": ["man"]},
    {"methodName": S + "startProcess", "params": ["man"]},
    {"methodName": S + "getProcessInfo", "params": ["man"]},
    {"methodName": S + "stopProcess", "params": ["man"]},
    {"methodName": S + "readProcessStdoutLog", "params": ["cat", 0, 0]},
    {"methodName": "system.multicall", "params": []},
    {"params": []},
    {"methodName": "nope"},
    {"methodName": S + "getVersion"},
])
call("system.multicall", [])

for name in ["nope", "supervisor", "supervisor.nope", "supervisor.getState.x", "supervisor._update", "supervisor.__class__",
             "system.nope", "nope.getState"]:
    call(name)
call(S + "getState", 1)
call(S + "getProcessInfo")
call(S + "startProcess", "cat", True, 3)
call(S + "stopProcess")

call(S + "stopAllProcesses", order="name")
shutil.copy("/bin/sleep", gone)
call(S + "startAllProcesses", False, order="name")
for name in ["cat", "grp:ga", "grp:gb", "say", "man", "slow"]:
    wait(name, "RUNNING")
for name in ["nf", "quick", "dir", "empty"]:
    wait(name, "FATAL", "STOPPED")

config = os.path.join(directory, "visord.conf")
before = open(config).read()
call(S + "reloadConfig")
after = before.replace("[program:zero]", "[program:null]").replace("programs=ga,gb", "programs=ga,gb\npriority=7")
open(config, "w").write(after)
print(sorted(map(sorted, rpc.supervisor.reloadConfig()[0])))
call(S + "addProcessGroup", "nope")
call(S + "addProcessGroup", "cat")
call(S + "addProcessGroup", "null")
call(S + "addProcessGroup", "null")
wait("null", "EXITED")
call(S + "removeProcessGroup", "nope")
call(S + "removeProcessGroup", "grp")
call(S + "removeProcessGroup", "zero")
call(S + "removeProcessGroup", "zero")
call(S + "removeProcessGroup", "null")
call(S + "addProcessGroup", "null")
call(S + "reloadConfig")
open(config, "w").write(after.replace("startsecs=0", "startsecs=never"))
call(S + "reloadConfig", text=False)
open(config, "w").write(after)
call(S + "reloadConfig")

call(S + "shutdown")
call(S + "getState")
call(S + "startProcess", "man")
call("system.multicall", [{"methodName": S + "getPID"}])
