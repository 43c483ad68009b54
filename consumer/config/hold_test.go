package config

import (
	"strings"
	"testing"
	"time"

	"supernats/schema"
)

// TestHold: an alert that is open must not look resolved in Alertmanager before it
// is repeated.
func TestHold(t *testing.T) {
	const am = "receivers:\n- {name: am, alertmanager: {urls: ['http://h:9093']HOLD}}\n- {name: other, webhook: {url: 'http://h'}}\n"
	for name, tc := range map[string]struct {
		text, hold string
		want       string // the error, or the hold in force
	}{
		"the default of both": {text: "", hold: "", want: "5h"},
		"as long": {
			text: "",
			hold: "4h",
			want: "receivers[0].alertmanager.hold: invalid value 4h: want more than the repeat_interval, 4h",
		},
		"longer": {text: "", hold: "4h1m", want: "4h1m"},
		"of all rules": {
			text: "repeat_interval: 12h\n",
			hold: "5h",
			want: "want more than the repeat_interval, 12h, or no hold",
		},
		"of all rules, left out": {text: "repeat_interval: 12h\n", hold: "", want: "13h"},
		"of one rule": {
			text: "rules:\n- {name: a, event: PROCESS_STATE_FATAL}\n- {name: b, event: PROCESS_STATE_FATAL, repeat_interval: 1d}\n",
			hold: "5h",
			want: `want more than the repeat_interval of rule "b", 1d`,
		},
		"of one rule, left out": {
			text: "rules:\n- {name: b, event: PROCESS_STATE_FATAL, repeat_interval: 1d}\n",
			hold: "",
			want: "25h",
		},
		"of one for others": {
			text: "rules:\n- {name: b, event: PROCESS_STATE_FATAL, repeat_interval: 1d, notify: other}\n- {name: c, event: PROCESS_STATE_FATAL}\n",
			hold: "5h",
			want: "5h",
		},
		"of one for it": {
			text: "rules:\n- {name: b, event: PROCESS_STATE_FATAL, repeat_interval: 1d, notify: [other, am]}\n",
			hold: "5h",
			want: `rule "b", 1d`,
		},
		"all rules have their own": {
			text: "repeat_interval: 12h\nrules:\n- {name: b, event: PROCESS_STATE_FATAL, repeat_interval: 1h}\n",
			hold: "2h",
			want: "2h",
		},
		"no rules":                    {text: "rules: []\nrepeat_interval: 12h\n", hold: "1h", want: "1h"},
		"shorter than the default 5h": {text: "repeat_interval: 1h\n", hold: "", want: "5h"},
	} {
		t.Run(name, func(t *testing.T) {
			hold := ""
			if tc.hold != "" {
				hold = ", hold: " + tc.hold
			}
			c, err := loadText(t, tc.text+strings.Replace(am, "HOLD", hold, 1))
			if err != nil {
				if !strings.Contains(err.Error(), tc.want) {
					t.Errorf("%v; want %s", err, tc.want)
				}
				return
			}
			if got := c.Receivers[0].Alertmanager.Hold; got.String() != tc.want {
				t.Errorf("hold %s, want %s", got, tc.want)
			}
		})
	}

	// A program that makes its configuration without a file hears it too.
	c, err := loadText(t, strings.Replace(am, "HOLD", "", 1))
	if err != nil {
		t.Fatal(err)
	}
	c.Receivers[0].Alertmanager.Hold = schema.Duration(time.Hour)
	if err := planError(c); err == nil || !strings.Contains(err.Error(), "receivers[0].alertmanager.hold: invalid value 1h") {
		t.Errorf("%v", err)
	}
}
