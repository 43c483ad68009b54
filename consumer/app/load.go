package app

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"supernats/consumer/notify/mail"
)

// Load reads a configuration file over the defaults. It is strict: a key that is
// not known or a value that is not allowed is an error that names file, line and
// column, what was found and what is allowed, a line for each mistake.
func Load(path string) (Config, error) {
	c, d, err := readFile(path)
	if err != nil {
		return c, err
	}
	return c, d.check(&c, false)
}

// LoadRules is Load for those who only look at the rules: a file without
// receivers may name in its rules those of another file.
func LoadRules(path string) (Config, error) {
	c, d, err := readFile(path)
	if err != nil {
		return c, err
	}
	return c, d.check(&c, d.onlyRules())
}

// LoadConnection is Load for those who only reach NATS: mistakes elsewhere in the file
// are none.
func LoadConnection(path string) (Config, error) {
	c, d, err := readFile(path)
	if err != nil {
		return c, err
	}
	for key := range d.failed {
		section, _, _ := strings.Cut(key, ".")
		if section == "nats" || section == "embedded" {
			return c, d.check(&c, true)
		}
	}
	return c, nil
}

// onlyRules reports whether the file has no receivers.
func (d *decoder) onlyRules() bool { return d.keys["mail"] == nil && d.keys["receivers"] == nil }

func readFile(path string) (Config, *decoder, error) {
	c := Default()
	text, err := os.ReadFile(path)
	if err != nil {
		return c, nil, fmt.Errorf("read configuration: %w", err)
	}
	d, _ := decodeFile(path, text, &c)
	return c, d, nil
}

// decodeFile reads what is written over c; its values may still be wrong. The error
// is of those that could not be read.
func decodeFile(path string, text []byte, c *Config) (*decoder, error) {
	d := &decoder{
		path: path, anchors: map[string]ast.Node{}, aliases: map[*ast.AliasNode]ast.Node{},
		keys: map[string]*token.Token{}, empty: map[string]bool{}, failed: map[string]bool{}, seen: map[mistake]bool{},
	}
	body := d.parse(text)
	if body == nil {
		return d, d.err()
	}

	d.value(body, reflect.ValueOf(c).Elem(), "")
	for i := range c.Receivers {
		if m := c.Receivers[i].Mail; m != nil && c.Mail != nil {
			d.inherit(m, &c.Mail.Config, fmt.Sprintf("receivers[%d].mail", i))
		}
	}
	c.fitHolds(d.written)
	return d, d.err()
}

// inherit takes the keys that are not written from the section mail. The keys that
// give the secret of the login stand for each other.
func (d *decoder) inherit(m, from *mail.Config, path string) {
	secrets := []string{"password", "password_file", "token_file", "token_command"}
	ownSecret := slices.ContainsFunc(secrets, func(name string) bool { return d.written(path + "." + name) })

	to, defaults := reflect.ValueOf(m).Elem(), reflect.ValueOf(from).Elem()
	for name, f := range fields(to.Type()) {
		if d.written(path+"."+name) || ownSecret && slices.Contains(secrets, name) {
			continue
		}
		to.FieldByIndex(f.Index).Set(defaults.FieldByIndex(f.Index))
	}
}

func (d *decoder) written(key string) bool { return d.keys[key] != nil && !d.empty[key] }
