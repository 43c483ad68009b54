package post

import (
	"errors"
	"fmt"

	"supernats/schema/secretfile"
)

// Secret is a setting that is given by one of two keys: by Key, or by Key_file, which is read
// at every delivery.
type Secret struct {
	// Key is what the configuration calls it: url.
	Key string
	// Value and File are what the two keys hold.
	Value secretfile.Secret
	File  string
	// Check reports what is wrong with a value, and never shows it.
	Check func(key, value string) error
}

// Validate reports what is wrong with what can be known without the file.
func (s Secret) Validate() error {
	switch {
	case s.Value == "" && s.File == "":
		return fmt.Errorf("%s_file: missing; give the file that holds it, or %s itself", s.Key, s.Key)
	case s.Value == "":
		return nil
	}

	var both error
	if s.File != "" {
		both = fmt.Errorf("%s: given together with %s_file: want one of the two", s.Key, s.Key)
	}
	return errors.Join(both, s.check(s.Key, string(s.Value)))
}

// Reveal returns the secret, and which of the two keys names it. It reads the file.
func (s Secret) Reveal() (key, value string, err error) {
	key = s.Key
	if s.File != "" {
		key += "_file"
	}
	if value, err = s.Value.Reveal(s.Key, s.File); err == nil {
		err = s.check(key, value)
	}
	return key, value, err
}

func (s Secret) check(key, value string) error {
	if s.Check == nil {
		return nil
	}
	return s.Check(key, value)
}

// SecretURL is a URL that is a secret itself, as those of webhooks are.
func SecretURL(url secretfile.Secret, file string) Secret {
	return Secret{Key: "url", Value: url, File: file, Check: ValidateURL}
}
