package secretfile_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"supernats/schema/secretfile"
)

// TestSecret: in none of the ways in which a configuration gets into a log.
func TestSecret(t *testing.T) {
	c := struct {
		URL   secretfile.Secret            `yaml:"url"`
		Empty secretfile.Secret            `yaml:"empty"`
		Env   map[string]secretfile.Secret `yaml:"env"`
	}{"c0rrect", "", map[string]secretfile.Secret{"A": "c0rrect"}}
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		string(j), string(y), fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c),
		fmt.Sprintf("%q %s", c.URL, c.URL),
	} {
		if strings.Contains(s, "c0rrect") || !strings.Contains(s, "secret") {
			t.Errorf("secret shows: %s", s)
		}
	}
	if c.Empty.String() != "" {
		t.Errorf("no secret is shown as one")
	}
	if err := yaml.Unmarshal([]byte("url: c0rrect"), &c); err != nil || string(c.URL) != "c0rrect" {
		t.Errorf("secret is not read: %v", err)
	}
}
