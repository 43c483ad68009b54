package mail

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"supernats/schema"
)

func good() Config {
	return Config{Smarthost: "smtp.example.com:465", From: from, To: []string{ops}}.WithDefaults()
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{name: "no smarthost", change: func(c *Config) { c.Smarthost = "" }, want: []string{"smarthost: missing", "host:port"}},
		{name: "no port", change: func(c *Config) { c.Smarthost = "smtp.example.com" }, want: []string{"smarthost:", `"smtp.example.com"`, "host:port"}},
		{name: "no host", change: func(c *Config) { c.Smarthost = ":25" }, want: []string{"smarthost:", `":25"`}},
		{name: "port 0", change: func(c *Config) { c.Smarthost = "a:0" }, want: []string{"smarthost:", `"0"`, "1 to 65535"}},
		{name: "port 65536", change: func(c *Config) { c.Smarthost = "a:65536" }, want: []string{"smarthost:", `"65536"`}},
		{name: "port by name", change: func(c *Config) { c.Smarthost = "a:smtp" }, want: []string{"smarthost:", `"smtp"`}},
		{name: "URL", change: func(c *Config) { c.Smarthost = "smtp://a:25" }, want: []string{"smarthost:"}},
		{name: "socket", change: func(c *Config) { c.Smarthost = "/run/smtp:25" }, want: []string{"smarthost:"}},
		{name: "host with line end", change: func(c *Config) { c.Smarthost = "a\r\nb:25" }, want: []string{"smarthost:", `\r\n`}},
		{name: "tls", change: func(c *Config) { c.TLS = "ssl" }, want: []string{"tls:", `"ssl"`, "implicit, starttls or none"}},
		{name: "no from", change: func(c *Config) { c.From = "" }, want: []string{"from: missing"}},
		{name: "from is no address", change: func(c *Config) { c.From = "supervisor" }, want: []string{"from:", `"supervisor"`}},
		{name: "from with a header", change: func(c *Config) { c.From = "a@b.c\r\nBcc: x@y.z" }, want: []string{"from:", "control characters"}},
		{name: "from with a header in the name", change: func(c *Config) { c.From = "\"a\r\nBcc: x@y.z\" <a@b.c>" }, want: []string{"from:", "control characters"}},
		{name: "two in from", change: func(c *Config) { c.From = "a@b.c, d@e.f" }, want: []string{"from:"}},
		{name: "no to", change: func(c *Config) { c.To = nil }, want: []string{"to: missing"}},
		{name: "bad to", change: func(c *Config) { c.To = []string{ops, "ops"} }, want: []string{"to[1]:", `"ops"`}},
		{name: "empty to", change: func(c *Config) { c.To = []string{""} }, want: []string{"to[0]:"}},
		{name: "to with a header", change: func(c *Config) { c.To = []string{"a@b.c\nBcc: x@y.z"} }, want: []string{"to[0]:", "control characters"}},
		{name: "to with a command", change: func(c *Config) { c.To = []string{`"a> SIZE=1"@b.c`} }, want: []string{"to[0]:", "quotes"}},
		{name: "to with an encoded line end", change: func(c *Config) { c.To = []string{"=?utf-8?q?a=0D=0Ab?= <a@b.c>"} }, want: []string{"to[0]:", "control characters"}},
		{name: "long to", change: func(c *Config) { c.To = []string{strings.Repeat("a", 300) + "@b.c"} }, want: []string{"to[0]:", "304", "254"}},
		{name: "twice in to", change: func(c *Config) { c.To = []string{ops, "Ops <OPS@example.com>"} }, want: []string{"to[1]:", "duplicate"}},
		{name: "password without username", change: func(c *Config) { c.Password = secret }, want: []string{"username: missing"}},
		{name: "file without username", change: func(c *Config) { c.PasswordFile = "/p" }, want: []string{"username: missing", "/p"}},
		{name: "username without password", change: func(c *Config) { c.Username = ops }, want: []string{"password_file: missing", ops}},
		{name: "two passwords", change: func(c *Config) { c.Username, c.Password, c.PasswordFile = ops, secret, "/p" }, want: []string{"password:", "one of the two"}},
		{name: "username with NUL", change: func(c *Config) { c.Username, c.Password = "a\x00b", secret }, want: []string{"username:"}},
		{name: "hello", change: func(c *Config) { c.Hello = "a\r\nb" }, want: []string{"hello:"}},
		{name: "timeout 0", change: func(c *Config) { c.Timeout = 0 }, want: []string{"timeout:", "0s", "10s"}},
		{name: "timeout below", change: func(c *Config) { c.Timeout = -1 }, want: []string{"timeout:"}},
		{name: "text is cut off", change: func(c *Config) { c.Text = "a\nb {{if .Late}}" }, want: []string{"text: line 2: ", "unexpected EOF"}},
		{name: "unknown field in text", change: func(c *Config) { c.Text = "{{.Subject}}\n  {{.Password}}" }, want: []string{"text: line 2, column 4: ", "Password", "tried on an unexpected exit"}},
		{name: "unknown field of an event", change: func(c *Config) { c.Text = "{{range .Alerts}}{{range .Events}}{{.Foo}}{{end}}{{end}}" }, want: []string{"text: line 1, column ", "Foo"}},
		{name: "environment in text", change: func(c *Config) { c.Text = `{{env "HOME"}}` }, want: []string{"text: line 1: ", `function "env" not defined`}},
		{name: "label that not every alert has", change: func(c *Config) { c.Text = "{{range .Alerts}}{{.Labels.team}}{{end}}" }, want: []string{"text: line 1, column ", "team", `{{index .Labels "key"}}`}},
		{name: "event that not every alert has", change: func(c *Config) { c.HTML = "{{range .Alerts}}{{(index .Events 0).Time}}{{end}}" }, want: []string{"html: line 1, column ", "tried on an update without events"}},
		{name: "only digests have two", change: func(c *Config) { c.Subject = "{{(index .Alerts 1).Who}}" }, want: []string{"subject: line 1, column "}},
		{name: "empty subject", change: func(c *Config) { c.Subject = `{{if eq .Kind "digest"}}x{{end}}` }, want: []string{"subject: gives an empty subject", "tried on "}},
		{name: "html that cannot be escaped", change: func(c *Config) { c.HTML = "<a href={{.Sentence}}><script>{{if .Late}}'{{end}}" }, want: []string{"html: line 1"}},
		{name: "endless text", change: func(c *Config) {
			c.Text = `{{$k := printf "%9999s" "x"}}{{$m := printf "` + strings.Repeat("%[1]s", 200) + `" $k}}` + strings.Repeat("{{$m}}", 20)
		}, want: []string{"text: ", "more than"}},
		{name: "all templates at once", change: func(c *Config) { c.Subject, c.Text, c.HTML = "{{.A}}", "{{.B}}", "{{.C}}" }, want: []string{"subject: line 1", "\ntext: line 1", "\nhtml: line 1"}},
		{name: "all at once", change: func(c *Config) { *c = Config{} }, want: []string{"smarthost:", "from:", "to:", "timeout:"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := good()
			tc.change(&c)
			err := c.Validate()
			if err == nil {
				t.Fatal("no error")
			}
			mustContain(t, err.Error(), tc.want...)
			if strings.Contains(err.Error(), secret) {
				t.Errorf("error shows the password: %v", err)
			}
			if _, err := New(c, identity); err == nil {
				t.Error("New takes it")
			}
		})
	}
	for name, change := range map[string]func(*Config){
		"as it is": func(*Config) {},
		"IPv6":     func(c *Config) { c.Smarthost = "[::1]:25" },
		"password": func(c *Config) { c.Username, c.Password = ops, secret },
		"hello":    func(c *Config) { c.Hello = "[192.0.2.1]" },
		"names": func(c *Config) {
			c.From, c.To = "Jörg <j@example.com>", []string{"o'neil+x@example.com", `"A, B" <b@[192.0.2.1]>`}
		},
		"TLS": func(c *Config) { c.TLS = TLSNone },
		"templates": func(c *Config) {
			c.Subject = `{{.Subject}} {{with index (index .Alerts 0).Labels "team"}}for {{.}}{{end}}`
			c.Text = "{{range .Alerts}}{{range .Events}}{{.Time}} {{.Name}} {{.Reason}}\n{{end}}{{end}}{{.Sentence | upper | truncate 40}}"
			c.HTML = `<p title="{{.Subject}}">{{date "15:04" .Time}}</p>`
		},
		"days long": func(c *Config) { c.Timeout = schema.Duration(48 * time.Hour) },
	} {
		c := good()
		change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMode(t *testing.T) {
	for _, tc := range []struct{ smarthost, tls, want string }{
		{smarthost: "a:465", tls: "", want: TLSImplicit},
		{smarthost: "a:587", tls: "", want: TLSStartTLS},
		{smarthost: "a:25", tls: "", want: TLSStartTLS},
		{smarthost: "a:465", tls: TLSStartTLS, want: TLSStartTLS},
		{smarthost: "a:25", tls: TLSNone, want: TLSNone},
		{smarthost: "a:2465", tls: TLSImplicit, want: TLSImplicit},
	} {
		if got := (Config{Smarthost: tc.smarthost, TLS: tc.tls}).mode(); got != tc.want {
			t.Errorf("%s, tls %q: got %s, want %s", tc.smarthost, tc.tls, got, tc.want)
		}
	}
}

func TestYAML(t *testing.T) {
	const text = `
smarthost: smtp.example.com:465
tls: implicit
from: ops@example.com
to: [ops@example.com, oncall@example.com]
username: ops@example.com
password: "correct horse"
password_file: /etc/supernats/smtp-password
ca_file: /etc/ssl/private-ca.pem
hello: mon1.example.com
timeout: 20s
subject: "{{.Subject}}"
text: |
  {{.Sentence}}
html: <p>{{.Sentence}}</p>
`
	want := Config{
		Smarthost: "smtp.example.com:465", TLS: TLSImplicit, From: ops, To: []string{ops, oncall},
		Username: ops, Password: secret, PasswordFile: "/etc/supernats/smtp-password",
		CAFile: "/etc/ssl/private-ca.pem", Hello: "mon1.example.com", Timeout: schema.Duration(20 * time.Second),
		Subject: "{{.Subject}}", Text: "{{.Sentence}}\n", HTML: "<p>{{.Sentence}}</p>",
	}
	got := Config{}.WithDefaults()
	if err := yaml.UnmarshalWithOptions([]byte(text), &got, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	printed, err := yaml.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{string(printed), fmt.Sprint(got), fmt.Sprintf("%+v %#v %q", got, got, got)} {
		if strings.Contains(s, secret) {
			t.Errorf("shows the password: %s", s)
		}
	}
	// What was written wins over the default, even where it is wrong.
	zero := good()
	if err := yaml.UnmarshalWithOptions([]byte("timeout: 0s"), &zero, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if zero.Validate() == nil {
		t.Error("timeout: 0s is taken")
	}
}

func TestNewReadsFiles(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{name: "no ca_file", change: func(c *Config) { c.CAFile = filepath.Join(dir, "none") }, want: []string{"ca_file:", "no such file"}},
		{name: "ca_file without certificate", change: func(c *Config) { c.CAFile = empty }, want: []string{"ca_file:", "PEM"}},
		{name: "ca_file is a directory", change: func(c *Config) { c.CAFile = dir }, want: []string{"ca_file:", "no regular file"}},
		{name: "empty password_file", change: func(c *Config) { c.Username, c.PasswordFile = ops, empty }, want: []string{"password_file:", "empty"}},
		{name: "password_file blocks", change: func(c *Config) { c.Username, c.PasswordFile = ops, "/dev/tty" }, want: []string{"password_file:", "no regular file"}},
	} {
		c := good()
		tc.change(&c)
		if _, err := New(c, identity); err == nil {
			t.Errorf("%s: no error", tc.name)
		} else {
			mustContain(t, err.Error(), tc.want...)
		}
	}
}

func TestHelloName(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ configured, instance, want string }{
		{configured: "a.example.com", instance: "mon1", want: "a.example.com"},
		{configured: "", instance: "mon1", want: "mon1"},
		{configured: "", instance: "", want: host},
		{configured: "", instance: "my host\r\n", want: host},
	} {
		if got := helloName(tc.configured, tc.instance); got != tc.want {
			t.Errorf("%q, %q: got %q, want %q", tc.configured, tc.instance, got, tc.want)
		}
	}
}
