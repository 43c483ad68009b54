package chat

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/notify/post"
)

// What follows is what the services document as success (Accepted of post.Request); all else
// is not delivered. What a service refuses by a code of its own is permanent where no other
// try helps, as the same status would be; what it does not document may pass.

// slackAccepted: "ok" as text (Slack, Mattermost) or {"ok":true} (workflows of
// Slack), {"success":true} (Rocket.Chat, Synology Chat), {"result":"success"}
// (Zulip); others that take the same JSON answer with the message that they made.
func slackAccepted(a post.Answer) *post.Refusal {
	undocumented := &post.Refusal{Want: `"ok"`}
	fields, object := a.Fields()
	if !object {
		if saysOK(a.Text()) {
			return nil
		}
		if slackPermanent(a.Text()) {
			return &post.Refusal{Why: a.Text(), Permanent: true}
		}
		return undocumented
	}

	if why, refused := failure(fields); refused {
		return &post.Refusal{Why: why, Permanent: !passesByItself(why), Wait: patience(why, fields)}
	}
	switch {
	case string(fields["ok"]) == "true", string(fields["success"]) == "true",
		isSuccess(fields["result"]), isSuccess(fields["status"]),
		fields["text"] != nil, fields["content"] != nil:
		return nil
	}
	return undocumented
}

// slackPermanent are the words with which Slack refuses a message for good, with a
// status 4xx as a rule.
func slackPermanent(text string) bool {
	switch text {
	case "invalid_payload", "invalid_token", "invalid_blocks", "invalid_attachments",
		"no_text", "no_team", "no_service", "no_service_id", "no_active_hooks",
		"user_not_found", "channel_not_found", "channel_is_archived", "action_prohibited",
		"posting_to_general_channel_denied",
		"too_many_attachments", "team_disabled", "msg_too_long",
		"missing_text_or_fallback_or_attachments":
		return true
	}
	return false
}

// teamsError is how a connector says, with 200, that Teams did not take a message.
var teamsError = regexp.MustCompile(`HTTP error (\d{3})`)

// teamsAccepted: no text (workflows: 202, or the status of a step "Response"), "1"
// (connectors), and what a workflow says in JSON that is no failure.
func teamsAccepted(a post.Answer) *post.Refusal {
	text := a.Text()
	fields, object := a.Fields()
	switch {
	case object:
		if why, refused := failure(fields); refused {
			code := max(number(fields["statusCode"]), number(fields["status"]))
			return &post.Refusal{Why: why, Permanent: permanentStatus(code), Wait: patience(why, fields)}
		}
		return nil
	case text == "", text == "1", saysOK(text):
		return nil
	}

	refusal := &post.Refusal{Want: `"1"`}
	if m := teamsError.FindStringSubmatch(text); m != nil {
		code, _ := strconv.Atoi(m[1])
		refusal.Why, refusal.Permanent = text, permanentStatus(code)
	}
	return refusal
}

// discordAccepted: the message that was made, which is what wait=true asks for, or 204
// where something on the way takes that out.
func discordAccepted(a post.Answer) *post.Refusal {
	fields, object := a.Fields()
	switch {
	case a.Status == http.StatusNoContent, saysOK(a.Text()):
		return nil
	case object && len(fields["id"]) > 2:
		return nil
	case object:
		if why, refused := failure(fields); refused || fields["message"] != nil || fields["retry_after"] != nil {
			if why == "" {
				why = word(fields["message"])
			}
			coded := number(fields["code"]) != 0 && fields["retry_after"] == nil
			return &post.Refusal{Why: why, Permanent: coded, Wait: patience(why, fields)}
		}
	}
	return &post.Refusal{Want: "message with its id"}
}

// telegramAccepted: {"ok":true,…}.
func telegramAccepted(a post.Answer) *post.Refusal {
	fields, _ := a.Fields()
	switch string(fields["ok"]) {
	case "true":
		return nil
	case "false":
		return telegramRefusal(a, fields)
	}
	return &post.Refusal{Want: `{"ok":true}`}
}

func telegramRefusal(a post.Answer, fields map[string]json.RawMessage) *post.Refusal {
	code := number(fields["error_code"])
	refusal := &post.Refusal{
		Why:       strings.TrimSpace(strconv.Itoa(code) + " " + word(fields["description"])),
		Permanent: permanentStatus(code), Wait: telegramWait(a.Body),
	}

	var parameters struct {
		Chat int64 `json:"migrate_to_chat_id"`
	}
	if json.Unmarshal(fields["parameters"], &parameters) == nil && parameters.Chat != 0 {
		refusal.Why += " (its chat_id is now " + strconv.FormatInt(parameters.Chat, 10) + ")"
	}
	switch code {
	case http.StatusUnauthorized, http.StatusNotFound: // the token
	case http.StatusBadRequest, http.StatusForbidden:
		refusal.Key = "chat_id"
	}
	return refusal
}

// ntfyAccepted: the message that was made, {"id":"…","event":"message",…}.
func ntfyAccepted(a post.Answer) *post.Refusal {
	fields, object := a.Fields()
	if why, refused := failure(fields); refused {
		return &post.Refusal{
			Why: why, Permanent: permanentStatus(number(fields["http"])), Wait: patience(why, fields),
			Key: "topic and url",
		}
	}
	if object && word(fields["id"]) != "" {
		return nil
	}
	return &post.Refusal{Want: "message with its id"}
}

// failure finds the ways in which an object says that something failed.
func failure(fields map[string]json.RawMessage) (why string, refused bool) {
	for _, key := range []string{"ok", "success"} {
		refused = refused || string(fields[key]) == "false"
	}
	for _, key := range []string{"result", "status"} {
		switch strings.ToLower(word(fields[key])) {
		case "error", "fail", "failed", "failure":
			refused = true
		}
	}
	for _, key := range []string{"status_code", "statusCode", "error_code", "errcode", "http"} {
		if n := number(fields[key]); n >= 400 || n != 0 && key == "errcode" {
			refused = true
		}
	}
	if s := errorText(fields["error"]); s != "" {
		return s, true
	}
	if !refused {
		return "", false
	}

	for _, key := range []string{"description", "message", "msg", "errmsg", "reason"} {
		if s := word(fields[key]); s != "" {
			return s, true
		}
	}
	if s := errorText(fields["errors"]); s != "" {
		return s, true
	}
	return "no reason given", true
}

// errorText is what a field "error" says: a text, or an object with a code and a message in
// it.
func errorText(raw json.RawMessage) string {
	if s := word(raw); s != "" {
		return s
	}
	switch s := string(raw); s {
	case "", "null", "false", "0", `""`, "{}", "[]":
		return ""
	default:
		var object struct{ Code, Message string }
		if json.Unmarshal(raw, &object) == nil && object.Code+object.Message != "" {
			return strings.TrimPrefix(strings.TrimSuffix(object.Code+": "+object.Message, ": "), ": ")
		}
		return s
	}
}

// passesByItself reports whether a reason is one that ends by itself.
func passesByItself(why string) bool {
	why = strings.ToLower(why)
	return slices.ContainsFunc([]string{
		"ratelimit", "rate_limit", "rate limit", "too many", "too-many", "slow down",
		"internal_error", "internal server error", "fatal_error", "service_unavailable", "unavailable",
		"request_timeout", "timed out", "timeout", "try again", "rollup_error", "temporar",
	}, func(s string) bool { return strings.Contains(why, s) })
}

// mustWait is how Rocket.Chat says how long.
var mustWait = regexp.MustCompile(`(?i)wait (\d{1,6}) seconds`)

// patience is how long to wait before the next try, 0 where nobody says so.
func patience(why string, fields map[string]json.RawMessage) time.Duration {
	var seconds float64
	if json.Unmarshal(fields["retry_after"], &seconds) == nil && seconds > 0 {
		return post.Seconds(seconds)
	}
	if m := mustWait.FindStringSubmatch(why); m != nil {
		seconds, _ = strconv.ParseFloat(m[1], 64)
		return post.Seconds(seconds)
	}
	return 0
}

// permanentStatus is what post.Poster makes of a status.
func permanentStatus(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return code >= 400 && code < 500
}

func saysOK(text string) bool { return strings.EqualFold(strings.Trim(text, `"`), "ok") }

// isSuccess reports whether a value is a word of success.
func isSuccess(raw json.RawMessage) bool {
	switch strings.ToLower(word(raw)) {
	case "ok", "success", "succeeded", "accepted", "sent":
		return true
	}
	return false
}

// word is a text of JSON, "" for any other value.
func word(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}

// number is a whole number of JSON, 0 for any other value.
func number(raw json.RawMessage) int {
	var n int
	_ = json.Unmarshal(raw, &n)
	return n
}
