package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"supernats/consumer/config/strict"
)

// Check finds files that are missing or of no use, at the keys that name them, beside
// all else that is wrong.
func TestCheckFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("empty", "")
	write("web.yaml", "basic_auth_user: {}\n")
	write("f.yaml", `nats: {url: h, user: u, tls: {ca: DIR}, password_file: DIR/none}
web_config: DIR/web.yaml
mail:
  smarthost: h:25
  from: a@b.c
  to: [d@e.f]
  username: u
  password_file: DIR/none
receivers:
- {name: a, mail: {}}
- {name: b, slack: {url_file: DIR/empty}}
- {name: c, exec: {command: [DIR/none, x]}}
- {name: d, webhook: {url_file: none}}
max_age: 0s
`)
	text, err := os.ReadFile(filepath.Join(dir, "f.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write("f.yaml", strings.ReplaceAll(string(text), "DIR", dir))

	_, err = Check(filepath.Join(dir, "f.yaml"))
	if err == nil {
		t.Fatal("nothing found")
	}
	got := strings.ReplaceAll(err.Error(), dir, "DIR")
	lines := strings.Split(got, "\nDIR/f.yaml")
	for i, want := range []string{
		`DIR/f.yaml:1:35: nats.tls.ca: found "DIR": want a regular file`,
		`:1:`,
		`:2:13: web_config: found "DIR/web.yaml": `,
		`:8:18: mail.password_file: found "DIR/none", there is no such file`,
		`:11:31: receivers[1].slack.url_file: found "DIR/empty": is empty`,
		`:12:20: receivers[2].exec.command: `,
		`:13:33: receivers[3].webhook.url_file: found "none", there is no such file in the directory of this command; want a file, best with its whole path`,
		`:14:10: max_age: invalid value 0s`,
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("not found in its place: %s", want)
		}
	}
	if len(lines) != 8 {
		t.Errorf("%d mistakes, want 8", len(lines))
	}
	if t.Failed() {
		t.Log(got)
	}
	if _, err := Check(filepath.Join(dir, "f2.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// Check looks at every key whose description names a file.
func TestFileKeys(t *testing.T) {
	var look func(reflect.Type)
	found := map[string]bool{}
	look = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice:
			look(typ.Elem())
		case reflect.Struct:
			for name, f := range strict.Fields(typ) {
				if namesFile(name) && f.Type.Kind() == reflect.String {
					found[name] = true
				}
				look(f.Type)
			}
		}
	}
	look(reflect.TypeFor[Config]())
	for _, name := range []string{"creds_file", "nkey_file", "password_file", "token_file", "url_file", "ca_file", "ca", "cert", "key", "web_config", "bearer_token_file"} {
		if !found[name] {
			t.Errorf("%s is not looked at", name)
		}
	}
}
