package timeline

import (
	"fmt"
	"io"
	"strings"
	"time"

	"supernats/consumer/wording"
)

// stamp is how times are written: of an incident that lasts days, in UTC.
const stamp = "2006-01-02 15:04:05 UTC"

// Markdown writes the story for a post-mortem. withLogs adds what the processes wrote last.
func (t *Timeline) Markdown(w io.Writer, now time.Time, withLogs bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", escapeMarkdown(t.Title))
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "- %s: %s\n", name, value)
		}
	}
	row("Incident", code(t.Incident))
	name := func(s string) string { return escapeMarkdown(wording.Clip(s, wording.MaxName)) }
	row("Rule", name(t.Rule)+", "+name(t.Severity))
	row("Opened", t.Opened.UTC().Format(stamp))
	if t.Closed == nil {
		row("State", t.State(now))
	} else {
		row("Closed", t.Closed.UTC().Format(stamp)+" after "+wording.Span(t.Lasted(now)))
		row("Reason", escapeMarkdown(wording.Clip(t.Ended, wording.MaxText)))
	}
	row("Events", fmt.Sprint(t.Count))
	row("Runbook", link(wording.Clip(t.Runbook, wording.MaxText)))

	b.WriteString("\n## Timeline\n\n| time | who | what |\n|---|---|---|\n")
	for i := range t.Facts {
		f := &t.Facts[i]
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.Time.UTC().Format("2006-01-02 15:04:05.000"),
			escapeMarkdown(f.Who()), escapeMarkdown(f.Text))
	}
	if withLogs {
		t.writeLogs(&b)
	}
	for _, text := range t.Warnings {
		fmt.Fprintf(&b, "\n> %s\n", escapeMarkdown(wording.Clip(text, wording.MaxText)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Who is to whom something happened: "web1 api:api_00".
func (f *Fact) Who() string { return wording.Join(" ", f.Host, f.Process) }

// writeLogs writes what the processes wrote last.
func (t *Timeline) writeLogs(b *strings.Builder) {
	for _, o := range t.LastOutput() {
		fmt.Fprintf(b, "\n## Last output of %s on %s, %s\n\n",
			escapeMarkdown(o.Who), o.Channel, o.Time.UTC().Format(stamp))
		for _, line := range o.Lines {
			b.WriteString("    " + line + "\n")
		}
	}
}

// markdownSigns are what a name or a text could format with, or begin a link or HTML.
var markdownSigns = strings.NewReplacer(
	"&", "&amp;",
	`\`, `\\`, "|", `\|`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;",
	"#", `\#`, "!", `\!`, "~", `\~`,
)

func escapeMarkdown(s string) string { return markdownSigns.Replace(s) }

// link writes an address of the web as one that can be followed: escaped it would be another.
func link(address string) string {
	isWeb := strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
	if !isWeb || strings.ContainsAny(address, "<> \t\n`|\\") {
		return escapeMarkdown(address)
	}
	return "<" + address + ">"
}

// code writes a text as it is.
func code(s string) string {
	return "`" + strings.ReplaceAll(wording.Clip(s, wording.MaxText), "`", "'") + "`"
}
