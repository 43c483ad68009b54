package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/prometheus/exporter-toolkit/web"
	"github.com/rs/zerolog"

	"supernats/consumer/config/strict"
	"supernats/consumer/notify"
)

// checkFiles adds the files that are missing or cannot be read.
func (p *problems) checkFiles(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			p.checkFiles(v.Elem(), path)
		}

	case reflect.Slice:
		for i := range v.Len() {
			p.checkFiles(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Struct:
		for name, f := range strict.Fields(v.Type()) {
			field := v.FieldByIndex(f.Index)
			full := strict.Below(path, name)
			if namesFile(name) && field.Kind() == reflect.String {
				p.checkFile(full, field.String())
			} else {
				p.checkFiles(field, full)
			}
		}
	}
}

// namesFile reports whether a key names a file.
func namesFile(key string) bool {
	switch key {
	case "ca", "cert", "key", "config", "web_config":
		return true
	}
	return strings.HasSuffix(key, "_file")
}

// checkFile adds a file that is missing or cannot be read.
func (p *problems) checkFile(key, name string) {
	if name == "" {
		return
	}

	var err error
	if key == "web_config" {
		err = web.Validate(name)
	} else {
		err = checkReadable(name)
	}

	switch {
	case err == nil:
	case errors.Is(err, os.ErrNotExist) && !strings.HasPrefix(name, "/"):
		p.add(key, "found %q, there is no such file in the directory of this command; "+
			"want a file, best with its whole path", name)
	case errors.Is(err, os.ErrNotExist):
		p.add(key, "found %q, there is no such file", name)
	case errors.Is(err, os.ErrPermission):
		p.add(key, "found %q, which this user may not read: check as the user of `supernats consume`", name)
	default:
		p.add(key, "found %q: %s", name, strings.Join(strings.Fields(err.Error()), " "))
	}
}

// checkReadable returns why a file has no content that this process can read.
func checkReadable(name string) error {
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

// trySetUp returns why receivers cannot be set up.
func (c *Config) trySetUp() (p problems) {
	try := func(r Receiver, path string) bool {
		_, err := r.New(notify.Identity{}, zerolog.Nop())
		p.addSection(path, err)
		return err == nil
	}

	// What is wrong in the section mail was inherited, and is reported there.
	inherited := true
	if c.Mail != nil {
		inherited = try(Receiver{Name: mailReceiver, Kinds: Kinds{Mail: &c.Mail.Config}}, mailReceiver)
	}
	for i, r := range c.Receivers {
		kinds := r.configured()
		if len(kinds) == 1 && (inherited || r.Mail == nil) {
			try(r, fmt.Sprintf("receivers[%d].%s", i, kinds[0].name))
		}
	}
	return p
}
