package app

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/prometheus/exporter-toolkit/web"
	"github.com/rs/zerolog"

	"supernats/consumer/notify"
)

// Check is LoadRules for those who want to know all that would be wrong: it also looks
// at the files that the configuration names, and sets up the receivers, which sends
// nothing.
func Check(path string) (Config, error) {
	c, d, err := readFile(path)
	if err != nil {
		return c, err
	}
	if err := d.check(&c, d.onlyRules()); d.values >= maxValues {
		return c, err
	}

	var found problems
	found.files(reflect.ValueOf(c), "")
	for _, e := range found {
		if d.written(e.path) { // or it is told where the receiver has it from
			d.fail(d.keys[e.path], e.path, "%v", e.err)
		}
	}
	return c, d.place(c.setUp())
}

// files adds the files that are missing or cannot be read.
func (p *problems) files(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			p.files(v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			p.files(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Struct:
		for name, f := range fields(v.Type()) {
			field := v.FieldByIndex(f.Index)
			if isFile(name) && field.Kind() == reflect.String {
				p.file(below(path, name), field.String())
			} else {
				p.files(field, below(path, name))
			}
		}
	}
}

// isFile reports whether a key names a file.
func isFile(key string) bool {
	switch key {
	case "ca", "cert", "key", "web_config":
		return true
	}
	return strings.HasSuffix(key, "_file")
}

func (p *problems) file(key, name string) {
	if name == "" {
		return
	}
	var err error
	if key == "web_config" {
		err = web.Validate(name)
	} else {
		err = readable(name)
	}
	switch {
	case err == nil:
	case errors.Is(err, os.ErrNotExist) && !strings.HasPrefix(name, "/"):
		p.add(key, "found %q, there is no such file in the directory of this command; want a file, best with its whole path", name)
	case errors.Is(err, os.ErrNotExist):
		p.add(key, "found %q, there is no such file", name)
	case errors.Is(err, os.ErrPermission):
		p.add(key, "found %q, which this user may not read: check as the user of `supernats consume`", name)
	default:
		p.add(key, "found %q: %s", name, strings.Join(strings.Fields(err.Error()), " "))
	}
}

func readable(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("want a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if info.Size() == 0 {
		return errors.New("is empty")
	}
	return nil
}

// setUp returns why receivers cannot be set up.
func (c *Config) setUp() (p problems) {
	try := func(r Receiver, path string) bool {
		_, _, err := r.make(notify.Identity{}, zerolog.Nop())
		p.section(path, err)
		return err == nil
	}
	inherited := true
	if c.Mail != nil {
		inherited = try(Receiver{Name: mailReceiver, Kinds: Kinds{Mail: &c.Mail.Config}}, mailReceiver)
	}
	for i, r := range c.Receivers {
		if set := r.set(); len(set) == 1 && (inherited || r.Mail == nil) {
			try(r, fmt.Sprintf("receivers[%d].%s", i, set[0].name))
		}
	}
	return p
}
