package inspect

import "testing"

func TestDeniedRight(t *testing.T) {
	for subject, want := range map[string]string{
		"$KV.a.b": "$KV.a.>", "$JS.API.CONSUMER.CREATE.S.c.d": "$JS.API.CONSUMER.CREATE.S.>", "$JS.API.DIRECT.GET.S": "$JS.API.DIRECT.GET.S",
		"$JS.API.DIRECT.GET.S.x": "$JS.API.DIRECT.GET.S.>", "supervisor.alert.a.b.c.d": "supervisor.alert.>", "_INBOX.x.y": "_INBOX.>", "x\x1b": "x\uFFFD",
	} {
		if got := (&DeniedError{Subject: subject}).Right(); got != want {
			t.Errorf("%s: %s", subject, got)
		}
	}
}
