package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/config/strict"
	"supernats/consumer/embedded"
	"supernats/consumer/notify/mail"
	"supernats/schema"
	"supernats/schema/natsconn"
)

// loadText writes a configuration to f.yaml and loads it; errors begin with that
// name, without its directory.
func loadText(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), path, "f.yaml"))
	}
	return c, err
}

// planError returns what is wrong with a configuration without a file.
func planError(c Config) error {
	_, err := c.Plan()
	return err
}

// hasLine reports whether an error has a line.
func hasLine(err error, line string) bool {
	return err != nil && slices.Contains(strings.Split(err.Error(), "\n"), line)
}

const (
	topKeys     = "compat, data_dir, embedded, external_url, forget_after, group_interval, group_wait, groups, limits, listen, mail, max_age, mute_restarts, nats, receivers, repeat_interval, resolve_after, route_prefix, rules, send_resolved, watchdog, web, web_config"
	natsKeys    = "api_prefix, context, creds_file, domain, nkey_file, password_file, replicas, streams, tls, token_file, url, user"
	topMailKeys = "auth, ca_file, from, hello, html, location, password, password_file, rate_limit, smarthost, subject, text, timeout, tls, to, token_command, token_file, username"
	ruleKeys    = "annotations, count, escalate, event, expected, for, group_by, group_interval, group_wait, groups, hosts, if, inhibited_by, labels, loss, mute_during, name, notify, oom, processes, quorum, repeat_interval, resolve_after, send_resolved, severity, silent, state, trouble, within"
	isMap       = "found mapping, want a text (one with a ':' may need quotes)"
	wantGlob    = "want a name, or a glob with *, ?, [a-z] and {a,b}"

	noListen     = "want host:port, the port a number up to 65535"
	wantDuration = "want a number with a unit: 500ms, 90s, 5m, 1h30m, 7d"
	wantSize     = "want a number of bytes, or one with a unit: 4KiB, 512MiB, 1GiB, 2GB"
)

// The kinds of receivers are in one place, and not here.
var (
	receiverKeys = strings.Join(strict.KeyNames(reflect.TypeFor[Receiver]()), ", ")
	kindKeys     = strings.Join(kindNames(), ", ")
)

func TestLoadRefuses(t *testing.T) {
	t.Setenv("SET", "[")
	t.Setenv("N", "007")
	for _, c := range []struct{ text, want string }{
		// Keys.
		{text: "nope: 1\n", want: `f.yaml:1:1: unknown key "nope": want one of ` + topKeys},
		{
			text: "# a comment\nmax_age: 1h\nNats: {}\n",
			want: `f.yaml:3:1: unknown key "Nats": want one of ` + topKeys + "; did you mean nats?",
		},
		{
			text: "nats:\n  urls: x\n",
			want: `f.yaml:2:3: unknown key "nats.urls": want one of ` + natsKeys + "; did you mean url?",
		},
		{
			text: "nats: {tls: {ca: a, crt: b}}\n",
			want: `f.yaml:1:21: unknown key "nats.tls.crt": want one of ca, cert, first, key; did you mean cert?`,
		},
		{
			text: "embedded: {max: 1}\n",
			want: `f.yaml:1:12: unknown key "embedded.max": want one of account, config, insecure, listen, max_store; did you mean max_store?`,
		},
		{text: "1: 2\n", want: `f.yaml:1:1: unknown key "1": want one of ` + topKeys},
		{text: "\"a\\x00\": 2\n", want: `f.yaml:1:1: unknown key "a\x00": want one of ` + topKeys},
		// Types.
		{text: "x\n", want: "f.yaml:1:1: the file: found string, want a mapping with the keys " + topKeys},
		{text: "[a]\n", want: "f.yaml:1:1: the file: found sequence, want a mapping with the keys " + topKeys},
		{text: "nats: x\n", want: "f.yaml:1:7: nats: found string, want a mapping with the keys " + natsKeys},
		{text: "nats: [a]\n", want: "f.yaml:1:7: nats: found sequence, want a mapping with the keys " + natsKeys},
		{
			text: "nats: {tls: yes}\n",
			want: "f.yaml:1:13: nats.tls: found string, want a mapping with the keys ca, cert, first, key",
		},
		{
			text: "nats:\n  url: x\n  replicas: three\n",
			want: "f.yaml:3:13: nats.replicas: found string, want a number",
		},
		{text: "nats: {url: x, replicas: 3.5}\n", want: "f.yaml:1:26: nats.replicas: found float, want a number"},
		{text: "groups: api\n", want: "f.yaml:1:9: groups: found string, want a list: [a, b]"},
		{text: "groups:\n- [a]\n", want: "f.yaml:2:3: groups[0]: found sequence, want a text"},
		{text: "groups: [a, {b: c}]\n", want: "f.yaml:1:13: groups[1]: " + isMap},
		{text: "data_dir: {a: b}\n", want: "f.yaml:1:11: data_dir: " + isMap},
		{
			text: "groups: [a, 007]\n",
			want: "f.yaml:1:13: groups[1]: found the number 007, want a text: '007' with quotes",
		},
		{
			text: "groups: [1.50]\n",
			want: "f.yaml:1:10: groups[0]: found the number 1.50, want a text: '1.50' with quotes",
		},
		{
			text: "nats: {url: x, user: 0x1F}\n",
			want: "f.yaml:1:22: nats.user: found the number 0x1F, want a text: '0x1F' with quotes",
		},
		{text: "max_age: [1h]\n", want: "f.yaml:1:10: max_age: found sequence, want a text"},
		// Values.
		{text: "max_age: 5\n", want: `f.yaml:1:10: max_age: invalid duration "5": ` + wantDuration},
		{text: "max_age: -5m\n", want: `f.yaml:1:10: max_age: invalid duration "-5m": ` + wantDuration},
		{text: "max_age: tomorrow\n", want: `f.yaml:1:10: max_age: invalid duration "tomorrow": ` + wantDuration},
		{
			text: "max_age: 0s\n",
			want: "f.yaml:1:10: max_age: invalid value 0s: want a duration above zero: no event would be young enough to be reported",
		},
		{
			text: "embedded:\n  max_store: 1XB\n",
			want: `f.yaml:2:14: embedded.max_store: invalid size "1XB": ` + wantSize,
		},
		{
			text: "embedded:\n  max_store: 1KiB\n",
			want: "f.yaml:2:14: embedded.max_store: invalid value 1KiB: want 1MiB or more",
		},
		{text: "embedded: {listen: 4222}\n", want: `f.yaml:1:20: embedded.listen: invalid value "4222": ` + noListen},
		{
			text: "embedded: {listen: 'h:nats'}\n",
			want: `f.yaml:1:20: embedded.listen: invalid value "h:nats": ` + noListen,
		},
		{
			text: "embedded: {listen: 'h:70000'}\n",
			want: `f.yaml:1:20: embedded.listen: invalid value "h:70000": ` + noListen,
		},
		{text: "embedded: {listen: ''}\n", want: `f.yaml:1:20: embedded.listen: invalid value "": ` + noListen},
		{text: "groups: [a, 'b[']\n", want: `f.yaml:1:13: groups[1]: invalid value "b[": ` + wantGlob},
		{text: "groups:\n- a\n- '${SET}'\n", want: `f.yaml:3:3: groups[1]: invalid value "[": ` + wantGlob},
		{text: "nats: {url: x, replicas: 9}\n", want: "f.yaml:1:26: nats.replicas: invalid value 9: want 1 to 5"},
		{text: "nats:\n  url: x\n  replicas: 0\n", want: "f.yaml:3:13: nats.replicas: invalid value 0: want 1 to 5"},
		{text: "nats: {replicas: -1}\n", want: "f.yaml:1:18: nats.replicas: invalid value -1: want 1 to 5"},
		{
			text: "max_age: 1h\nnats: {user: bob}\n",
			want: "f.yaml:2:1: nats: credentials are set, but neither url nor context: the embedded server needs none",
		},
		{
			text: "nats:\n  url: x\n  creds_file: a\n  user: b\n",
			want: "f.yaml:1:1: nats: creds and user are set: want one of creds, nkey, user, token-file",
		},
		{
			text: "nats: {url: x, context: y}\n",
			want: "f.yaml:1:1: nats: url x and context y are set: want one of them",
		},
		{text: "nats: {url: x, password_file: y}\n", want: "f.yaml:1:1: nats: a password file is set without a user"},
		{
			text: "nats: {url: x, tls: {cert: y}}\n",
			want: "f.yaml:1:1: nats: a TLS certificate or its key is missing: want both",
		},
		// Variables.
		{text: "data_dir: \"${UNSET}\"\n", want: "f.yaml:1:11: variable ${UNSET} is not set"},
		{text: "groups: [a, \"${UNSET_1}${UNSET_2}\"]\n", want: "f.yaml:1:13: variable ${UNSET_1} is not set"},
		{text: "data_dir: ${}\n", want: "f.yaml:1:11: variable ${} is not set"},
		{
			text: "data_dir: ${HOME:-/x}\n",
			want: "f.yaml:1:11: variable ${HOME:-/x} is not set; want letters, digits and _, without a default, or $${HOME:-/x} for the text itself",
		},
		{text: "max_age: ${N}\n", want: `f.yaml:1:10: max_age: invalid duration "007": ` + wantDuration},
		// Documents.
		{text: "max_age: 1h\n---\nmax_age: 2h\n", want: "f.yaml:2:1: a second document begins; want one"},
		{text: "---\n---\nmax_age: 2h\n", want: "f.yaml:2:1: a second document begins; want one"},
		{text: "# a\n---\n# b\n---\nmax_age: 2h\n", want: "f.yaml:4:1: a second document begins; want one"},
		// YAML.
		{text: "nats: {url: x}\nnats: {url: y}\n", want: `f.yaml:2:1: duplicate key "nats": already defined at 1:1`},
		{text: "nats:\n  url: x\n  url: y\n", want: `f.yaml:3:3: duplicate key "nats.url": already defined at 2:3`},
		{text: "nats: {url: x\n", want: "f.yaml:1:7: could not find flow mapping end token '}'"},
		{text: "nats:\n\turl: x\n", want: "f.yaml:2:1: found a tab in the indentation, want spaces"},
		{text: "a: b: c\n", want: "f.yaml:1:4: mapping value is not allowed in this context"},
		{text: "groups: [*x]\n", want: `f.yaml:1:11: could not find alias "x"`},
		// The section mail names its own keys.
		{text: "mail: x\n", want: "f.yaml:1:7: mail: found string, want a mapping with the keys " + topMailKeys},
		{text: "mail: {to: ops@example.com}\n", want: "f.yaml:1:12: mail.to: found string, want a list: [a, b]"},
		{
			text: "mail:\n  timeout: soon\n",
			want: `f.yaml:2:12: mail.timeout: invalid duration "soon": ` + wantDuration,
		},
	} {
		if _, err := loadText(t, c.text); !hasLine(err, c.want) {
			t.Errorf("%q\n got: %v\nwant: %s", c.text, err, c.want)
		}
	}
}

// What is wrong in a section stands at its key, each mistake on its line. The
// words are those of consumer/notify/mail.
func TestLoadPlacesMistakesInMail(t *testing.T) {
	good := "mail:\n  smarthost: h:25\n  from: a@example.com\n  to: [b@example.com]\n"
	for _, c := range []struct{ text, want string }{
		{
			text: "mail:\n  smarthost: h\n  from: a@example.com\n  to: [b@example.com]\n",
			want: "^f.yaml:2:14: mail.smarthost: [^\n]*$",
		},
		{text: good + "  tls: maybe\n", want: "^f.yaml:5:8: mail.tls: [^\n]*$"},
		{
			text: "mail:\n  smarthost: h:25\n  from: a\n  to: [b@example.com, nobody]\n",
			want: "^f.yaml:3:9: mail.from: [^\n]*\nf.yaml:4:23: mail.to\\[1\\]: [^\n]*$",
		},
		{text: good + "  username: u\n", want: "^f.yaml:1:1: mail: password_file: missing[^\n]*$"},
		{
			text: "max_age: 1h\nmail:\n  smarthost: h:25\n",
			want: "^f.yaml:2:1: mail: from: missing[^\n]*\nf.yaml:2:1: mail: to: missing[^\n]*$",
		},
	} {
		if _, err := loadText(t, c.text); err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) {
			t.Errorf("%q\n got: %v\nwant: %s", c.text, err, c.want)
		}
	}
}

func TestLoadRefusesAFileThatIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), "read configuration: ") || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

func TestLoad(t *testing.T) {
	t.Setenv("HOST_1", "nats-1")
	t.Setenv("EMPTY", "")
	t.Setenv("AGE", "2d12h")
	with := func(change func(*Config)) Config {
		c := Default()
		change(&c)
		return c
	}
	for name, c := range map[string]struct {
		text string
		want Config
	}{
		"empty": {text: "", want: Default()},
		"byte order mark": {
			text: "\ufeffmax_age: 7d\r\n",
			want: with(func(c *Config) { c.MaxAge = schema.Duration(7 * 24 * time.Hour) }),
		},
		"an end": {
			text: "max_age: 7d\n...\n# more\n",
			want: with(func(c *Config) { c.MaxAge = schema.Duration(7 * 24 * time.Hour) }),
		},
		"only comments": {text: "# nothing\n", want: Default()},
		"only a header": {text: "---\n", want: Default()},
		"keys without":  {text: strings.ReplaceAll(topKeys, ", ", ":\n") + ":\n", want: Default()},
		"days": {
			text: "max_age: 7d\n",
			want: with(func(c *Config) { c.MaxAge = schema.Duration(7 * 24 * time.Hour) }),
		},
		"days and hours": {
			text: "max_age: 1d12h\n",
			want: with(func(c *Config) { c.MaxAge = schema.Duration(36 * time.Hour) }),
		},
		"variables": {
			text: "nats: {url: 'nats://${HOST_1}:4222,nats://$HOST_1${EMPTY}'}\nmax_age: ${AGE}\ngroups: ['${HOST_1}', '${HOST_1}_${HOST_1}', \"a${EMPTY}\"]\ndata_dir: >-\n  /srv/${HOST_1}\n",
			want: with(func(c *Config) {
				c.NATS.URL, c.DataDir = "nats://nats-1:4222,nats://$HOST_1", "/srv/nats-1"
				c.MaxAge = schema.Duration(60 * time.Hour)
				c.Groups = []string{"nats-1", "nats-1_nats-1", "a"}
			}),
		},
		"no variables": {
			text: "data_dir: /$${HOST_1}/$HOST_1/$$HOST_1/$${UNSET%.*}\n",
			want: with(func(c *Config) { c.DataDir = "/${HOST_1}/$HOST_1/$$HOST_1/${UNSET%.*}" }),
		},
		"numbers that are text": {
			text: "groups: [1, true, 1.5, '1.50', '007']\ndata_dir: !!str ${HOST_1}\n",
			want: with(func(c *Config) { c.Groups, c.DataDir = []string{"1", "true", "1.5", "1.50", "007"}, "nats-1" }),
		},
		"anchors": {
			text: "nats: {url: &u '${HOST_1}', user: *u}\n",
			want: with(func(c *Config) { c.NATS.URL, c.NATS.User = "nats-1", "nats-1" }),
		},
		"everything": {
			text: `---
nats:
  url: nats://nats-1:4222,nats://nats-2:4222
  user: supernats
  password_file: /etc/supernats/nats-password
  tls: {ca: ca.pem, cert: cert.pem, key: key.pem}
  replicas: 3
embedded: {listen: "127.0.0.1:4223", max_store: 512MiB}
data_dir: /srv/supernats
mail:
  smarthost: smtp.example.com:465
  tls: implicit
  from: ops@example.com
  to: [ops@example.com, "Night Shift <night@example.com>"]
  username: ops@example.com
  password_file: /etc/supernats/smtp-password
  timeout: 20s
groups: [api, "worker-*"]
max_age: 48h
`,
			want: with(func(c *Config) {
				c.NATS = NATS{
					Settings: natsconn.Settings{
						URL: "nats://nats-1:4222,nats://nats-2:4222", User: "supernats", PasswordFile: "/etc/supernats/nats-password",
						TLS: natsconn.TLS{CA: "ca.pem", Cert: "cert.pem", Key: "key.pem"},
					},
					Replicas: 3,
				}
				c.Embedded = embedded.Config{Listen: "127.0.0.1:4223", MaxStore: 512 << 20}
				c.DataDir = "/srv/supernats"
				c.Mail = &Mail{Config: mail.Config{
					Smarthost: "smtp.example.com:465", TLS: "implicit", From: "ops@example.com",
					To: []string{"ops@example.com", "Night Shift <night@example.com>"}, Username: "ops@example.com",
					PasswordFile: "/etc/supernats/smtp-password", Timeout: schema.Duration(20 * time.Second),
				}}
				c.Groups, c.MaxAge = []string{"api", "worker-*"}, schema.Duration(48*time.Hour)
			}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := loadText(t, c.text)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestClient(t *testing.T) {
	c := Default()
	if got := c.Client(); got != (natsconn.Settings{URL: "nats://127.0.0.1:4222"}) {
		t.Errorf("of the embedded server: %+v", got)
	}
	c.NATS.Context = "prod"
	if got := c.Client(); got != (natsconn.Settings{Context: "prod"}) {
		t.Errorf("of a context: %+v", got)
	}
}

func TestDataDir(t *testing.T) {
	c := Config{DataDir: "/srv/x"}
	if err := c.FindDataDir(); err != nil || c.DataDir != "/srv/x" {
		t.Errorf("%q %v", c.DataDir, err)
	}
}

// Whatever stands in the file: no panic, and what is accepted is valid.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "---\n---\n", "nats: {url: x, replicas: 3, tls: {ca: a}}\n", "embedded: {listen: 'h:1', max_store: 4GiB}\n", "max_age: 7d\n",
		"groups: [a, '${HOME}', \"b*\"]\n", "mail:\n  smarthost: h:25\n  from: a@b.c\n  to: [d@e.f]\n", "nats: &a {url: x}\nmail: *a\n",
		"groups: &g [*g]\n", "data_dir: |\n  a\n  ${x}\n", "? a\n: b\n", "nats: !!map {url: h}\n", "data_dir: !!binary aGk=\n", "<<: *a", "a\x00: \xff", "nats:\n\turl: x\n",
		"groups: [007, .inf, ~, 1e3, 2026-11-21]\n", "{", "[", "- - -", "\"\\u0000\"", "&a &b c", "!", "%YAML 1.2\n---\n", "nats: {tls: *x}\n",
		"rules: []\n", "rules:\n- {name: a, event: A, expected: false, labels: {a: b, 1: 2}, group_wait: 0s, notify: mail}\n- name: b\n  mute_during: [{times: [{start_time: '22:00'}], months: 5}]\n",
		"mail: {smarthost: 'h:25', from: a@b.c, to: [d@e.f]}\nreceivers:\n- {name: x, mail: {to: [x@y.z]}, rate_limit: {burst: 1, every: 1s}}\n", "send_resolved: ${HOME}\n",
		"receivers: [&r {name: x, mail: *r}]\n", "rules: &r [{labels: &l {a: *l}}, *r]\n", "max_age: 1h\n...\n- x\n", "a:\tb\tc\n", "\ufeff", "data_dir: !!str 007\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := Default()
		if err := checkFile(decode("f.yaml", text, &c), &c, false); err != nil {
			if !strings.HasPrefix(err.Error(), "f.yaml:") {
				t.Errorf("an error without its file: %v", err)
			}
			return
		}
		if err := planError(c); err != nil {
			t.Errorf("accepted, but %v", err)
		}
	})
}
