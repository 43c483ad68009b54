// Package unit writes how a service manager is to run `supernats consume`: a unit for
// systemd or a section for supervisord, with the flags that were given.
package unit

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// Kinds of service managers.
const (
	Systemd     = "systemd"
	Supervisord = "supervisord"
)

// Daemon is what the unit runs.
type Daemon struct {
	// Args are the arguments of this program, of which Print leaves out what is not for
	// the daemon.
	Args []string
	// DataDir is where the daemon is configured to write, "" for the default place.
	DataDir string
	// RunsCommands says that receivers run commands, which are the user's own.
	RunsCommands bool
}

// unit is what the templates need.
type unit struct {
	// Program and Args are the command.
	Program string
	Args    []string
	// DataDir is where the daemon writes, if not in the default place.
	DataDir string
	// Home says that the command needs something below /home or /root.
	Home bool
	// Commands says that receivers run commands.
	Commands bool
}

// systemdUnit is hardened as far as the daemon allows. It is restarted whatever it ends
// with: a secret that is not there yet comes with the next try, and nobody is notified of
// crashes meanwhile.
var systemdUnit = parseTemplate(quoteSystemd, `# /etc/systemd/system/supernats.service
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
# It reports every few seconds that it makes progress, and not when it is stuck.
WatchdogSec=60
# A store of some GiB is checked first.
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
`)

// supervisordSection is for a supervisord that runs the daemon too. It is started again
// for as long as it fails: FATAL would be the end of all alerts. Its name is not that of
// the bridge's section: of two groups of one name supervisord starts the first only, and
// says nothing (supervisord.py add_process_group).
var supervisordSection = parseTemplate(quoteSupervisord, `; /etc/supervisor/conf.d/supernats-consume.conf
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
`)

func parseTemplate(quote func(string) string, text string) *template.Template {
	return template.Must(template.New("unit").Funcs(template.FuncMap{"quote": quote}).Parse(text))
}

// defaultDataDir is where the unit lets the daemon write.
const defaultDataDir = "/var/lib/supernats"

// Print writes the unit for one kind of service manager.
func Print(w io.Writer, kind string, d Daemon) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}

	u := unit{Program: program, Args: serviceArgs(d.Args), Commands: d.RunsCommands}
	u.Home = inHome(program)
	for _, a := range u.Args {
		u.Home = u.Home || inHome(a)
	}
	if d.DataDir != "" && filepath.Clean(d.DataDir) != defaultDataDir {
		u.DataDir = absolute(d.DataDir)
		u.Home = u.Home || inHome(u.DataDir)
	}

	t := systemdUnit
	if kind == Supervisord {
		t = supervisordSection
	}
	var b bytes.Buffer
	if err := t.Execute(&b, u); err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

// serviceArgs returns the arguments of the service: those given, without the one that asks
// for the unit, and with absolute paths of files.
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
	if abs, err := filepath.Abs(path); err == nil {
		return abs
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
