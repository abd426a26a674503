"""Configuration of visord for the side-by-side harness: one supervisord-style file a service, as for supervisord."""


def main(place, services):
    """The main file; `place` is the directory of the manager."""
    descriptors = max(1024, 4 * len(services) + 200)
    return {
        "visord.conf": f"""[supervisord]
logfile={place}/visord.log
logfile_maxbytes=0
pidfile={place}/visord.pid
childlogdir={place}
minfds={descriptors}
minprocs=200
loglevel=warn
[include]
files={place}/conf/*.conf
"""
    }


def render(service, place):
    """The file of one service."""
    text = (
        f"[program:{service.name}]\ncommand={' '.join(service.argv)}\nstartsecs=0\nstopwaitsecs=10\n"
        f"autorestart={'true' if service.autorestart else 'false'}\n"
    )
    if service.env:
        text += "environment=" + ",".join(f'{name}="{value}"' for name, value in service.env.items()) + "\n"
    if service.log:
        text += (
            f"stdout_logfile={service.log.path}\nstdout_logfile_maxbytes={service.log.rotate}\n"
            f"stdout_logfile_backups={service.log.keep}\nredirect_stderr=true\n"
        )
    else:
        text += "stdout_logfile=NONE\nstderr_logfile=NONE\n"
    return {f"conf/{service.name}.conf": text}
