package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"supernats/schema/program"
)

// systemd itself finds nothing wrong with the unit, and calls it well protected.
func TestSystemdUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatalf("%v: on Debian it is in the package systemd", err)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "my supernats.yaml")
	if err := os.WriteFile(conf, []byte("data_dir: /srv/supernats\nreceivers: [{name: a, exec: {command: [/bin/true]}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want []string
		not  string
	}{
		"plain": {
			want: []string{"\nExecStart=" + binary + " consume\n", "\nType=notify\n", "\nWatchdogSec=", "\nMemoryDenyWriteExecute=yes\n", "\nProtectHome=yes\n"},
			not:  "ReadWritePaths",
		},
		"config": {
			args: []string{"-c", conf, "--log-level=debug"},
			want: []string{`consume -c "` + conf + `" --log-level=debug` + "\n", "\nReadWritePaths=/srv/supernats\n"},
			not:  "MemoryDenyWriteExecute",
		},
		"home": {
			args: []string{"--nats-creds=/home/a/100%.creds", "--nats-url", "nats://$x"},
			want: []string{"consume --nats-creds=/home/a/100%%.creds --nats-url nats://$$x\n", "\nProtectHome=read-only\n"},
			not:  "ProtectHome=yes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			text, errs, code := supernats(t, append([]string{"consume", "--print-unit", "systemd"}, c.args...)...)
			if code != program.ExitDone || errs != "" {
				t.Fatalf("%d %s", code, errs)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			if strings.Contains(text, c.not) {
				t.Errorf("%s in\n%s", c.not, text)
			}
			file := filepath.Join(t.TempDir(), "supernats.service")
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"verify", "--man=no", file}, {"security", "--offline=true", "--threshold=25", file}} {
				out, err := exec.Command(analyze, args...).CombinedOutput()
				if err != nil || args[0] == "verify" && strings.Contains(string(out), "supernats.service:") {
					t.Errorf("%s: %v: %s", args[0], err, out)
				}
			}
		})
	}
}

// A real supervisord runs the section, and reloads and ends the daemon with it.
func TestSupervisordSection(t *testing.T) {
	t.Parallel()
	supervisord, err := exec.LookPath("supervisord")
	if err != nil {
		t.Fatalf("%v: on Debian it is in the package supervisor", err)
	}
	dir := t.TempDir()
	conf, log := filepath.Join(dir, "supernats.yaml"), filepath.Join(dir, "log")
	text := "data_dir: " + filepath.Join(dir, "100% data") + "\nembedded: {listen: '127.0.0.1:0', max_store: 64MiB}\nlisten: '127.0.0.1:0'\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	section, errs, code := supernats(t, "consume", "-c", conf, "--print-unit=supervisord")
	if code != program.ExitDone || errs != "" || !strings.Contains(section, "\nuser=supernats\n") {
		t.Fatalf("%d %s %s", code, errs, section)
	}
	section = strings.Replace(section, "user=supernats\n", "", 1) // who need not be there
	section = regexp.MustCompile(`stdout_logfile=.*`).ReplaceAllString(section, "stdout_logfile="+log)
	main := filepath.Join(dir, "supervisord.conf")
	text = "[supervisord]\nnodaemon=true\nlogfile=" + dir + "/supervisord.log\npidfile=" + dir + "/pid\n" + section
	if err := os.WriteFile(main, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	cmd := exec.CommandContext(t.Context(), supervisord, "-c", main)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	says := func(words string) {
		t.Helper()
		var b []byte
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			if b, _ = os.ReadFile(log); strings.Contains(string(b), words) {
				return
			}
		}
		t.Fatalf("does not say %q: %s", words, b)
	}
	says("reading events")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	says(`"message":"stopped"`)
}

// systemd hears that the daemon is ready, reloads, lives and stops.
func TestNotifiesSystemd(t *testing.T) {
	dir := t.TempDir()
	conf, path := filepath.Join(dir, "supernats.yaml"), filepath.Join(dir, "notify")
	if err := os.WriteFile(conf, []byte("data_dir: "+dir+"/data\nembedded: {listen: '127.0.0.1:0', max_store: 64MiB}\nlisten: '127.0.0.1:0'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "consume", "-c", conf)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=600000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until := func(want string) (said string) {
		t.Helper()
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				t.Fatalf("%s was not said: %v\n%s", want, err, said)
			}
			said += string(b[:n]) + "\n"
			if strings.Contains(said, want) {
				return said
			}
		}
	}

	until("READY=1")
	until("WATCHDOG=1")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if said := until("RELOADING=1"); strings.Contains(said, "READY=1") {
		t.Errorf("%s", said)
	}
	until("READY=1")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// The system's configuration file is read without being named, by all commands; what
// only the daemon needs keeps nobody from looking.
func TestSystemConfig(t *testing.T) {
	i := newInstallation(t)
	write := func(text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(systemFile), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(systemFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(systemFile)) })
	i.fill()

	write("nats: {url: '" + i.url + "'}\nmail: {password: \"${ONLY_THE_DAEMON_HAS_IT}\"}\n")
	for _, args := range [][]string{{"ps"}, {"hosts"}, {"replay"}, {"alerts"}, {"mutes"}, {"mute", "--all", "--for", "1m", "--comment", "x"}} {
		if _, errs, code := supernats(t, args...); code != program.ExitDone || strings.Contains(errs, systemFile) {
			t.Errorf("%q: %d %s", args, code, errs)
		}
	}
	const missing = ":2:18: variable ${ONLY_THE_DAEMON_HAS_IT} is not set"
	for _, args := range [][]string{{"consume"}, {"test-alert"}} {
		if _, errs, code := supernats(t, args...); code != program.ExitUsage || !strings.Contains(errs, systemFile+missing) {
			t.Errorf("%q: %d %s", args, code, errs)
		}
	}
	if out, errs, code := supernats(t, "doctor"); code != program.ExitFailed || !strings.Contains(out, systemFile+missing) || !strings.Contains(out, "nats-server 2.") {
		t.Errorf("doctor: %d %s%s", code, out, errs)
	}
	// Another one that is named takes its place.
	if out, errs, code := supernats(t, "replay", "-c", "/dev/null", "--nats-url", "nats://127.0.0.1:1"); code != program.ExitFailed || !strings.Contains(errs, "nats://127.0.0.1:1") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	write("nats: {url: '" + i.url + "'}\n")
	if out, _, _ := supernats(t, "doctor", "-o", "table"); !strings.Contains(out, "ok    config     "+systemFile+": 6 rules, 0 receivers") {
		t.Errorf("%s", out)
	}
	write("nats: {url: [x]}\n")
	if _, errs, code := supernats(t, "ps"); code != program.ExitUsage || !strings.Contains(errs, systemFile+":1:13: nats.url: found sequence") {
		t.Errorf("%d %s", code, errs)
	}
}
