package supervisord

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// Parts of logs are read in one request, also those that begin or end inside a character.
func TestReadProcessLogs(t *testing.T) {
	const log = "进程退出\nlast\n"
	args := regexp.MustCompile(`<string>([^<]+)</string></value><value><int>(-?\d+)</int></value><value><int>(-?\d+)</int>`)
	calls := 0
	c := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		body, _ := io.ReadAll(r.Body)
		var b strings.Builder
		for _, m := range args.FindAllStringSubmatch(string(body), -1) {
			off, _ := strconv.Atoi(m[2])
			n, _ := strconv.Atoi(m[3])
			from, to := off, off+n
			if n == 0 {
				from, to = max(len(log)+off, 0), len(log)
			}
			if text := log[from:min(to, len(log))]; utf8.ValidString(text) && m[1] == "g:n" {
				fmt.Fprintf(&b, "<value><string>%s</string></value>", text)
				continue
			}
			b.WriteString("<value><struct><member><name>faultCode</name><value><int>30</int></value></member>" +
				"<member><name>faultString</name><value><string>FAILED</string></value></member></struct></value>")
		}
		fmt.Fprint(w, response("<array><data>"+b.String()+"</data></array>"))
	})

	texts, err := c.ReadProcessLogs(t.Context(), []LogPart{
		{Name: "g:n", Offset: 13, Length: 5},
		{Name: "g:n", Offset: 4, Length: 14},               // inside a character
		{Name: "g:n", Stderr: true, Offset: -7, Length: 0}, // inside a character, from the end
		{Name: "g:missing", Offset: 0, Length: 5},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"last\n", "程退出\nlast\n", "出\nlast\n", ""} {
		switch got := texts[i]; {
		case got == nil && want != "":
			t.Errorf("part %d cannot be read", i)
		case got != nil && *got != want:
			t.Errorf("part %d: got %q, want %q", i, *got, want)
		}
	}
	if texts[3] != nil || calls != 1 {
		t.Errorf("%d calls, %v", calls, texts[3])
	}
}
