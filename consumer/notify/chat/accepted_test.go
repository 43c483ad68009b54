package chat

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"supernats/consumer/notify"
	"supernats/consumer/notify/notifytest"
)

const (
	pageOfLogin = `<!DOCTYPE html><html><head><title>Sign in to your account</title></head><body><form action="/login">`
	pageOfSite  = `<html><body><h1>It works!</h1></body></html>`
)

// TestAccepted: the status 2xx of a service is not enough, its text decides.
func TestAccepted(t *testing.T) {
	type answer struct {
		status int
		body   string
	}
	const (
		delivered = iota
		passes
		permanent
	)
	for _, tc := range []struct {
		service string
		answer
		want int
		// words and wait are those of the error.
		words string
		wait  time.Duration
	}{
		{"slack", answer{200, `{"ok":false,"error":"channel_not_found"}`}, permanent, "did not take the message: channel_not_found; check url", 0},
		{"slack", answer{200, `{"ok":false,"error":"ratelimited"}`}, passes, "ratelimited", 0},
		{"slack", answer{200, "invalid_token"}, permanent, "invalid_token", 0},
		{"slack", answer{200, "upstream connect error"}, passes, `without the "ok" of a success: upstream connect error`, 0},
		{"slack", answer{200, ""}, passes, "the answer is empty", 0},
		{"slack", answer{200, `{"message":"Not here"}`}, passes, "Not here", 0},
		{"slack", answer{200, `{"success":false,"error":"error-invalid-channel"}`}, permanent, "error-invalid-channel", 0},
		{"slack", answer{200, `{"success":false}`}, permanent, "no reason given", 0},
		{"slack", answer{200, `{"success":false,"error":"Error, too many requests. You must wait 43 seconds before trying this endpoint again."}`}, passes, "too many requests", 43 * time.Second},
		{"slack", answer{200, `{"id":"web.incoming_webhook.channel.app_error","message":"Couldn't find the channel","status_code":404}`}, permanent, "Couldn't find the channel", 0},
		{"slack", answer{200, `{"result":"error","msg":"Invalid API key"}`}, permanent, "Invalid API key", 0},
		{"slack", answer{200, "OK\n"}, delivered, "", 0},
		{"slack", answer{200, `{"ok":true}`}, delivered, "", 0},
		{"slack", answer{200, `{"success":true}`}, delivered, "", 0},
		{"slack", answer{200, `{"result":"success","msg":""}`}, delivered, "", 0},

		{"teams", answer{200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413 with ContextId tcid=0."}, permanent, "HTTP error 413", 0},
		{"teams", answer{200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0."}, passes, "HTTP error 429", 0},
		{"teams", answer{200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 500 with ContextId tcid=0."}, passes, "HTTP error 500", 0},
		{"teams", answer{200, "System.Net.Http.HttpRequestException: Error while copying content to a stream."}, passes, "Error while copying", 0},
		{"teams", answer{200, `{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"The workflow is off."}}`}, passes, "WorkflowTriggerIsNotEnabled: The workflow is off.", 0},
		{"teams", answer{200, `{"statusCode":404,"message":"Resource not found"}`}, permanent, "Resource not found", 0},
		{"teams", answer{200, "1"}, delivered, "", 0},
		{"teams", answer{202, ""}, delivered, "", 0},
		{"teams", answer{200, `{"posted":true}`}, delivered, "", 0},

		{"discord", answer{200, `{"message":"Unknown Webhook","code":10015}`}, permanent, "Unknown Webhook", 0},
		{"discord", answer{200, `{"message":"You are being rate limited.","retry_after":2.5,"global":false}`}, passes, "rate limited", 2500 * time.Millisecond},
		{"discord", answer{200, "null"}, passes, "without the message with its id", 0},
		{"discord", answer{204, ""}, delivered, "", 0},
		{"discord", answer{200, `{"type":0,"content":"x","id":"1308","channel_id":"1"}`}, delivered, "", 0},

		{"telegram", answer{200, `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`}, permanent, "400 Bad Request: chat not found; check chat_id", 0},
		{"telegram", answer{200, `{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001}}`}, permanent, "chat_id is now -1001", 0},
		{"telegram", answer{200, `{"ok":false,"error_code":401,"description":"Unauthorized"}`}, permanent, "401 Unauthorized; check api_url and token", 0},
		{"telegram", answer{200, `{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":17}}`}, passes, "Too Many Requests", 17 * time.Second},
		{"telegram", answer{200, `{"ok":false,"error_code":502,"description":"Bad Gateway"}`}, passes, "Bad Gateway", 0},
		{"telegram", answer{200, "ok"}, passes, `without the {"ok":true} of a success: ok`, 0},
		{"telegram", answer{200, `{"result":{}}`}, passes, `{"ok":true}`, 0},
		{"telegram", answer{200, `{"ok":true,"result":{"text":"` + strings.Repeat("x", 100_000) + `"}}`}, delivered, "", 0},

		{"ntfy", answer{200, `{"code":42901,"http":429,"error":"limit reached: too many requests"}`}, passes, "limit reached", 0},
		{"ntfy", answer{200, `{"code":40301,"http":403,"error":"forbidden"}`}, permanent, "forbidden; check topic", 0},
		{"ntfy", answer{200, "ok"}, passes, "without the message with its id", 0},
		{"ntfy", answer{200, `{"id":"sPs71M8A2T","time":1643935928,"event":"message","topic":"ops"}`}, delivered, "", 0},
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
		r, err := s.make(server.URL, notify.HTTPConfig{})
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
