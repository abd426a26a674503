# Starts visord at login: written by `visorctl boot enable`, removed by `visorctl boot disable`.
# Where it runs already, one look into /proc tells so.
if status is-login; and not set -q VISOR_LOGIN; and not set -q VISOR_NO_SPAWN
    set -l visor_up
    for visor_dir in $VISOR_RUNTIME_DIR $XDG_RUNTIME_DIR/visor /run/user/*/visor /tmp/visor-*
        test -O $visor_dir/default.lock; and test -S $visor_dir/default.sock; or continue
        set -l visor_pid
        read -l -d = visor_key visor_pid <$visor_dir/default.lock; or continue
        test "$visor_key" = pid; or continue
        if test -d /proc/self
            # The number may be another's by now.
            test -r /proc/$visor_pid/comm; and read -l visor_name </proc/$visor_pid/comm; or continue
            test "$visor_name" = visord; or continue
        else
            kill -0 $visor_pid 2>/dev/null; or continue
        end
        set visor_up yes
        break
    end
    if test -z "$visor_up"; and test -x /usr/bin/visorctl
        /usr/bin/visorctl boot run --method login </dev/null >/dev/null 2>&1 &
        disown
    end
end
