package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
	"supernats/consumer/notify/post"
	"supernats/schema"
	"supernats/schema/secretfile"
)

const (
	// token is part of the path of a URL, as Slack's and Discord's are.
	token    = "T0123ABCD/B0123ABCD/c0rrecth0rsebatterystaple"
	path     = "/services/" + token
	botKey   = "123456789:AAHc0rrecth0rse-batterystaple_xyz"
	ntfyKey  = "tk_c0rrecth0rsebattery"
	fileMode = 0o600
)

// id has no external_url, linked has one.
var (
	id     = notify.Identity{Instance: "mon1", Version: "1.2.3"}
	linked = notify.Identity{Instance: "mon1", Version: "1.2.3", URL: "https://mon1.example.com/"}
)

func httpConfig(timeout time.Duration) post.HTTPConfig {
	return post.HTTPConfig{Timeout: schema.Duration(timeout)}
}

// services are all receivers here, asked at a URL.
var services = []struct {
	name string
	make func(url string, h post.HTTPConfig, from notify.Identity) (notify.Receiver, error)
	// text finds what people see in a body.
	text func(t *testing.T, body []byte) string
	max  int
}{
	{name: "slack", make: func(url string, h post.HTTPConfig, from notify.Identity) (notify.Receiver, error) {
		return NewSlack("chat", SlackConfig{URL: secretfile.Secret(url + path), HTTPConfig: h}.WithDefaults(), from)
	}, text: field("text"), max: 4000},
	{name: "teams", make: func(url string, h post.HTTPConfig, from notify.Identity) (notify.Receiver, error) {
		return NewTeams("chat", TeamsConfig{URL: secretfile.Secret(url + path), HTTPConfig: h}.WithDefaults(), from)
	}, text: cardText, max: 28 << 10},
	{name: "discord", make: func(url string, h post.HTTPConfig, from notify.Identity) (notify.Receiver, error) {
		return NewDiscord("chat", DiscordConfig{URL: secretfile.Secret(url + path), HTTPConfig: h}.WithDefaults(), from)
	}, text: field("content"), max: 2000},
	{name: "telegram", make: func(url string, h post.HTTPConfig, from notify.Identity) (notify.Receiver, error) {
		return NewTelegram("chat", TelegramConfig{Token: botKey, ChatID: "-1001234567890", APIURL: url, HTTPConfig: h}.WithDefaults(), from)
	}, text: field("text"), max: 4096},
	{name: "ntfy", make: func(url string, h post.HTTPConfig, from notify.Identity) (notify.Receiver, error) {
		return NewNtfy("chat", NtfyConfig{URL: url, Topic: "ops", Token: ntfyKey, HTTPConfig: h}.WithDefaults(), from)
	}, text: field("message"), max: 4096},
}

func field(name string) func(*testing.T, []byte) string {
	return func(t *testing.T, body []byte) string {
		t.Helper()
		var m map[string]any
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatal(err)
		}
		s, ok := m[name].(string)
		if !ok {
			t.Fatalf("no %s in %s", name, body)
		}
		return s
	}
}

func cardText(t *testing.T, body []byte) string {
	t.Helper()
	var m teamsMessage
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range m.Attachments[0].Content.Body {
		line := ""
		for _, run := range p.Inlines {
			line += run.Text
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// TestMain finds what still runs after a delivery.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReceivers(t *testing.T) {
	for _, s := range services {
		t.Run(s.name, func(t *testing.T) {
			notifytest.RunReceiver(t, func(t *testing.T, b notifytest.Behaviour, timeout time.Duration) notifytest.Peer {
				server := notifytest.Serve(t, b)
				r, err := s.make(server.URL, httpConfig(timeout), linked)
				if err != nil {
					t.Fatal(err)
				}
				return notifytest.Peer{Receiver: r, Got: server.Bodies, Secrets: []string{token, "c0rrect"}}
			})
		})
	}
}

// send delivers a batch and returns the request.
func send(t *testing.T, r func(url string) (notify.Receiver, error), batch ...*notify.Notification) notifytest.Request {
	t.Helper()
	server := notifytest.Serve(t, notifytest.Accept)
	receiver, err := r(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := receiver.Notify(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	requests := server.Requests()
	if len(requests) != 1 {
		t.Fatalf("%d requests, want 1", len(requests))
	}
	return requests[0]
}

// TestLimits: a message never has more than the service takes, the rest is
// counted, and nothing is cut that fits.
func TestLimits(t *testing.T) {
	hostile := append(notifytest.HostileBatch(), notifytest.HostileBatch()...)
	for _, s := range services {
		for name, batch := range map[string][]*notify.Notification{
			"few": notifytest.Many(5), "many": notifytest.Many(1000), "hostile": hostile,
		} {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				body := send(t, func(url string) (notify.Receiver, error) { return s.make(url, httpConfig(time.Minute), linked) }, batch...).Body
				text := s.text(t, body)
				size := units(text)
				switch s.name {
				case "teams":
					size = len(body)
				case "ntfy":
					size = len(text)
				}
				if size > s.max {
					t.Errorf("size is %d, allowed are %d", size, s.max)
				}
				lines := strings.Split(text, "\n")
				shown, left := len(lines), 0
				if _, err := fmt.Sscanf(lines[len(lines)-1], "… and %d more", &left); err == nil {
					shown--
				}
				if shown+left != len(batch) || shown == 0 {
					t.Errorf("%d lines and %d more of a batch of %d:\n%s", shown, left, len(batch), text)
				}
				if name == "few" && left > 0 {
					t.Errorf("cut, though it fits:\n%s", text)
				}
				if name != "few" && s.name != "teams" && size < s.max/2 {
					t.Errorf("size is %d, allowed are %d: cut too early", size, s.max)
				}
			})
		}
	}
}

// mixed is a batch with every status and with markup in a name.
func mixed() []*notify.Notification {
	return []*notify.Notification{
		notifytest.Firing("a/1"),
		notifytest.Notification(schema.TypeAlertUpdate, "a/1", 5),
		notifytest.Notification(schema.TypeAlertResolved, "a/1", 9),
		notifytest.Firing("b/1", func(a *schema.Notification) {
			a.Rule, a.Group, a.Process, a.Events = "host-silent", "", "", nil
		}),
		notifytest.Firing("c/1", func(a *schema.Notification) {
			a.Group, a.Process = "<b>&`x`", "*y*_z_"
			a.Events[0].Exit = &schema.Exit{SpawnErr: "can't find @everyone <!channel> http://x\n"}
			a.Events[0].Late = true
		}),
	}
}

func TestText(t *testing.T) {
	want := map[string]string{
		"slack": "FIRING `web1` `api:api_00` exited unexpectedly (exit code 1)\n" +
			"UPDATE `web1` `api:api_00` exited unexpectedly (exit code 5), 5 times\n" +
			"RESOLVED `web1` `api:api_00` exited unexpectedly (exit code 9), 9 times, over after 8m\n" +
			"FIRING `web1` is silent, its bridge sends nothing, last heard 2026-11-21 19:00:31 UTC\n" +
			"FIRING `web1` `&lt;b&gt;&amp;'x':*y*_z_` `exited unexpectedly (spawn error: can't find @everyone &lt;!channel&gt; http://x\\n)`, late: it was at 2026-11-21 19:00:31 UTC",
		"teams": "FIRING web1 api:api_00 exited unexpectedly (exit code 1)\n" +
			"UPDATE web1 api:api_00 exited unexpectedly (exit code 5), 5 times\n" +
			"RESOLVED web1 api:api_00 exited unexpectedly (exit code 9), 9 times, over after 8m\n" +
			"FIRING web1 is silent, its bridge sends nothing, last heard 2026-11-21 19:00:31 UTC\n" +
			"FIRING web1 <b>&`x`:*y*_z_ exited unexpectedly (spawn error: can't find @everyone <!channel> http://x\\n), late: it was at 2026-11-21 19:00:31 UTC",
		"discord": `**FIRING** web1 api\:api\_00 exited unexpectedly (exit code 1)` + "\n" +
			`**UPDATE** web1 api\:api\_00 exited unexpectedly (exit code 5), 5 times` + "\n" +
			`**RESOLVED** web1 api\:api\_00 exited unexpectedly (exit code 9), 9 times, over after 8m` + "\n" +
			`**FIRING** web1 is silent, its bridge sends nothing, last heard 2026-11-21 19\:00\:31 UTC` + "\n" +
			"**FIRING** web1 \\<b\\>&\\`x\\`\\:\\*y\\*\\_z\\_ exited unexpectedly (spawn error\\: can't find \\@everyone \\<!channel\\> http\\://x\\\\n), late: it was at 2026-11-21 19:00:31 UTC",
		"telegram": "<b>FIRING</b> <code>web1</code> <code>api:api_00</code> exited unexpectedly (exit code 1)\n" +
			"<b>UPDATE</b> <code>web1</code> <code>api:api_00</code> exited unexpectedly (exit code 5), 5 times\n" +
			"<b>RESOLVED</b> <code>web1</code> <code>api:api_00</code> exited unexpectedly (exit code 9), 9 times, over after 8m\n" +
			"<b>FIRING</b> <code>web1</code> is silent, its bridge sends nothing, last heard 2026-11-21 19:00:31 UTC\n" +
			"<b>FIRING</b> <code>web1</code> <code>&lt;b&gt;&amp;`x`:*y*_z_</code> <code>exited unexpectedly (spawn error: can't find @everyone &lt;!channel&gt; http://x\\n)</code>, late: it was at 2026-11-21 19:00:31 UTC",
		"ntfy": "FIRING web1 api:api_00 exited unexpectedly (exit code 1)\n" +
			"UPDATE web1 api:api_00 exited unexpectedly (exit code 5), 5 times\n" +
			"RESOLVED web1 api:api_00 exited unexpectedly (exit code 9), 9 times, over after 8m\n" +
			"FIRING web1 is silent, its bridge sends nothing, last heard 2026-11-21 19:00:31 UTC\n" +
			"FIRING web1 <b>&`x`:*y*_z_ exited unexpectedly (spawn error: can't find @everyone <!channel> http://x\\n), late: it was at 2026-11-21 19:00:31 UTC",
	}
	for _, s := range services {
		t.Run(s.name, func(t *testing.T) {
			body := send(t, func(url string) (notify.Receiver, error) { return s.make(url, httpConfig(time.Minute), id) }, mixed()...).Body
			if diff := cmp.Diff(want[s.name], s.text(t, body)); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALackOfMemory(t *testing.T) {
	plain := strings.NewReplacer(`\`, "", "`", "", "<code>", "", "</code>", "", "<b>", "", "</b>", "", "*", "")
	for _, s := range services {
		body := send(t, func(url string) (notify.Receiver, error) { return s.make(url, httpConfig(time.Minute), id) }, notifytest.OutOfMemory("a")).Body
		const want = "FIRING web1 api:api_00 exited unexpectedly (ran 2 d 4 h, SIGKILL, out of memory at 2.0 of 2 GiB)"
		if got := plain.Replace(s.text(t, body)); got != want {
			t.Errorf("%s: %q, want %q", s.name, got, want)
		}
	}
}

// TestBody compares a whole request with what the manual of the service says.
func TestBody(t *testing.T) {
	line := "exited unexpectedly (exit code 1)"
	for _, c := range []struct {
		name        string
		make        func(url string) (notify.Receiver, error)
		path, query string
		header      map[string]string
		body        string
	}{
		{name: "slack", make: func(url string) (notify.Receiver, error) {
			return NewSlack("chat", SlackConfig{URL: secretfile.Secret(url + path), Channel: "#ops", Username: "supervisor"}.WithDefaults(), id)
		}, path: path, query: "", header: nil, body: `{"text":"FIRING ` + "`web1` `api:api_00`" + ` ` + line + `","channel":"#ops","username":"supervisor","unfurl_links":false,"unfurl_media":false}`},
		{name: "discord", make: func(url string) (notify.Receiver, error) {
			return NewDiscord("chat", DiscordConfig{URL: secretfile.Secret(url + path + "?thread_id=7"), Username: "supervisor"}.WithDefaults(), id)
		}, path: path, query: "thread_id=7&wait=true", header: nil, body: `{"content":"**FIRING** web1 api\\:api\\_00 ` + line + `","username":"supervisor","flags":4,"allowed_mentions":{"parse":[]}}`},
		{name: "telegram", make: func(url string) (notify.Receiver, error) {
			return NewTelegram("chat", TelegramConfig{Token: botKey, ChatID: "@ops", Thread: 3, APIURL: url + "/"}.WithDefaults(), id)
		}, path: "/bot" + botKey + "/sendMessage", query: "", header: nil, body: `{"chat_id":"@ops","message_thread_id":3,"text":"<b>FIRING</b> <code>web1</code> <code>api:api_00</code> ` + line + `","parse_mode":"HTML","link_preview_options":{"is_disabled":true}}`},
		{name: "ntfy", make: func(url string) (notify.Receiver, error) {
			return NewNtfy("chat", NtfyConfig{URL: url, Topic: "ops", Token: ntfyKey}.WithDefaults(), linked)
		}, path: "/", query: "", header: map[string]string{"Authorization": "Bearer " + ntfyKey}, body: `{"topic":"ops","title":"FIRING web1 api:api_00","message":"FIRING web1 api:api_00 ` + line + `","priority":5,"click":"https://mon1.example.com/alerts/a%2F1","actions":[` +
			`{"action":"view","label":"Acknowledge","url":"https://mon1.example.com/alerts/a%2F1#ack"},` +
			`{"action":"view","label":"Silence","url":"https://mon1.example.com/mutes/new?group=api&host=web1&process=api_00&rule=unexpected-exit"}]}`},
		{name: "ntfy with a password", make: func(url string) (notify.Receiver, error) {
			return NewNtfy("chat", NtfyConfig{URL: url, Topic: "ops", BasicAuth: post.BasicAuth{Username: "me", Password: "pw"}, Priority: 2}.WithDefaults(), id)
		}, path: "/", query: "", header: map[string]string{"Authorization": "Basic bWU6cHc="}, body: `{"topic":"ops","title":"FIRING web1 api:api_00","message":"FIRING web1 api:api_00 ` + line + `","priority":2}`},
		{name: "teams", make: func(url string) (notify.Receiver, error) {
			return NewTeams("chat", TeamsConfig{URL: secretfile.Secret(url + path)}.WithDefaults(), id)
		}, path: path, query: "", header: nil, body: `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null,"content":{` +
			`"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","type":"AdaptiveCard","version":"1.4","msteams":{"width":"Full"},"body":[` +
			`{"type":"RichTextBlock","spacing":"small","inlines":[{"type":"TextRun","text":"FIRING","weight":"bolder","color":"attention"},{"type":"TextRun","text":" web1 api:api_00 ` + line + `"}]}],` +
			`"fallbackText":"FIRING web1 api:api_00"}}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := send(t, c.make, notifytest.Firing("a/1"))
			if r.Path != c.path || r.Query != c.query {
				t.Errorf("asked for %s?%s, want %s?%s", r.Path, r.Query, c.path, c.query)
			}
			for name, want := range c.header {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if got := r.Header.Get("Content-Type") + " " + r.Header.Get("User-Agent"); got != "application/json supernats/1.2.3" {
				t.Errorf("headers are %q", got)
			}
			if diff := cmp.Diff(c.body, string(r.Body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPriority(t *testing.T) {
	severity := func(s string) func(*schema.Notification) { return func(a *schema.Notification) { a.Severity = s } }
	for _, c := range []struct {
		batch []*notify.Notification
		want  int
	}{
		{batch: []*notify.Notification{notifytest.Firing("a", severity("info"))}, want: 3},
		{batch: []*notify.Notification{notifytest.Firing("a", severity("info")), notifytest.Firing("a", severity("warning"))}, want: 4},
		{batch: []*notify.Notification{notifytest.Firing("a", severity("warning")), notifytest.Firing("b")}, want: 5},
		{batch: []*notify.Notification{notifytest.Notification(schema.TypeAlertResolved, "a", 2)}, want: 3},
	} {
		if got := (NtfyConfig{}).priority(c.batch); got != c.want {
			t.Errorf("priority of %s is %d, want %d", c.batch[0].Data.Severity, got, c.want)
		}
	}
}

// TestTelegramWait: Telegram says in the text how long to wait.
func TestTelegramWait(t *testing.T) {
	for body, want := range map[string]time.Duration{
		`{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}`: 35 * time.Second,
		`{"parameters":{"retry_after":1e99}}`: time.Hour,
		`{"parameters":{"retry_after":-1}}`:   0,
		`{}`:                                  0,
		`<html>`:                              0,
	} {
		server := notifytest.ServeFunc(t, func(_ *notifytest.Server, w http.ResponseWriter, _ *http.Request) {
			http.Error(w, body, http.StatusTooManyRequests)
		})
		r, err := NewTelegram("chat", TelegramConfig{Token: botKey, ChatID: "1", APIURL: server.URL}.WithDefaults(), id)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := notify.RetryAfter(r.Notify(t.Context(), mixed()))
		if got != want {
			t.Errorf("%s: wait %s, want %s", body, got, want)
		}
	}
}

// TestFiles: secrets are read at every delivery, and a missing one is no reason to
// give up.
func TestFiles(t *testing.T) {
	server := notifytest.Serve(t, notifytest.Accept)
	for name, make := range map[string]func(file string) (notify.Receiver, error){
		"slack": func(file string) (notify.Receiver, error) {
			return NewSlack("chat", SlackConfig{URLFile: file}.WithDefaults(), id)
		},
		"teams": func(file string) (notify.Receiver, error) {
			return NewTeams("chat", TeamsConfig{URLFile: file}.WithDefaults(), id)
		},
		"discord": func(file string) (notify.Receiver, error) {
			return NewDiscord("chat", DiscordConfig{URLFile: file}.WithDefaults(), id)
		},
		"telegram": func(file string) (notify.Receiver, error) {
			return NewTelegram("chat", TelegramConfig{TokenFile: file, ChatID: "1", APIURL: server.URL}.WithDefaults(), id)
		},
		"ntfy": func(file string) (notify.Receiver, error) {
			return NewNtfy("chat", NtfyConfig{URL: server.URL, Topic: "ops", TokenFile: file}.WithDefaults(), id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "secret")
			write := func(s string) {
				t.Helper()
				if err := os.WriteFile(file, []byte(s), fileMode); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := make(file); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "_file: ") {
				t.Errorf("missing file: %v", err)
			}
			write("\n")
			if _, err := make(file); err == nil || !strings.Contains(err.Error(), "is empty") {
				t.Errorf("empty file: %v", err)
			}
			secrets := []string{server.URL + path, server.URL + path + "2"}
			if strings.Contains(name, "tel") || name == "ntfy" {
				secrets = []string{botKey, botKey + "2"}
			}
			var r notify.Receiver
			for i, secret := range secrets {
				write(secret + "\r\n")
				if i == 0 {
					var err error
					if r, err = make(file); err != nil {
						t.Fatal(err)
					}
				}
				if err := r.Notify(t.Context(), mixed()); err != nil {
					t.Fatal(err)
				}
				requests := server.Requests()
				last := requests[len(requests)-1]
				if where := server.URL + last.Path + " " + last.Header.Get("Authorization"); !strings.Contains(where, secret) {
					t.Errorf("asked %s, not with %s", where, secret)
				}
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := r.Notify(t.Context(), mixed()); err == nil || notify.IsPermanent(err) || !strings.Contains(err.Error(), "_file") || !strings.Contains(err.Error(), name+` receiver "chat"`) {
				t.Errorf("file is gone: %v", err)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	ok := post.HTTPConfig{}.WithDefaults()
	for _, c := range []struct {
		name string
		err  error
		want []string // beginnings of the lines
	}{
		{name: "slack: nothing", err: SlackConfig{}.Validate(), want: []string{"url_file: missing", "max_length: invalid value 0: want 4000 to 40000", "timeout: invalid value 0s: want a duration above zero"}},
		{name: "slack: both", err: SlackConfig{URL: "https://x/s3cret", URLFile: "f"}.WithDefaults().Validate(), want: []string{"url: given together"}},
		{name: "slack: no URL", err: SlackConfig{URL: "s3cret"}.WithDefaults().Validate(), want: []string{"url: invalid URL: want https://"}},
		{name: "slack: no host", err: SlackConfig{URL: "https:///s3cret"}.WithDefaults().Validate(), want: []string{"url: invalid URL without a host"}},
		{name: "slack: bad URL", err: SlackConfig{URL: "https://x/%zzs3cret"}.WithDefaults().Validate(), want: []string{"url: invalid URL: want https://host/path"}},
		{name: "slack: names", err: SlackConfig{URLFile: "f", Channel: "a\nb", Username: strings.Repeat("x", 81), MaxLength: 50_000}.WithDefaults().Validate(), want: []string{"channel: ", "username: ", "max_length: invalid value 50000"}},
		{name: "teams", err: TeamsConfig{HTTPConfig: ok}.Validate(), want: []string{"url_file: missing"}},
		{name: "discord", err: DiscordConfig{HTTPConfig: ok, URL: "ftp://x/s3cret", Username: "\x1b"}.Validate(), want: []string{"url: invalid URL: want https://", "username: "}},
		{name: "telegram: nothing", err: TelegramConfig{}.WithDefaults().Validate(), want: []string{"token_file: missing", `chat_id: invalid value ""`}},
		{name: "telegram: wrong", err: TelegramConfig{Token: "s3cret/../x", ChatID: "ops", Thread: -1, APIURL: "x"}.WithDefaults().Validate(), want: []string{"token: invalid token", `chat_id: invalid value "ops"`, "message_thread_id: invalid value -1", "api_url: invalid URL: want https://"}},
		{name: "ntfy: nothing", err: NtfyConfig{}.WithDefaults().Validate(), want: []string{`topic: invalid value ""`}},
		{name: "ntfy: wrong", err: NtfyConfig{URL: "ntfy.sh", Topic: "a/b", Token: "s3cret", TokenFile: "f", BasicAuth: post.BasicAuth{Username: "a"}, Priority: 6}.WithDefaults().Validate(), want: []string{"url: invalid URL: want https://", `topic: invalid value "a/b"`, "token: given together with token_file", "token: given together with basic_auth", "priority: invalid value 6"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.err == nil {
				t.Fatal("no error")
			}
			lines := strings.Split(c.err.Error(), "\n")
			if len(lines) != len(c.want) {
				t.Fatalf("lines are %q, want %q", lines, c.want)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(lines[i], want) || strings.Contains(lines[i], "s3cret") {
					t.Errorf("line is %q, want %q and no secret", lines[i], want)
				}
			}
		})
	}
}
