package chat

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
	"supernats/consumer/notify/post"
)

const (
	pageOfLogin = `<!DOCTYPE html><html><head><title>Sign in to your account</title></head><body><form action="/login">`
	pageOfSite  = `<html><body><h1>It works!</h1></body></html>`
)

// TestAccepted: the status 2xx of a service is not enough, its text decides.
func TestAccepted(t *testing.T) {
	const (
		delivered = iota
		passes
		permanent
	)
	for _, tc := range []struct {
		service string
		status  int
		body    string
		want    int
		// words and wait are those of the error.
		words string
		wait  time.Duration
	}{
		{service: "slack", status: 200, body: `{"ok":false,"error":"channel_not_found"}`, want: permanent, words: "did not take the message: channel_not_found; check url"},
		{service: "slack", status: 200, body: `{"ok":false,"error":"ratelimited"}`, want: passes, words: "ratelimited"},
		{service: "slack", status: 200, body: "invalid_token", want: permanent, words: "invalid_token"},
		{service: "slack", status: 200, body: "upstream connect error", want: passes, words: `without the "ok" of a success: upstream connect error`},
		{service: "slack", status: 200, body: "", want: passes, words: "the answer is empty"},
		{service: "slack", status: 200, body: `{"message":"Not here"}`, want: passes, words: "Not here"},
		{service: "slack", status: 200, body: `{"success":false,"error":"error-invalid-channel"}`, want: permanent, words: "error-invalid-channel"},
		{service: "slack", status: 200, body: `{"success":false}`, want: permanent, words: "no reason given"},
		{service: "slack", status: 200, body: `{"success":false,"error":"Error, too many requests. You must wait 43 seconds before trying this endpoint again."}`, want: passes, words: "too many requests", wait: 43 * time.Second},
		{service: "slack", status: 200, body: `{"id":"web.incoming_webhook.channel.app_error","message":"Couldn't find the channel","status_code":404}`, want: permanent, words: "Couldn't find the channel"},
		{service: "slack", status: 200, body: `{"result":"error","msg":"Invalid API key"}`, want: permanent, words: "Invalid API key"},
		{service: "slack", status: 200, body: "OK\n", want: delivered},
		{service: "slack", status: 200, body: `{"ok":true}`, want: delivered},
		{service: "slack", status: 200, body: `{"success":true}`, want: delivered},
		{service: "slack", status: 200, body: `{"result":"success","msg":""}`, want: delivered},

		{service: "teams", status: 200, body: "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413 with ContextId tcid=0.", want: permanent, words: "HTTP error 413"},
		{service: "teams", status: 200, body: "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0.", want: passes, words: "HTTP error 429"},
		{service: "teams", status: 200, body: "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 500 with ContextId tcid=0.", want: passes, words: "HTTP error 500"},
		{service: "teams", status: 200, body: "System.Net.Http.HttpRequestException: Error while copying content to a stream.", want: passes, words: "Error while copying"},
		{service: "teams", status: 200, body: `{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"The workflow is off."}}`, want: passes, words: "WorkflowTriggerIsNotEnabled: The workflow is off."},
		{service: "teams", status: 200, body: `{"statusCode":404,"message":"Resource not found"}`, want: permanent, words: "Resource not found"},
		{service: "teams", status: 200, body: "1", want: delivered},
		{service: "teams", status: 202, body: "", want: delivered},
		{service: "teams", status: 200, body: `{"posted":true}`, want: delivered},

		{service: "discord", status: 200, body: `{"message":"Unknown Webhook","code":10015}`, want: permanent, words: "Unknown Webhook"},
		{service: "discord", status: 200, body: `{"message":"You are being rate limited.","retry_after":2.5,"global":false}`, want: passes, words: "rate limited", wait: 2500 * time.Millisecond},
		{service: "discord", status: 200, body: "null", want: passes, words: "without the message with its id"},
		{service: "discord", status: 204, body: "", want: delivered},
		{service: "discord", status: 200, body: `{"type":0,"content":"x","id":"1308","channel_id":"1"}`, want: delivered},

		{service: "telegram", status: 200, body: `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`, want: permanent, words: "400 Bad Request: chat not found; check chat_id"},
		{service: "telegram", status: 200, body: `{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001}}`, want: permanent, words: "chat_id is now -1001"},
		{service: "telegram", status: 200, body: `{"ok":false,"error_code":401,"description":"Unauthorized"}`, want: permanent, words: "401 Unauthorized; check api_url and token"},
		{service: "telegram", status: 200, body: `{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":17}}`, want: passes, words: "Too Many Requests", wait: 17 * time.Second},
		{service: "telegram", status: 200, body: `{"ok":false,"error_code":502,"description":"Bad Gateway"}`, want: passes, words: "Bad Gateway"},
		{service: "telegram", status: 200, body: "ok", want: passes, words: `without the {"ok":true} of a success: ok`},
		{service: "telegram", status: 200, body: `{"result":{}}`, want: passes, words: `{"ok":true}`},
		{service: "telegram", status: 200, body: `{"ok":true,"result":{"text":"` + strings.Repeat("x", 100_000) + `"}}`, want: delivered},

		{service: "ntfy", status: 200, body: `{"code":42901,"http":429,"error":"limit reached: too many requests"}`, want: passes, words: "limit reached"},
		{service: "ntfy", status: 200, body: `{"code":40301,"http":403,"error":"forbidden"}`, want: permanent, words: "forbidden; check topic"},
		{service: "ntfy", status: 200, body: "ok", want: passes, words: "without the message with its id"},
		{service: "ntfy", status: 200, body: `{"id":"sPs71M8A2T","time":1643935928,"event":"message","topic":"ops"}`, want: delivered},
	} {
		t.Run(tc.service+" "+tc.body[:min(len(tc.body), 60)], func(t *testing.T) {
			wait, err := deliver(t, tc.service, tc.status, "", tc.body)
			if tc.want == delivered {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil {
				t.Fatal("counted as delivered")
			}
			if notify.IsPermanent(err) != (tc.want == permanent) || !strings.Contains(err.Error(), tc.words) || wait != tc.wait {
				t.Errorf("%v\npermanent %t, wait %v; want %q, %t, %v", err, notify.IsPermanent(err), wait, tc.words, tc.want == permanent, tc.wait)
			}
			if strings.Contains(err.Error(), "c0rrect") {
				t.Errorf("shows the secret: %v", err)
			}
		})
	}
}

// TestPages: a service never answers with a page of HTML; a proxy before it does.
func TestPages(t *testing.T) {
	for _, s := range services {
		for name, tc := range map[string]struct{ kind, body, words string }{
			"login":    {kind: "text/html; charset=utf-8", body: pageOfLogin, words: `a web page ("Sign in to your account") that looks like a login`},
			"no kind":  {kind: "", body: "\ufeff\n<!-- x -->\n" + pageOfLogin, words: "that looks like a login"},
			"any page": {kind: "text/html", body: pageOfSite, words: "with a web page, so"},
			"fragment": {kind: "text/html", body: `<p>Please <a href="/sso">sign in</a></p>`, words: "that looks like a login"},
		} {
			t.Run(s.name+" "+name, func(t *testing.T) {
				_, err := deliver(t, s.name, http.StatusOK, tc.kind, tc.body)
				if err == nil || notify.IsPermanent(err) || !strings.Contains(err.Error(), tc.words) || !strings.Contains(err.Error(), "; check ") {
					t.Errorf("%v; want one that may pass, with %q", err, tc.words)
				}
			})
		}
	}
}

// deliver sends one notification to a service that answers so.
func deliver(t *testing.T, service string, status int, kind, body string) (time.Duration, error) {
	t.Helper()
	server := notifytest.ServeFunc(t, func(_ *notifytest.Server, w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil // none is guessed
		if kind != "" {
			w.Header().Set("Content-Type", kind)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	for _, s := range services {
		if s.name != service {
			continue
		}
		r, err := s.make(server.URL, post.HTTPConfig{}, linked)
		if err != nil {
			t.Fatal(err)
		}
		err = r.Notify(t.Context(), notifytest.Many(1))
		wait, _ := notify.RetryAfter(err)
		return wait, err
	}
	t.Fatalf("no service %q", service)
	return 0, nil
}
