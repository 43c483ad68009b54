package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"supernats/consumer/config/strict"
	"supernats/consumer/notify/chat"
	"supernats/schema"
)

// One run finds what is wrong in every section, whatever is wrong in the others.
func TestLoadFindsAll(t *testing.T) {
	const text = `max_age: 5
mail:
  smarthost: h:25
  from: "a@example.com
  to: [ops@example.com]
receivers:
- {name: chat, slack: {url: "https://example.com/s"}}
- {name: hook, webhook: {url: "https://example.com/h"}
- name: page
  webhook: {url: "ftp://example.com/h"}
groups: [a, "b["]
embedded:
	listen: nowhere
	max_store: 1GiB
nats: {url: x, urls: y}
rules:
# a comment
- name: one
  event: PROCESS_STATE_EXITTED
  hosts: ["web[", db]
- name: two: three
- name: three
  loss: maybe
  notify: [chatt]
- name: four
  event: TICK
  if: pid ==
  severty: critical
  labels: {a: "${UNSET_1} ${UNSET_2}"}
max_age: 1h
nope: 1
`
	_, err := loadText(t, text)
	if err == nil {
		t.Fatal("nothing found")
	}
	for _, want := range []string{
		`f.yaml:1:10: max_age: invalid duration "5": ` + wantDuration,
		"f.yaml:4:9: could not find end character of double-quoted text",
		"f.yaml:8:3: could not find flow mapping end token '}'",
		"f.yaml:10:18: receivers[2].webhook.url: ",
		`f.yaml:11:13: groups[1]: invalid value "b[": ` + wantGlob,
		"f.yaml:13:1: found a tab in the indentation, want spaces",
		`f.yaml:13:10: embedded.listen: invalid value "nowhere": ` + noListen,
		"f.yaml:14:1: found a tab in the indentation, want spaces",
		`f.yaml:15:16: unknown key "nats.urls": want one of ` + natsKeys,
		`f.yaml:19:10: rules[0].event: found "PROCESS_STATE_EXITTED"`,
		`f.yaml:20:11: rules[0].hosts[0]: found "web[", `,
		"f.yaml:21:9: mapping value is not allowed in this context",
		`f.yaml:23:9: rules[2].loss: found string, want true or false`,
		"f.yaml:27:7: rules[3].if: ",
		`f.yaml:28:3: unknown key "rules[3].severty": want one of ` + ruleKeys + "; did you mean severity?",
		"f.yaml:29:15: variable ${UNSET_1} is not set",
		"f.yaml:29:15: variable ${UNSET_2} is not set",
		`f.yaml:30:1: duplicate key "max_age": already defined at 1:1`,
		`f.yaml:31:1: unknown key "nope": want one of ` + topKeys,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not found: %s", want)
		}
	}
	if n := strings.Count(err.Error(), "f.yaml:"); n != 19 || t.Failed() {
		t.Errorf("%d mistakes, want 19:\n%v", n, err)
	}
}

// Whatever an editor makes of a file, it means the same.
func TestLoadReadsWhatEditorsWrite(t *testing.T) {
	const text = "max_age: 7d # days\ndata_dir: >-\n  /srv/\n  x\nmail:\n  smarthost: h:25\n  from: a@example.com\n  to:\n  - ops@example.com\n  text: |\n    one\n    two\n\nrules:\n- name: a\n  loss: true\n"
	for name, written := range map[string]string{
		"LF":            text,
		"CRLF":          strings.ReplaceAll(text, "\n", "\r\n"),
		"CR":            strings.ReplaceAll(text, "\n", "\r"),
		"BOM and CRLF":  "\ufeff" + strings.ReplaceAll(text, "\n", "\r\n"),
		"no last line":  strings.TrimSuffix(text, "\n"),
		"spaces at end": strings.ReplaceAll(text, "h:25", "h:25  \t"),
		"blank lines":   strings.ReplaceAll(text, "\nrules", "\n\t\n  \nrules"),
	} {
		c, err := loadText(t, written)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.MaxAge != schema.Duration(7*24*time.Hour) || c.DataDir != "/srv/ x" || c.Mail.Smarthost != "h:25" || strings.TrimRight(c.Mail.Text, "\n") != "one\ntwo" || c.Rules[0].Name != "a" {
			t.Errorf("%s: %+v %+v", name, c, c.Mail)
		}
	}
}

func TestLoadRefusesForeignCharacters(t *testing.T) {
	wide := func(order func(uint16) []byte) string {
		var b []byte
		for _, u := range utf16.Encode([]rune("\ufeffmax_age: 1h\n")) {
			b = append(b, order(u)...)
		}
		return string(b)
	}
	for text, want := range map[string]string{
		wide(func(u uint16) []byte { return []byte{byte(u), byte(u >> 8)} }): "f.yaml: found UTF-16, want UTF-8: save the file as UTF-8",
		wide(func(u uint16) []byte { return []byte{byte(u >> 8), byte(u)} }): "f.yaml: found UTF-16, want UTF-8: save the file as UTF-8",
		"max_age: 1h\ndata_dir: /srv/f\xfcr # f\xfcr\nnope: 1\n":             "f.yaml:2:17: found the byte 0xfc, want UTF-8: save the file as UTF-8\nf.yaml:3:1: unknown key \"nope\": want one of " + topKeys,
		"nats:\n\u00a0\u00a0url: x\nembedded:\n  max_store: 1XB\n":           "f.yaml:2:1: found the character U+00A0 in the indentation, want spaces\nf.yaml:4:14: embedded.max_store: invalid size \"1XB\": " + wantSize,
		"nats:\n  url: x\n \t replicas: 9\n":                                 "f.yaml:3:2: found a tab in the indentation, want spaces",
		"max_age: 1h\n---\nnope: 1\n---\nx: 1\n":                             "f.yaml:2:1: a second document begins; want one",
	} {
		if _, err := loadText(t, text); err == nil || err.Error() != want {
			t.Errorf("%q\n got: %v\nwant: %s", text, err, want)
		}
	}
}

// What only follows from a mistake is no mistake of its own.
func TestLoadFindsNoMore(t *testing.T) {
	for text, want := range map[string]string{
		"mail: x\n": "f.yaml:1:7: mail: found string, want a mapping with the keys " + topMailKeys,
		"receivers:\n- {name: [x], mail: {}}\nmail: {smarthost: 'h:25', from: a@b.c, to: [d@e.f]}\nrules:\n- {name: a, loss: true, notify: x}\n": "f.yaml:2:10: receivers[0].name: found sequence, want a text",
		"rules:\n- {name: a, evnt: TICK}\n":      `f.yaml:2:13: unknown key "rules[0].evnt": want one of ` + ruleKeys + "; did you mean event?",
		"rules:\n- {name: a, event: {a: b}}\n":   "f.yaml:2:20: rules[0].event: " + isMap,
		"rules:\n- {name: a, event: [[TICK]]}\n": "f.yaml:2:21: rules[0].event[0]: found sequence, want a text",
		"receivers:\n- {name: a, slack: x}\n- {name: b, rate_limit: x}\n": "f.yaml:2:20: receivers[0].slack: found string, want a mapping with the keys " + strings.Join(strict.KeyNames(reflect.TypeFor[chat.SlackConfig]()), ", ") + "\n" +
			"f.yaml:3:3: receivers[1]: no settings: want one of " + kindKeys + "\n" +
			"f.yaml:3:25: receivers[1].rate_limit: found string, want a mapping with the keys burst, every",
		"rules: [\nmax_age: 1h\n":                                        "f.yaml:1:8: sequence end token ']' not found",
		"x-a: &a {b: [c}\nrules:\n- {<<: *a, name: b, loss: true}\n":     "f.yaml:1:15: ',' or ']' must be specified",
		"nats: {url: \"${UNSET}\", context: x}\n":                        "f.yaml:1:13: variable ${UNSET} is not set",
		"x-a: {b: 1}\nx-c: text\n":                                       "",
		"nats: {x-a: 1, url: x}\n":                                       `f.yaml:1:8: unknown key "nats.x-a": want one of ` + natsKeys,
		"max_age: 1h\nmail:\n  smarthost: h:25\n  from: a@b.c\n to: x\n": "f.yaml:5:2: ",
	} {
		_, err := loadText(t, text)
		if got := errorText(err); got != want && !(strings.HasSuffix(want, ": ") && strings.HasPrefix(got, want) && !strings.Contains(got, "\n")) {
			t.Errorf("%q\n got: %v\nwant: %s", text, err, want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
