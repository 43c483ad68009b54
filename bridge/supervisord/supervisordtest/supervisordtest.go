// Package supervisordtest starts a real supervisord for tests and examples, in a
// directory of its own, and talks to it as an operator would.
package supervisordtest

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Supervisord is a running supervisord.
type Supervisord struct {
	// Dir holds everything it writes: supervisord.conf, supervisord.log, its
	// socket and the logs of its children.
	Dir string

	cmd    *exec.Cmd
	exited chan struct{}
	status error // how it exited, valid once exited is closed
	rpc    http.Client
}

// ErrMissing says how to install supervisord.
var ErrMissing = errors.New("supervisord is not installed; on Debian: apt-get install supervisor")

const conf = `[supervisord]
nodaemon=true
identifier=%s
directory=%[2]s
logfile=%[2]s/supervisord.log
loglevel=info
pidfile=%[2]s/supervisord.pid
childlogdir=%[2]s

[unix_http_server]
file=%[2]s/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://%[2]s/supervisor.sock
`

// WriteConf writes the configuration: ours and the sections given. It can be
// called again before Ctl("update") or a reload.
func WriteConf(dir, identifier, sections string) error {
	text := fmt.Appendf(nil, conf+"\n%[3]s", identifier, dir, sections)
	return os.WriteFile(filepath.Join(dir, "supervisord.conf"), text, 0o644)
}

// Run starts supervisord on the configuration in dir and waits until it answers.
// Its path must be short enough for a unix socket.
func Run(dir string) (*Supervisord, error) {
	path, err := exec.LookPath("supervisord")
	if err != nil {
		return nil, ErrMissing
	}

	s := &Supervisord{Dir: dir, exited: make(chan struct{})}
	s.rpc.Timeout = 30 * time.Second
	s.rpc.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.Dir+"/supervisor.sock")
	}}
	s.cmd = exec.Command(path, "-n", "-c", dir+"/supervisord.conf")
	s.cmd.Dir = dir
	// Its own process group: Ctrl-C at a terminal is for the caller to handle.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := os.OpenFile(dir+"/supervisord.out", os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	s.cmd.Stdout = output
	s.cmd.Stderr = output
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start supervisord: %w", err)
	}
	go func() {
		s.status = s.cmd.Wait()
		close(s.exited)
	}()

	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err = s.Call("supervisor.getState"); err == nil {
			return s, nil
		}
		select {
		case <-s.exited:
			out, _ := os.ReadFile(dir + "/supervisord.out")
			return nil, fmt.Errorf("supervisord ended at once (%w):\n%s", s.status, out)
		default:
		}
		if time.Now().After(end) {
			_ = s.Kill()
			return nil, fmt.Errorf("supervisord does not answer: %w", err)
		}
	}
}

// PID is supervisord's process id.
func (s *Supervisord) PID() int { return s.cmd.Process.Pid }

// Ctl runs supervisorctl and returns what it printed.
func (s *Supervisord) Ctl(args ...string) (string, error) {
	args = append([]string{"-c", s.Dir + "/supervisord.conf"}, args...)
	out, err := exec.Command("supervisorctl", args...).CombinedOutput()
	return string(out), err
}

// Log returns supervisord's own log.
func (s *Supervisord) Log() string {
	b, _ := os.ReadFile(s.Dir + "/supervisord.log")
	return string(b)
}

// Stop ends supervisord and its children as an operator would.
func (s *Supervisord) Stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("supervisord did not stop within 30 s"), s.Kill())
	}
}

// Kill ends supervisord with SIGKILL; its children live on.
func (s *Supervisord) Kill() error {
	err := s.cmd.Process.Kill()
	<-s.exited
	return err
}

// Call calls a method over XML-RPC with strings for parameters and returns the
// raw answer. A fault is an error.
func (s *Supervisord) Call(method string, params ...string) (string, error) {
	return s.post(call(method, params...))
}

// SendRemote sends REMOTE_COMMUNICATION events of one type, as many as there are
// data, in a single request.
func (s *Supervisord) SendRemote(typ string, data ...string) error {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><methodCall><methodName>system.multicall</methodName>` +
		`<params><param><value><array><data>`)
	for _, d := range data {
		fmt.Fprintf(&b, `<value><struct><member><name>methodName</name>`+
			`<value><string>supervisor.sendRemoteCommEvent</string></value></member>`+
			`<member><name>params</name><value><array><data><value><string>%s</string></value>`+
			`<value><string>%s</string></value></data></array></value></member></struct></value>`,
			escape(typ), escape(d))
	}
	b.WriteString(`</data></array></value></param></params></methodCall>`)
	_, err := s.post(b.String())
	return err
}

func call(method string, params ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0"?><methodCall><methodName>%s</methodName><params>`, method)
	for _, p := range params {
		fmt.Fprintf(&b, `<param><value><string>%s</string></value></param>`, escape(p))
	}
	b.WriteString(`</params></methodCall>`)
	return b.String()
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

func (s *Supervisord) post(body string) (string, error) {
	resp, err := s.rpc.Post("http://supervisor/RPC2", "text/xml", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || bytes.Contains(b, []byte("<name>faultCode</name>"))) {
		err = fmt.Errorf("supervisord answers %s: %s", resp.Status, b)
	}
	return string(b), err
}

// Signal sends supervisord a signal.
func (s *Supervisord) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }
