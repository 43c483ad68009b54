package config

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"supernats/consumer/config/strict"
	"supernats/consumer/notify/mail"
	"supernats/consumer/rules"
	"supernats/schema"
)

// ops is a section mail that is right, on line 1.
const ops = "mail: {smarthost: 'h:25', from: a@example.com, to: [ops@example.com]}\n"

// The numbers of lines count from the beginning of the text after ops.
func TestLoadRefusesReceivers(t *testing.T) {
	const noName = "want letters, digits, '-', '_' and '.'"
	noKind := "no settings: want one of " + kindKeys
	for _, c := range []struct{ text, want string }{
		{
			text: "receivers: {name: x}\n",
			want: "2:12: receivers: found mapping, want a list of mappings with the keys " + receiverKeys,
		},
		{
			text: "receivers:\n- x\n",
			want: "3:3: receivers[0]: found string, want a mapping with the keys " + receiverKeys,
		},
		{text: "receivers:\n- {name: x, mail: {}}\n-\n", want: "4:3: receivers[1]: found null, want a value"},
		{
			text: "receivers:\n- name: x\n  slak: {}\n",
			want: `4:3: unknown key "receivers[0].slak": want one of ` + receiverKeys + "; did you mean slack?",
		},
		{
			text: "receivers:\n- name: x\n  mail: {rate_limit: {}}\n",
			want: `4:10: unknown key "receivers[0].mail.rate_limit": want one of ` + strings.Replace(topMailKeys, "rate_limit, ", "", 1),
		},
		{text: "receivers:\n- {name: [x], mail: {}}\n", want: "3:10: receivers[0].name: found sequence, want a text"},
		{
			text: "receivers:\n- mail: {}\n",
			want: "3:3: receivers[0].name: missing; a receiver needs a name, for example chat",
		},
		{
			text: "receivers:\n- name: ''\n  mail: {}\n",
			want: "3:9: receivers[0].name: missing; a receiver needs a name, for example chat",
		},
		{
			text: "receivers:\n- {mail: {}}\n",
			want: "3:3: receivers[0].name: missing; a receiver needs a name, for example chat",
		},
		{
			text: "receivers:\n- {name: a b, mail: {}}\n",
			want: `3:10: receivers[0].name: invalid value "a b": ` + noName,
		},
		{
			text: "receivers:\n- {name: mail/x, mail: {}}\n",
			want: `3:10: receivers[0].name: invalid value "mail/x": ` + noName,
		},
		{
			text: "receivers:\n- {name: \"a\\nb\", mail: {}}\n",
			want: `3:10: receivers[0].name: invalid value "a\nb": ` + noName,
		},
		{
			text: "receivers:\n- {name: " + strings.Repeat("ä", 33) + ", mail: {}}\n",
			want: "3:10: receivers[0].name: invalid value of 66 bytes: want at most 64",
		},
		{
			text: "receivers:\n- {name: mail, mail: {}}\n",
			want: `3:10: receivers[0].name: invalid value "mail": it is the name of the receiver of the section mail; want another one`,
		},
		{
			text: "receivers:\n- {name: Mail, mail: {}}\n",
			want: `3:10: receivers[0].name: invalid value "Mail": it is the name of the receiver of the section mail; want another one`,
		},
		{
			text: "receivers:\n- {name: x, mail: {}}\n- {name: y, mail: {}}\n- {name: X, mail: {}}\n",
			want: `5:10: receivers[2].name: duplicate name "X", also that of receivers[0]; want another one (small letters and capitals count as the same)`,
		},
		{text: "receivers:\n- name: x\n", want: "3:3: receivers[0]: " + noKind},
		{text: "receivers:\n- {name: x, mail: }\n", want: "3:3: receivers[0]: " + noKind},
		{
			text: "receivers:\n- name: x\n  mail: {to: [y]}\n",
			want: "4:15: receivers[0].mail.to[0]: invalid address \"y\" (missing '@' or angle-addr): want one address, for example ops@example.com",
		},
		{
			text: "receivers:\n- name: x\n  mail: {timeout: 0s}\n",
			want: "4:19: receivers[0].mail.timeout: invalid value 0s: want a duration above zero; the default is 10s",
		},
		{
			text: "receivers:\n- name: x\n  mail:\n    username: u\n",
			want: `4:3: receivers[0].mail: password_file: missing, but there is a username ("u")`,
		},
		{
			text: "receivers:\n- name: x\n  mail: {}\n  rate_limit: {burst: 5}\n",
			want: "5:3: receivers[0].rate_limit: every: invalid value 0s: want a duration above zero",
		},
		{
			text: "receivers:\n- name: x\n  mail: {}\n  rate_limit: {every: 1m, burst: 0}\n",
			want: "5:34: receivers[0].rate_limit.burst: invalid value 0: want 1 or more",
		},
		{
			text: "receivers:\n- name: x\n  mail: {}\n  rate_limit: 5\n",
			want: "5:15: receivers[0].rate_limit: found integer, want a mapping with the keys burst, every",
		},
	} {
		if _, err := loadText(t, ops+c.text); !hasLine(err, "f.yaml:"+c.want) {
			t.Errorf("%q\n got: %v\nwant: f.yaml:%s", c.text, err, c.want)
		}
	}
	const want = "f.yaml:1:60: mail.rate_limit.burst: invalid value -1: want 1 or more"
	if _, err := loadText(t, "mail: {smarthost: 'h:25', from: a@b.c, rate_limit: {burst: -1, every: 1s}, to: [a@b.c]}\n"); err == nil || err.Error() != want {
		t.Errorf("got: %v\nwant: %s", err, want)
	}
}

func TestLoadRefusesRules(t *testing.T) {
	t.Setenv("WORD", "some")
	for _, c := range []struct{ text, want string }{
		{
			text: "rules: {a: b}\n",
			want: "2:8: rules: found mapping, want a list of mappings with the keys " + ruleKeys,
		},
		{
			text: "rules:\n- {name: a}\n- b\n",
			want: "4:3: rules[1]: found string, want a mapping with the keys " + ruleKeys,
		},
		{
			text: "rules:\n- name: a\n  nam: b\n",
			want: `4:3: unknown key "rules[0].nam": want one of ` + ruleKeys + "; did you mean name?",
		},
		{text: "rules:\n- name: a\n  name: b\n", want: `4:3: duplicate key "rules[0].name": already defined at 3:3`},
		{
			text: "rules:\n- event: TICK\n",
			want: "3:3: rules[0].name: is missing; every rule needs a name, which is part of its alerts' ids",
		},
		{
			text: "rules:\n- {name: a, loss: true}\n- {name: b, loss: true}\n- {name: a, loss: true}\n",
			want: `5:10: rules[2].name: found "a", which is the name of rules[0] too; every rule needs a name of its own`,
		},
		{text: "rules:\n- name: a\n  event: {a: b}\n", want: "4:10: rules[0].event: " + isMap},
		{
			text: "rules:\n- name: a\n  event: [A, [B]]\n",
			want: "4:14: rules[0].event[1]: found sequence, want a text",
		},
		{text: "rules:\n- name: a\n  event: [A, ~]\n", want: "4:14: rules[0].event[1]: found null, want a value"},
		{
			text: "rules:\n- name: a\n  hosts: 010\n",
			want: "4:10: rules[0].hosts: found the number 010, want a text: '010' with quotes",
		},
		{
			text: "rules:\n- name: a\n  expected: no\n",
			want: "4:13: rules[0].expected: found string, want true or false",
		},
		{
			text: "rules:\n- name: a\n  expected: 0\n",
			want: "4:13: rules[0].expected: found integer, want true or false",
		},
		{text: "rules:\n- name: a\n  loss: \"true\"\n", want: "4:9: rules[0].loss: found string, want true or false"},
		{
			text: "rules:\n- name: a\n  loss: ${WORD}\n",
			want: `4:9: rules[0].loss: invalid value "some": want true or false`,
		},
		{text: "rules:\n- name: a\n  count: 1.5\n", want: "4:10: rules[0].count: found float, want a number"},
		{text: "rules:\n- name: a\n  count: \"3\"\n", want: "4:10: rules[0].count: found string, want a number"},
		{
			text: "rules:\n- name: a\n  count: ${WORD}\n",
			want: `4:10: rules[0].count: invalid value "some": want a number up to 9223372036854775807`,
		},
		{
			text: "rules:\n- name: a\n  count: 18446744073709551615\n",
			want: `4:10: rules[0].count: invalid value "18446744073709551615": want a number up to 9223372036854775807`,
		},
		{
			text: "rules:\n- name: a\n  within: 5\n",
			want: `4:11: rules[0].within: invalid duration "5": ` + wantDuration,
		},
		{
			text: "rules:\n- name: a\n  group_wait: soon\n",
			want: `4:15: rules[0].group_wait: invalid duration "soon": ` + wantDuration,
		},
		{
			text: "rules:\n- name: a\n  send_resolved: 1\n",
			want: "4:18: rules[0].send_resolved: found integer, want true or false",
		},
		{
			text: "rules:\n- name: a\n  labels: [x]\n",
			want: "4:11: rules[0].labels: found sequence, want a mapping: {name: text}",
		},
		{
			text: "rules:\n- name: a\n  labels: {a: [b]}\n",
			want: "4:15: rules[0].labels.a: found sequence, want a text",
		},
		{
			text: "rules:\n- name: a\n  labels:\n    a: 1\n    \"a\": 2\n",
			want: `6:5: duplicate key "rules[0].labels.a": already defined at 5:5`,
		},
		{
			text: "rules:\n- name: a\n  labels: {a: 1.50}\n",
			want: "4:15: rules[0].labels.a: found the number 1.50, want a text: '1.50' with quotes",
		},
		{text: "rules:\n- name: a\n  annotations: {a: \"${UNSET}\"}\n", want: "4:20: variable ${UNSET} is not set"},
		{
			text: "rules:\n- name: a\n  mute_during: {times: []}\n",
			want: "4:16: rules[0].mute_during: found mapping, want a list of mappings with the keys days_of_month, location, months, times, weekdays, years",
		},
		{
			text: "rules:\n- name: a\n  mute_during:\n  - times: [{start: x}]\n",
			want: `5:14: unknown key "rules[0].mute_during[0].times[0].start": want one of end_time, start_time; did you mean start_time?`,
		},
		{
			text: "rules:\n- name: a\n  mute_during: [{weekdays: [monday:friday]}]\n",
			want: "4:29: rules[0].mute_during[0].weekdays[0]: " + isMap,
		},
		{
			text: "rules:\n- name: a\n  if: exit.code\t== 3\n",
			want: "4:7: found a tab in a text without quotes, want spaces",
		},
		// Receivers.
		{
			text: "rules:\n- name: a\n  notify: chat\n  loss: true\n",
			want: `4:11: rules[0].notify: unknown receiver "chat": want one of the receivers mail`,
		},
		{
			text: "receivers:\n- {name: night, mail: {}}\nrules:\n- name: a\n  loss: true\n  notify: [mail, night]\n- name: b\n  loss: true\n  notify:\n  - mail\n  - Night\n",
			want: `12:5: rules[1].notify[1]: unknown receiver "Night": want one of the receivers mail, night`,
		},
		{
			text: "rules:\n- name: a\n  loss: true\n  notify: [mail]\n  escalate:\n  - {after: 5m, notify: [boss]}\n",
			want: `7:26: rules[0].escalate[0].notify[0]: unknown receiver "boss": want one of the receivers mail`,
		},
	} {
		if _, err := loadText(t, ops+c.text); !hasLine(err, "f.yaml:"+c.want) {
			t.Errorf("%q\n got: %v\nwant: f.yaml:%s", c.text, err, c.want)
		}
	}
	const want = `f.yaml:3:12: rules[0].notify[0]: unknown receiver "mail": there are no receivers; add a section mail or receivers`
	if _, err := loadText(t, "rules:\n- name: a\n  notify: [mail]\n  loss: true\n"); err == nil || err.Error() != want {
		t.Errorf("got: %v\nwant: %s", err, want)
	}
}

// Every mistake is reported in one run, in the order of the file: first those of the
// form, then those of the values.
func TestLoadTellsAll(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{text: "max_age: 5\nnope: 1\nrules:\n- {name: [], count: x}\n", want: `f.yaml:1:10: max_age: invalid duration "5": ` + wantDuration + `
f.yaml:2:1: unknown key "nope": want one of ` + topKeys + `
f.yaml:4:3: rules[0]: is about nothing; it needs one of event, state, quorum, silent, loss and trouble
f.yaml:4:10: rules[0].name: found sequence, want a text
f.yaml:4:21: rules[0].count: found string, want a number`},
		{text: "repeat_interval: 0s\nlisten: x\ngroup_interval: 0s\nmax_age: 0s\nrules: [{}]\ngroups: ['[']\n", want: `f.yaml:1:18: repeat_interval: invalid value 0s: want a duration above zero: an open alert would be repeated without end
f.yaml:2:9: listen: invalid value "x": ` + noListen + `, or nothing: ''
f.yaml:3:17: group_interval: invalid value 0s: want a duration above zero: every event would be reported by itself
f.yaml:4:10: max_age: invalid value 0s: want a duration above zero: no event would be young enough to be reported
f.yaml:5:9: rules[0].name: is missing; every rule needs a name, which is part of its alerts' ids
f.yaml:5:9: rules[0]: is about nothing; it needs one of event, state, quorum, silent, loss and trouble
f.yaml:6:10: groups[0]: invalid value "[": ` + wantGlob},
		{text: "mail: {smarthost: 'h:25', from: a@b.c, to: [x]}\nreceivers:\n- {name: n, mail: {}}\n- {name: n, mail: {}}\n", want: `f.yaml:1:45: mail.to[0]: invalid address "x" (missing '@' or angle-addr): want one address, for example ops@example.com
f.yaml:4:10: receivers[1].name: duplicate name "n", also that of receivers[0]; want another one (small letters and capitals count as the same)`},
		{text: "groups: [" + strings.Repeat("[], ", 110) + "]\n", want: "f.yaml: and 10 mistakes more"},
	} {
		if _, err := loadText(t, c.text); err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%q\n got: %v\nwant: %s", c.text, err, c.want)
		}
	}
}

// A mistake in the rules has the place of its key.
func TestRuleErrorsHaveAPosition(t *testing.T) {
	text := "rules:\n- name: a\n- name: b\n  if: |\n    x\n  labels: {team: x}\n"
	for path, want := range map[string]string{
		"[1].if":               "f.yaml:4:7: rules[1].if: wrong",
		"[1].labels.team":      "f.yaml:6:18: rules[1].labels.team: wrong",
		"[1].state":            "f.yaml:3:3: rules[1].state: wrong",
		"[0].mute_during[2].x": "f.yaml:2:3: rules[0].mute_during[2].x: wrong",
		"[7]":                  "f.yaml:1:1: rules[7]: wrong",
		"":                     "f.yaml:1:1: rules: wrong",
	} {
		want += "\n | x"
		c := Default()
		f := decode("f.yaml", []byte(text), &c)
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		var p problems
		p.addRules(fmt.Errorf("compile: %w", &rules.ConfigError{Path: path, Err: errors.New("wrong\n | x")}))
		f.Add(p)
		if got := f.Err(); got == nil || got.Error() != want {
			t.Errorf("%s: got %v, want %s", path, got, want)
		}
	}
}

func TestLoadSections(t *testing.T) {
	t.Setenv("N", "3")
	t.Setenv("NO", "false")
	text := `
mail:
  smarthost: smtp.example.com:465
  from: ops@example.com
  to: [ops@example.com]
  username: ops
  password_file: /etc/pw
  rate_limit: {burst: 5, every: 1m}
receivers:
  - name: night
    mail: {to: [night@example.com], timeout: 20s}
  - name: Überwachung_2.x-y
    mail:
      smarthost: relay:25
      username: ""
      password_file: ''
    rate_limit: {burst: 1, every: 10s}
  - {name: own-secret, mail: {password: hush, from: }}
nats: {url: x, replicas: "${N}"}
listen: ''
web_config: web.yaml
group_wait: 10s
group_interval: 10m
repeat_interval: 1d
resolve_after: 0s
send_resolved: ${NO}
mute_restarts: 5m
rules:
  - name: one
    event: PROCESS_STATE_EXITED
    expected: ${NO}
    oom: ${NO}
    if: 'exit.signal == "SIGKILL"'
    count: ${N}
    within: 10m
    hosts: &web ['web*', 7]
    groups: api
    labels: {team: web, "on_call": 1, three: ~}
    notify: night
    group_wait: 0s
    send_resolved: false
  - name: two
    for: 1m
    quorum: 7
    hosts: *web
    mute_during:
      - times: [{start_time: 22:00, end_time: "24:00"}]
        weekdays: [monday:friday, sunday]
        days_of_month: [1:5, -1]
        months: 5
        years: []
        location: Europe/Berlin
    annotations:
      summary: >-
        {{ .Host }}
        is down
`
	top := mail.Config{
		Smarthost: "smtp.example.com:465", From: "ops@example.com", To: []string{"ops@example.com"},
		Username: "ops", PasswordFile: "/etc/pw", Timeout: mail.DefaultTimeout,
	}
	receiver := func(name string, l *RateLimit, change func(*mail.Config)) Receiver {
		m := top
		change(&m)
		return Receiver{Name: name, Kinds: Kinds{Mail: &m}, RateLimit: l}
	}
	no, zero := false, schema.Duration(0)
	want := Default()
	want.Mail = &Mail{Config: top, RateLimit: &RateLimit{Burst: 5, Every: schema.Duration(time.Minute)}}
	want.Receivers = []Receiver{
		receiver("night", nil, func(m *mail.Config) {
			m.To, m.Timeout = []string{"night@example.com"}, schema.Duration(20*time.Second)
		}),
		receiver("Überwachung_2.x-y", &RateLimit{Burst: 1, Every: schema.Duration(10 * time.Second)}, func(m *mail.Config) {
			m.Smarthost, m.Username, m.PasswordFile = "relay:25", "", ""
		}),
		receiver("own-secret", nil, func(m *mail.Config) { m.Password, m.PasswordFile = "hush", "" }),
	}
	want.NATS.URL, want.NATS.Replicas = "x", 3
	want.Listen, want.WebConfig = "", "web.yaml"
	want.GroupWait, want.GroupInterval = schema.Duration(10*time.Second), schema.Duration(10*time.Minute)
	want.RepeatInterval, want.ResolveAfter = schema.Duration(24*time.Hour), 0
	want.SendResolved, want.MuteRestarts = false, schema.Duration(5*time.Minute)
	want.Rules = []rules.Config{
		{
			Name: "one", Event: rules.List{"PROCESS_STATE_EXITED"}, Expected: &no, OOM: &no, If: `exit.signal == "SIGKILL"`,
			Count: 3, Within: schema.Duration(10 * time.Minute), Hosts: rules.List{"web*", "7"}, Groups: rules.List{"api"},
			Labels: map[string]string{"team": "web", "on_call": "1", "three": ""}, Notify: rules.List{"night"},
			GroupWait: &zero, SendResolved: &no,
		},
		{
			Name: "two", For: schema.Duration(time.Minute), Quorum: 7, Hosts: rules.List{"web*", "7"},
			MuteDuring: []rules.Interval{{
				Times: []rules.TimeRange{{Start: "22:00", End: "24:00"}}, Weekdays: rules.List{"monday:friday", "sunday"},
				DaysOfMonth: rules.List{"1:5", "-1"}, Months: rules.List{"5"}, Years: rules.List{}, Location: "Europe/Berlin",
			}},
			Annotations: map[string]string{"summary": "{{ .Host }} is down"},
		},
	}
	got, err := loadText(t, text)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if s := got.Summary(); s != "2 rules, 4 receivers" {
		t.Error(s)
	}
	if d := cmp.Diff([]string{"mail", "night", "Überwachung_2.x-y", "own-secret"}, got.ReceiverNames()); d != "" {
		t.Error(d)
	}
}

func TestNoRules(t *testing.T) {
	for text, want := range map[string][]rules.Config{"": nil, "rules:\n": nil, "rules: ~\n": nil, "rules: []\n": {}} {
		c, err := loadText(t, text)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, c.Rules); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}

func TestLoadRules(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.yaml")
	for text, ok := range map[string]bool{
		"rules:\n- {name: a, loss: true, notify: [mail, chat]}\n":                     true,
		"group_wait: 1m\nrules:\n- {name: a, loss: true, notify: chat}\n":             true,
		ops + "rules:\n- {name: a, loss: true, notify: [mail, chat]}\n":               false,
		"receivers: []\nrules:\n- {name: a, loss: true, notify: [mail, chat]}\n":      false,
		"rules:\n- {notify: mail}\n":                                                  false,
		"rules:\n- {name: a, notify: {}}\n":                                           false,
		"group_interval: 0s\nrules:\n- {name: a, loss: true, notify: [mail, chat]}\n": false,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadRules(path); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Few aliases can stand for a lot.
func TestLoadBoundsAliases(t *testing.T) {
	text := "groups: &a [" + strings.Repeat("x, ", 2000) + "]\nrules: [&r {name: x, hosts: *a}" + strings.Repeat(", *r", 2000) + "]\n"
	const want = "aliases make more than 131072 values"
	if _, err := loadText(t, text); err == nil || !strings.HasSuffix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got: %.200v\nwant: %s", err, want)
	}
}

// No error shows a secret, whatever is wrong with it or beside it.
func TestLoadShowsNoSecret(t *testing.T) {
	const secret = "0815"
	t.Setenv("PASSWORD", secret)
	for _, text := range []string{
		"mail: {password: " + secret + "}\n",
		"mail: {password: [" + secret + "]}\n",
		"mail: {password: {" + secret + ": " + secret + "}}\n",
		"mail: {password: '" + secret + "'}\n",
		"mail:\n  password: ${PASSWORD}\n  timeout: 0s\n",
		"mail: {password: ${PASSWORD}}\n",
		"mail: {password: " + secret + "\n",
		"mail:\n  password: '" + secret + "\n",
		"mail:\n  password: " + secret + "\n  password: " + secret + "1\n",
		"mail:\n  password: " + secret + ": x\n",
		"mail:\n  password: \"" + secret + "\\z\"\n",
		"mail:\n  password: a\t" + secret + "\n",
		"mail:\n  password: !" + "x " + secret + "\n",
		"mail:\n  password: " + secret + "\n    - x\n",
		"receivers:\n- {name: x, mail: {password: " + secret + "}}\n",
	} {
		if _, err := loadText(t, text); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", text, err)
		}
	}
	c, err := loadText(t, "mail: {smarthost: 'h:25', from: a@b.c, to: [d@e.f], username: u, password: \"${PASSWORD}\"}\nreceivers: [{name: x, mail: {}}]\n")
	if err != nil {
		t.Fatal(err)
	}
	if string(c.Receivers[0].Mail.Password) != secret {
		t.Errorf("the receiver has not inherited the password: %v", c.Receivers[0].Mail)
	}
	all := c.AllReceivers()
	for _, s := range []string{fmt.Sprintf("%v %+v %#v", c, c, c), fmt.Sprintf("%v %+v %#v", *c.Mail, *c.Mail, *c.Mail), fmt.Sprintf("%v %#v", all[1].Mail, *all[1].Mail)} {
		if strings.Contains(s, secret) {
			t.Errorf("shows the password: %s", s)
		}
	}
}

// Every kind of receiver has what the loader asks for.
func TestKinds(t *testing.T) {
	for _, name := range kindNames() {
		f := strict.Fields(reflect.TypeFor[Kinds]())[name]
		if f.Type.Kind() != reflect.Pointer || !f.Type.Implements(reflect.TypeFor[settings]()) {
			t.Errorf("%s: %v is no pointer to a type with Validate() error", name, f.Type)
			continue
		}
		m, ok := f.Type.MethodByName("WithDefaults")
		if !ok || m.Type.NumIn() != 1 || m.Type.NumOut() != 1 || m.Type.Out(0) != f.Type.Elem() {
			t.Errorf("%s: %v has no WithDefaults() %v", name, f.Type, f.Type.Elem())
		}
	}
}

// The loader knows every type that stands in the configuration.
func TestTypes(t *testing.T) {
	var look func(reflect.Type, string)
	look = func(typ reflect.Type, key string) {
		switch {
		case reflect.PointerTo(typ).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		case typ.Kind() == reflect.Pointer:
			look(typ.Elem(), key)
		case typ.Kind() == reflect.Struct:
			for name, f := range strict.Fields(typ) {
				look(f.Type, strings.TrimPrefix(key+"."+name, "."))
			}
		case typ.Kind() == reflect.Slice:
			look(typ.Elem(), key+"[0]")
		case typ.Kind() == reflect.Map:
			if typ.Key() != reflect.TypeFor[string]() || typ.Elem().Kind() != reflect.String {
				t.Errorf("%s: %v is no map of texts", key, typ)
			}
		case typ.Kind() != reflect.String && typ.Kind() != reflect.Bool && !reflect.Zero(typ).CanInt():
			t.Errorf("%s: the loader does not know %v", key, typ)
		}
	}
	look(reflect.TypeFor[Config](), "")
}

func TestValidateWithoutAFile(t *testing.T) {
	c := Default()
	c.GroupWait, c.ResolveAfter, c.MuteRestarts = -1, -1, -1
	const want = "group_wait: invalid value -1ns: want 0s or more\nresolve_after: invalid value -1ns: want 0s or more\nmute_restarts: invalid value -1ns: want 0s or more"
	if err := planError(c); err == nil || err.Error() != want {
		t.Errorf("got: %v\nwant: %s", err, want)
	}
}

func TestPlanRefusesSettings(t *testing.T) {
	cfg := Default()
	cfg.NATS.Replicas = 9
	if err := planError(cfg); err == nil || err.Error() != "nats.replicas: invalid value 9: want 1 to 5" {
		t.Errorf("%v", err)
	}
}

// Mistakes in where the page is are found at their keys.
func TestSiteIsChecked(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an address without a scheme", "external_url: ops.example.com", `1:15: external_url: invalid value "ops.example.com"`},
		{"an exporter that is not known", "compat: [telegraf]", `compat[0]: invalid value "telegraf": want node_exporter`},
		{"nobody may be allowed that", "web: {allow: [reboot]}", `web.allow[0]: invalid value "reboot": want mute or ack`},
	} {
		_, err := loadText(t, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
