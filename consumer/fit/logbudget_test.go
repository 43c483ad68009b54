package fit

import (
	"strings"
	"testing"
	"time"

	"supernats/schema"
)

// Logs of one host are bounded in the stream of alerts; those of others are not.
func TestLogsOfOneHostAreBounded(t *testing.T) {
	var budget LogBudget
	log := strings.Repeat("x", 15<<10)
	written := map[string]int{}
	for i := range 2000 {
		n := crashes(1, log, func(a *schema.Notification) {
			if a.Host = "web1"; i%100 == 99 {
				a.Host = "db1"
			}
		})
		made := at.Add(time.Duration(i) * time.Second)
		n = budget.Spend(n, made) // once, however often it is published
		pieces, err := Notification("a/1", schema.TypeAlertResolved, n, made, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pieces {
			written[n.Host] += len(p.JSON)
			ce, err := schema.Unmarshal[*schema.Notification](p.JSON)
			if err != nil {
				t.Fatal(err)
			}
			if l := ce.Data.Events[0].Log; l == nil || l.Stderr != log && !strings.Contains(l.Stderr, "supernats replay --host web1") {
				t.Fatal(l)
			}
		}
	}
	if written["web1"] > hostLogs+2000*1000 || written["db1"] < 20*len(log) {
		t.Errorf("%v", written)
	}
}
