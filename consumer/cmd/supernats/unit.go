package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"supernats/consumer/config"
)

// unit is what a service manager is to know.
type unit struct {
	// Program and Args are the command.
	Program string
	Args    []string
	// DataDir is where the daemon writes, if not in the default place.
	DataDir string
	// Home says that the command needs something below /home or /root.
	Home bool
	// Commands says that receivers run commands, which are the user's own.
	Commands bool
}

// systemdUnit is hardened as far as the daemon allows. It is restarted whatever it ends
// with: a secret that is not there yet comes with the next try, and nobody is told of
// crashes meanwhile.
var systemdUnit = template.Must(template.New("systemd").Funcs(template.FuncMap{"quote": quoteSystemd}).Parse(`# /etc/systemd/system/supernats.service
#   useradd --system --no-create-home --shell /usr/sbin/nologin supernats
#   chown -R root:supernats /etc/supernats && chmod -R u=rwX,g=rX,o= /etc/supernats
#   systemctl daemon-reload && systemctl enable --now supernats
[Unit]
Description=supernats: alerts, states and history of what supervisord runs
Wants=network-online.target
After=network-online.target nats-server.service
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={{quote .Program}}{{range .Args}} {{quote .}}{{end}}
ExecReload=/bin/kill -HUP $MAINPID
# The variables that the configuration names as ${NAME}.
EnvironmentFile=-/etc/default/supernats
User=supernats
Group=supernats
StateDirectory=supernats
StateDirectoryMode=0750
{{- if .DataDir}}
ReadWritePaths={{quote .DataDir}}
{{- end}}
UMask=0027
LimitNOFILE=65536
Restart=always
RestartSec=5
# It says every few seconds that it gets on, and not when it is stuck.
WatchdogSec=60
# A store of some GiB is looked through first.
TimeoutStartSec=10min
TimeoutStopSec=45

CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=yes
{{- if not .Commands}}
MemoryDenyWriteExecute=yes
{{- end}}
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome={{if .Home}}read-only{{else}}yes{{end}}
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
`))

// supervisordSection is for a supervisord that runs the daemon too. It is tried again
// for as long as it fails: FATAL would be the end of all alerts. Its name is not that of
// the bridge's section: of two groups of one name supervisord starts the first only, and
// says nothing (supervisord.py add_process_group).
var supervisordSection = template.Must(template.New("supervisord").Funcs(template.FuncMap{"quote": quoteSupervisord}).Parse(`; /etc/supervisor/conf.d/supernats-consume.conf
;   useradd --system --no-create-home --shell /usr/sbin/nologin supernats
;   chown -R root:supernats /etc/supernats && chmod -R u=rwX,g=rX,o= /etc/supernats
;   install -d -o supernats -g supernats -m 750 {{or .DataDir "/var/lib/supernats"}}
;   supervisorctl reread && supervisorctl update
; If another user has run it before, its store is that user's:
;   cd {{or .DataDir "/var/lib/supernats"}} && chown -R supernats:supernats lock nats
; It reloads its configuration on: supervisorctl signal HUP supernats-consume
[program:supernats-consume]
command={{quote .Program}}{{range .Args}} {{quote .}}{{end}}
user=supernats
directory=/
umask=027
autostart=true
autorestart=true
startsecs=5
startretries=1000000
stopsignal=TERM
stopwaitsecs=45
redirect_stderr=true
stdout_logfile=/var/log/supervisor/supernats-consume.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=5
`))

// printUnit prints how a service manager is to run the daemon with these arguments.
func printUnit(w io.Writer, kind string, c *common, args []string) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	u := unit{Program: program, Args: serviceArgs(args)}
	u.Home = inHome(program)
	for _, a := range u.Args {
		u.Home = u.Home || inHome(a)
	}
	// What is wrong with the file is not of matter here, if it is there at all.
	if cfg, err := config.LoadRules(c.Config); err == nil {
		if dir := cfg.DataDir; dir != "" && filepath.Clean(dir) != "/var/lib/supernats" {
			u.DataDir = absolute(dir)
			u.Home = u.Home || inHome(u.DataDir)
		}
		for _, r := range cfg.Receivers {
			u.Commands = u.Commands || r.Exec != nil
		}
	}

	t := systemdUnit
	if kind == "supervisord" {
		t = supervisordSection
	}
	var b bytes.Buffer
	if err := t.Execute(&b, u); err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

// serviceArgs are the arguments of the service: those given, without the one that asks
// for the unit, and with the whole paths of files.
func serviceArgs(given []string) (args []string) {
	for i := 0; i < len(given); i++ {
		arg := given[i]
		switch {
		case arg == "--print-unit":
			i++
			continue
		case strings.HasPrefix(arg, "--print-unit="):
			continue
		case arg == "-c" || arg == "--config":
			args = append(args, arg)
			if i++; i < len(given) {
				args = append(args, absolute(given[i]))
			}
			continue
		case strings.HasPrefix(arg, "--config="):
			arg = "--config=" + absolute(strings.TrimPrefix(arg, "--config="))
		}
		args = append(args, arg)
	}
	return args
}

func absolute(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// homes are the directories that ProtectHome= hides from a service (systemd.exec(5)).
var homes = []string{"/home/", "/root/", "/run/user/"}

// inHome reports whether an argument is a path in a home directory, or a flag with one.
func inHome(arg string) bool {
	for _, home := range homes {
		if strings.HasPrefix(arg, home) || strings.Contains(arg, "="+home) {
			return true
		}
	}
	return false
}

// quoteSystemd writes an argument for ExecStart (systemd.service(5), COMMAND LINES;
// systemd.unit(5), SPECIFIERS).
func quoteSystemd(s string) string {
	s = strings.NewReplacer("%", "%%", "$", "$$").Replace(s)
	if s != "" && !strings.ContainsAny(s, " \t\"'\\;") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// quoteSupervisord writes an argument for command (Python's shlex.split, and % of its
// expansions).
func quoteSupervisord(s string) string {
	s = strings.ReplaceAll(s, "%", "%%")
	if s != "" && !strings.ContainsAny(s, " \t\"'\\;#") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
