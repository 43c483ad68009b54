package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Anchors and merge keys mean what YAML says they mean: a key of one's own wins, of
// several mappings the first one.
func TestLoadMerges(t *testing.T) {
	c, err := loadText(t, `
x-limits: &limits {rate_limit: {burst: 2, every: 1m}}
x-labels:
  - &team {team: web}
  - &tier {tier: front, team: nobody}
mail: &mail
  smarthost: 127.0.0.1:25
  from: a@example.com
  to: [a@example.com]
  timeout: 20s
receivers:
  - name: night
    mail: {<<: *mail, to: [night@example.com]}
  - <<: *limits
    name: day
    mail:
      to: [day@example.com]
      <<: *mail
rules:
  - &base
    name: one
    event: PROCESS_STATE_EXITED
    labels: &labels {team: api}
    group_wait: 5s
  - <<: *base
    name: two
    labels: {<<: *labels, tier: front}
  - &third
    name: three
    <<: [{severity: critical, group_wait: 7s}, *base]
    labels: {<<: [*team, *tier]}
  - {<<: *third, name: four, "event": PROCESS_STATE_FATAL}
`)
	if err != nil {
		t.Fatal(err)
	}

	if d := cmp.Diff([]string{"night@example.com"}, c.Receivers[0].Mail.To); d != "" {
		t.Error(d)
	}
	if m := c.Receivers[1]; m.Mail.To[0] != "day@example.com" || m.Mail.From != "a@example.com" || m.Mail.Timeout.String() != "20s" || m.RateLimit.Burst != 2 {
		t.Errorf("%+v %+v", m.Mail, m.RateLimit)
	}
	var got []string
	for _, r := range c.Rules {
		got = append(got, r.Name+" "+r.Event[0]+" "+r.Severity+" "+r.GroupWait.String()+" "+r.Labels["team"]+" "+r.Labels["tier"])
	}
	want := []string{
		"one PROCESS_STATE_EXITED  5s api ", "two PROCESS_STATE_EXITED  5s api front",
		"three PROCESS_STATE_EXITED critical 7s web front", "four PROCESS_STATE_FATAL critical 7s web front",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A mistake in what is merged stands where it is written, once.
func TestLoadMergesMistakes(t *testing.T) {
	const source = "a mapping or a list of them: <<: *name, <<: [*one, *other]"
	for text, want := range map[string]string{
		"rules:\n- &a {name: a, loss: true, group_wait: soon}\n- {<<: *a, name: b}\n- {<<: *a, name: c}\n": `f.yaml:2:40: rules[0].group_wait: invalid duration "soon": ` + wantDuration,
		"x-a: &a {nam: x}\nrules:\n- {<<: *a, name: b, loss: true}\n":                                      `f.yaml:1:10: unknown key "rules[0].nam", merged at line 3: want one of ` + ruleKeys + "; did you mean name?",
		"nats:\n  <<: x\n":                                        "f.yaml:2:7: nats.<<: found string, want " + source,
		"nats:\n  <<: [{url: x}, y]\n":                            "f.yaml:2:18: nats.<<[1]: found string, want " + source,
		"nats:\n  <<: ~\n":                                        "f.yaml:2:7: nats.<<: found null, want " + source,
		"nats:\n  <<: *x\n  url: y\n":                             `f.yaml:2:8: could not find alias "x"`,
		"nats:\n  '<<': {url: x}\n":                               `f.yaml:2:3: unknown key "nats.<<": want one of ` + natsKeys,
		"nats: &a\n  <<: *a\n  url: x\n":                          "f.yaml:2:5: nats.<<: aliases make more than 131072 values",
		"x-a: &a {url: x}\nnats:\n  <<: *a\n  url: y\n  <<: *a\n": `f.yaml:5:3: duplicate key "nats.<<": already defined at 3:3`,
	} {
		if _, err := loadText(t, text); err == nil || err.Error() != want {
			t.Errorf("%q\n got: %v\nwant: %s", text, err, want)
		}
	}
}
