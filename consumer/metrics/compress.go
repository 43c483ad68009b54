package metrics

import (
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// compressors are for answers in gzip: one has half a megabyte.
var compressors = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // an error is one of the level
	return z
}}

// compress returns what to write an answer to: through gzip, if the client asks for that.
// The caller calls finish at the end.
func (m *Metrics) compress(w http.ResponseWriter, r *http.Request) (out io.Writer, finish func()) {
	yielding := yieldingWriter{w, m.rendering}
	w.Header().Add("Vary", "Accept-Encoding")
	if !acceptsGzip(r.Header.Get("Accept-Encoding")) {
		return yielding, func() {}
	}

	w.Header().Set("Content-Encoding", "gzip")
	z := compressors.Get().(*gzip.Writer)
	z.Reset(yielding)
	return z, func() {
		_ = z.Close() // the client is gone, or has it all
		z.Reset(nil)
		compressors.Put(z)
	}
}

// acceptsGzip reports whether a header Accept-Encoding names gzip, and not with q=0.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, isWeight := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			return !isWeight || strings.Trim(q, "0.") != ""
		}
	}
	return false
}

// yieldingWriter lets another scrape make text while it waits for its client.
type yieldingWriter struct {
	client    io.Writer
	rendering chan struct{}
}

func (y yieldingWriter) Write(b []byte) (int, error) {
	<-y.rendering
	defer func() { y.rendering <- struct{}{} }()
	return y.client.Write(b)
}
