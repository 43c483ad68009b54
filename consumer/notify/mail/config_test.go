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
		{"no smarthost", func(c *Config) { c.Smarthost = "" }, []string{"smarthost: missing", "host:port"}},
		{"no port", func(c *Config) { c.Smarthost = "smtp.example.com" }, []string{"smarthost:", `"smtp.example.com"`, "host:port"}},
		{"no host", func(c *Config) { c.Smarthost = ":25" }, []string{"smarthost:", `":25"`}},
		{"port 0", func(c *Config) { c.Smarthost = "a:0" }, []string{"smarthost:", `"0"`, "1 to 65535"}},
		{"port 65536", func(c *Config) { c.Smarthost = "a:65536" }, []string{"smarthost:", `"65536"`}},
		{"port by name", func(c *Config) { c.Smarthost = "a:smtp" }, []string{"smarthost:", `"smtp"`}},
		{"URL", func(c *Config) { c.Smarthost = "smtp://a:25" }, []string{"smarthost:"}},
		{"socket", func(c *Config) { c.Smarthost = "/run/smtp:25" }, []string{"smarthost:"}},
		{"host with line end", func(c *Config) { c.Smarthost = "a\r\nb:25" }, []string{"smarthost:", `\r\n`}},
		{"tls", func(c *Config) { c.TLS = "ssl" }, []string{"tls:", `"ssl"`, "implicit, starttls or none"}},
		{"no from", func(c *Config) { c.From = "" }, []string{"from: missing"}},
		{"from is no address", func(c *Config) { c.From = "supervisor" }, []string{"from:", `"supervisor"`}},
		{"from with a header", func(c *Config) { c.From = "a@b.c\r\nBcc: x@y.z" }, []string{"from:", "control characters"}},
		{"from with a header in the name", func(c *Config) { c.From = "\"a\r\nBcc: x@y.z\" <a@b.c>" }, []string{"from:", "control characters"}},
		{"two in from", func(c *Config) { c.From = "a@b.c, d@e.f" }, []string{"from:"}},
		{"no to", func(c *Config) { c.To = nil }, []string{"to: missing"}},
		{"bad to", func(c *Config) { c.To = []string{ops, "ops"} }, []string{"to[1]:", `"ops"`}},
		{"empty to", func(c *Config) { c.To = []string{""} }, []string{"to[0]:"}},
		{"to with a header", func(c *Config) { c.To = []string{"a@b.c\nBcc: x@y.z"} }, []string{"to[0]:", "control characters"}},
		{"to with a command", func(c *Config) { c.To = []string{`"a> SIZE=1"@b.c`} }, []string{"to[0]:", "quotes"}},
		{"to with an encoded line end", func(c *Config) { c.To = []string{"=?utf-8?q?a=0D=0Ab?= <a@b.c>"} }, []string{"to[0]:", "control characters"}},
		{"long to", func(c *Config) { c.To = []string{strings.Repeat("a", 300) + "@b.c"} }, []string{"to[0]:", "304", "254"}},
		{"twice in to", func(c *Config) { c.To = []string{ops, "Ops <OPS@example.com>"} }, []string{"to[1]:", "duplicate"}},
		{"password without username", func(c *Config) { c.Password = secret }, []string{"username: missing"}},
		{"file without username", func(c *Config) { c.PasswordFile = "/p" }, []string{"username: missing", "/p"}},
		{"username without password", func(c *Config) { c.Username = ops }, []string{"password_file: missing", ops}},
		{"two passwords", func(c *Config) { c.Username, c.Password, c.PasswordFile = ops, secret, "/p" }, []string{"password:", "one of the two"}},
		{"username with NUL", func(c *Config) { c.Username, c.Password = "a\x00b", secret }, []string{"username:"}},
		{"hello", func(c *Config) { c.Hello = "a\r\nb" }, []string{"hello:"}},
		{"timeout 0", func(c *Config) { c.Timeout = 0 }, []string{"timeout:", "0s", "10s"}},
		{"timeout below", func(c *Config) { c.Timeout = -1 }, []string{"timeout:"}},
		{"text is cut off", func(c *Config) { c.Text = "a\nb {{if .Late}}" }, []string{"text: line 2: ", "unexpected EOF"}},
		{"unknown field in text", func(c *Config) { c.Text = "{{.Subject}}\n  {{.Password}}" }, []string{"text: line 2, column 4: ", "Password", "tried on an unexpected exit"}},
		{"unknown field of an event", func(c *Config) { c.Text = "{{range .Alerts}}{{range .Events}}{{.Foo}}{{end}}{{end}}" }, []string{"text: line 1, column ", "Foo"}},
		{"environment in text", func(c *Config) { c.Text = `{{env "HOME"}}` }, []string{"text: line 1: ", `function "env" not defined`}},
		{"label that not every alert has", func(c *Config) { c.Text = "{{range .Alerts}}{{.Labels.team}}{{end}}" }, []string{"text: line 1, column ", "team", `{{index .Labels "key"}}`}},
		{"event that not every alert has", func(c *Config) { c.HTML = "{{range .Alerts}}{{(index .Events 0).Time}}{{end}}" }, []string{"html: line 1, column ", "tried on an update without events"}},
		{"only digests have two", func(c *Config) { c.Subject = "{{(index .Alerts 1).Who}}" }, []string{"subject: line 1, column "}},
		{"empty subject", func(c *Config) { c.Subject = `{{if eq .Kind "digest"}}x{{end}}` }, []string{"subject: gives an empty subject", "tried on "}},
		{"html that cannot be escaped", func(c *Config) { c.HTML = "<a href={{.Sentence}}><script>{{if .Late}}'{{end}}" }, []string{"html: line 1"}},
		{"endless text", func(c *Config) {
			c.Text = `{{$k := printf "%9999s" "x"}}{{$m := printf "` + strings.Repeat("%[1]s", 200) + `" $k}}` + strings.Repeat("{{$m}}", 20)
		}, []string{"text: ", "more than"}},
		{"all templates at once", func(c *Config) { c.Subject, c.Text, c.HTML = "{{.A}}", "{{.B}}", "{{.C}}" }, []string{"subject: line 1", "\ntext: line 1", "\nhtml: line 1"}},
		{"all at once", func(c *Config) { *c = Config{} }, []string{"smarthost:", "from:", "to:", "timeout:"}},
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
		{"a:465", "", TLSImplicit},
		{"a:587", "", TLSStartTLS},
		{"a:25", "", TLSStartTLS},
		{"a:465", TLSStartTLS, TLSStartTLS},
		{"a:25", TLSNone, TLSNone},
		{"a:2465", TLSImplicit, TLSImplicit},
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
		{"no ca_file", func(c *Config) { c.CAFile = filepath.Join(dir, "none") }, []string{"ca_file:", "no such file"}},
		{"ca_file without certificate", func(c *Config) { c.CAFile = empty }, []string{"ca_file:", "PEM"}},
		{"ca_file is a directory", func(c *Config) { c.CAFile = dir }, []string{"ca_file:", "no regular file"}},
		{"empty password_file", func(c *Config) { c.Username, c.PasswordFile = ops, empty }, []string{"password_file:", "empty"}},
		{"password_file blocks", func(c *Config) { c.Username, c.PasswordFile = ops, "/dev/tty" }, []string{"password_file:", "no regular file"}},
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
		{"a.example.com", "mon1", "a.example.com"},
		{"", "mon1", "mon1"},
		{"", "", host},
		{"", "my host\r\n", host},
	} {
		if got := helloName(tc.configured, tc.instance); got != tc.want {
			t.Errorf("%q, %q: got %q, want %q", tc.configured, tc.instance, got, tc.want)
		}
	}
}
