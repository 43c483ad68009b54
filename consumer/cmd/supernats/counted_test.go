package main

import "testing"

func TestCounted(t *testing.T) {
	for got, want := range map[string]string{
		counted(0, "host"): "0 hosts", counted(1, "host"): "1 host", counted(uint64(2), "host"): "2 hosts",
		waits(0, "message"): "0 messages wait", waits(1, "message"): "1 message waits", waits(2, "message"): "2 messages wait",
		are(1, "host"): "1 host is", are(2, "host"): "2 hosts are",
		tries(1): "1 try", tries(2): "2 tries", processes(1): "1 process", processes(0): "0 processes",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
