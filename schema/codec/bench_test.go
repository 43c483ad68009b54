package codec

import (
	"strings"
	"testing"

	"supernats/schema"
)

var benchPayloads = []struct {
	name string
	raw  Raw
}{
	{
		name: "exited",
		raw:  raw(schema.ProcessStateExited, "processname:api_00 groupname:api from_state:RUNNING expected:0 pid:11167"),
	},
	{name: "tick", raw: raw(schema.Tick5, "when:1201063880")},
	{
		name: "log4KiB",
		raw: raw(schema.ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout\n"+
			strings.Repeat("a line of a log, 32 bytes long.\n", 128)),
	},
}

func BenchmarkDecode(b *testing.B) {
	for _, p := range benchPayloads {
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Decode(p.raw, testHost, testBoot)
			}
		})
	}
}

func BenchmarkMarshalEvent(b *testing.B) {
	for _, p := range benchPayloads {
		e := Decode(p.raw, testHost, testBoot)
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := schema.Marshal(e.Envelope(testTime)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	for _, p := range benchPayloads {
		e := Decode(p.raw, testHost, testBoot)
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf = AppendJSON(buf[:0], e, testTime)
			}
		})
	}
}

func BenchmarkUnmarshalEvent(b *testing.B) {
	for _, p := range benchPayloads {
		payload := marshal(b, Decode(p.raw, testHost, testBoot).Envelope(testTime))
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := UnmarshalEvent(payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSubject(b *testing.B) {
	for _, host := range []string{"web1", "web1.example.com"} {
		e := Decode(benchPayloads[0].raw, host, testBoot)
		b.Run(host, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = e.Subject()
			}
		})
	}
}

func BenchmarkSplit(b *testing.B) {
	e := Decode(raw(schema.ProcessLogStdout, "processname:foo groupname:bar pid:123 channel:stdout\n"+
		strings.Repeat("进程退出 with \"quotes\"\n", 100_000)), testHost, testBoot)
	b.SetBytes(int64(len(*e.Data)))
	b.ReportAllocs()
	for b.Loop() {
		Split(e, 1<<20)
	}
}
