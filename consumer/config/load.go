package config

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"supernats/consumer/config/strict"
	"supernats/consumer/notify/mail"
	"supernats/consumer/rules"
)

// Load reads a configuration file over the defaults. It is strict: a key that is
// not known or a value that is not allowed is an error that names file, line and
// column, what was found and what is allowed, a line for each mistake.
func Load(path string) (Config, error) {
	c, f, err := readFile(path)
	if err != nil {
		return c, err
	}
	return c, checkFile(f, &c, false)
}

// LoadRules is Load for commands that only look at the rules: a file without
// receivers may name in its rules those of another file.
func LoadRules(path string) (Config, error) {
	c, f, err := readFile(path)
	if err != nil {
		return c, err
	}
	return c, checkFile(f, &c, hasNoReceivers(f))
}

// LoadConnection is Load for commands that only reach NATS: mistakes elsewhere in the file
// are none.
func LoadConnection(path string) (Config, error) {
	c, f, err := readFile(path)
	if err != nil {
		return c, err
	}

	for key := range f.FailedKeys() {
		section, _, _ := strings.Cut(key, ".")
		if section == "nats" || section == "embedded" {
			return c, checkFile(f, &c, true)
		}
	}
	return c, nil
}

// Check is LoadRules that also looks at the files that the configuration names, and sets
// up the receivers, which sends nothing.
func Check(path string) (Config, error) {
	c, f, err := readFile(path)
	if err != nil {
		return c, err
	}
	if err := checkFile(f, &c, hasNoReceivers(f)); f.IsCutOff() {
		return c, err
	}

	var found problems
	found.checkFiles(reflect.ValueOf(c), "")
	for _, e := range found {
		if f.Written(e.Path) { // or it is reported where the receiver has it from
			f.Fail(e.Path, e.Err)
		}
	}
	f.Add(c.trySetUp())
	return c, f.Err()
}

func hasNoReceivers(f *strict.File) bool { return !f.Has("mail") && !f.Has("receivers") }

func readFile(path string) (Config, *strict.File, error) {
	c := Default()
	text, err := os.ReadFile(path)
	if err != nil {
		return c, nil, fmt.Errorf("read configuration: %w", err)
	}
	return c, decode(path, text, &c), nil
}

// decode reads what is written over c; its values may still be wrong.
func decode(path string, text []byte, c *Config) *strict.File {
	f := strict.Decode(path, text, c, strict.Options{
		TextOrList: []reflect.Type{reflect.TypeFor[rules.List]()},
		Nearest:    rules.Nearest,
	})

	// Settings that follow from others, where the file has none.
	for i := range c.Receivers {
		if m := c.Receivers[i].Mail; m != nil && c.Mail != nil {
			inherit(f, m, &c.Mail.Config, fmt.Sprintf("receivers[%d].mail", i))
		}
	}
	c.fitHolds(f.Written)
	return f
}

// inherit takes the keys that are not written from the section mail. The keys that
// give the secret of the login stand for each other.
func inherit(f *strict.File, m, from *mail.Config, path string) {
	secrets := []string{"password", "password_file", "token_file", "token_command"}
	ownSecret := slices.ContainsFunc(secrets, func(name string) bool { return f.Written(path + "." + name) })

	to, defaults := reflect.ValueOf(m).Elem(), reflect.ValueOf(from).Elem()
	for name, field := range strict.Fields(to.Type()) {
		if f.Written(path+"."+name) || ownSecret && slices.Contains(secrets, name) {
			continue
		}
		to.FieldByIndex(field.Index).Set(defaults.FieldByIndex(field.Index))
	}
}

// checkFile returns all that is wrong: what was found when the file was decoded, and what
// is wrong with the values. unknownReceivers lets rules name receivers that are not there.
func checkFile(f *strict.File, c *Config, unknownReceivers bool) error {
	if f.IsCutOff() {
		return f.Err()
	}

	_, found := c.check()
	if !unknownReceivers && !namesLost(f) {
		found.checkNotify(c)
	}
	f.Add(found)
	return f.Err()
}

// receiverName is a key without which the name of a receiver is not known.
var receiverName = regexp.MustCompile(`^(mail|receivers|receivers\[\d+\](\.name)?)$`)

// namesLost reports whether there are receivers whose names cannot be known.
func namesLost(f *strict.File) bool {
	for key := range f.FailedKeys() {
		if receiverName.MatchString(key) {
			return true
		}
	}
	return false
}
