package post

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	neturl "net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"supernats/consumer/notify"
)

// Answer is what the other side says with a status 2xx.
type Answer struct {
	Status int
	// Body is the text, the first 64 KiB of it.
	Body []byte
	// Date is what its clock says, to the second, and the zero time if it says
	// nothing.
	Date time.Time
}

// Text is the body without white space around it.
func (a Answer) Text() string {
	return strings.TrimSpace(strings.TrimPrefix(string(a.Body), "\ufeff"))
}

// Fields are the values at the top of a body that is an object of JSON, as far as
// it was read; ok says whether it is one.
func (a Answer) Fields() (fields map[string]json.RawMessage, ok bool) {
	d := json.NewDecoder(strings.NewReader(a.Text()))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}

	fields = map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			break
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			break // cut off
		}
		if key, ok := name.(string); ok {
			fields[key] = value
		}
	}
	return fields, true
}

// Refusal is an answer 2xx by which the other side did not take the message.
type Refusal struct {
	// Why are the service's own words; "" where it says nothing that it documents:
	// then the error quotes the answer and Want, what a success would have been.
	Why, Want string
	// Key is that of the configuration to check, if it is another than that of a URL.
	Key string
	// Permanent and Wait are as in the functions Permanent and After.
	Permanent bool
	Wait      time.Duration
}

// accepted decides about an answer 2xx: services and what stands before them say in its
// text that they did not take the message. cut is why its text could not be read to the
// end.
func (p *Poster) accepted(answer *http.Response, text []byte, cut error, r Request, u *neturl.URL) error {
	page, login := webPage(answer.Header.Get("Content-Type"), text)
	if login || page && r.Accepted != nil {
		// Of any other message it would say the same.
		return notify.Outage(p.pageError(answer.StatusCode, text, login, r, u))
	}
	if r.Accepted == nil {
		return nil
	}
	date, _ := http.ParseTime(answer.Header.Get("Date"))
	refusal := r.Accepted(Answer{answer.StatusCode, text, date})
	if refusal == nil {
		return nil
	}

	what := statusText(answer.StatusCode)
	if refusal.Why != "" {
		what += ", and did not take the message: " + quote(refusal.Why, r, u)
	} else {
		what += " without the " + refusal.Want + " of a success: " + answerText(text, cut, r, u)
	}
	err := p.requestError(u, what, cmp.Or(refusal.Key, r.URLKey), nil)
	switch {
	case refusal.Wait > 0:
		return notify.After(min(refusal.Wait, maxRetryAfter), err)
	case refusal.Permanent:
		return notify.Permanent(err)
	}
	return err
}

// pageError is the error of a page in place of an answer.
func (p *Poster) pageError(code int, text []byte, login bool, r Request, u *neturl.URL) error {
	what := statusText(code) + " with a web page"
	if title := pageTitle(text); title != "" {
		what += " (" + strconv.Quote(quote(title, r, u)) + ")"
	}
	if login {
		what += " that looks like a login or an error"
	}
	check := r.URLKey + ", and whether a proxy before the server asks for a login"
	return p.requestError(u, what+", so the message was not delivered", check, nil)
}

// answerText is the text of an answer in an error, or that it is empty.
func answerText(text []byte, cut error, r Request, u *neturl.URL) string {
	said := quote(string(text), r, u)
	switch {
	case cut != nil:
		return "the answer breaks off"
	case said == "":
		return "the answer is empty"
	}
	return said
}

var (
	// pageStart is how a page begins, after comments and declarations; any tag will
	// do where the header says that it is one.
	pageStart = regexp.MustCompile(`(?is)^(?:\s|<!--.*?-->|<\?xml[^>]*>)*` +
		`<(?:!doctype\s+html|html|head|body|meta|title|script|form|center|h1)\b`)
	anyTag = regexp.MustCompile(`(?i)<(?:!doctype|[a-z][a-z0-9]*)\b[^>]*>`)
	// loginSign are the words, forms and redirects of pages that ask for a login, or say
	// that the server lets nobody in.
	loginSign = regexp.MustCompile(`(?i)<form\b|password|log[ -]?[io]n\b|sign[ -]?in\b|single sign-on|\bsso\b|` +
		`saml|oauth|openid|captcha|captive|challenge|authenticat(?:e\b|ion)|` +
		`access denied|forbidden|unauthori[sz]ed|blocked|` +
		`http-equiv=.?refresh|location\.(?:href|replace|assign)|window\.location|` +
		`maintenance|temporarily unavailable|service unavailable|bad gateway|gateway time-?out`)
	title = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
)

// webPage reports whether a text is a page of HTML, and whether that is one of a
// login or an error instead of the answer of a program.
func webPage(contentType string, text []byte) (page, login bool) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	kind := strings.ToLower(contentType)
	declared := strings.HasPrefix(kind, "text/html") || strings.HasPrefix(kind, "application/xhtml")
	page = pageStart.Match(text) || declared && anyTag.Match(text)
	return page, page && loginSign.Match(text)
}

func pageTitle(text []byte) string {
	if m := title.FindSubmatch(text); m != nil {
		return strings.Join(strings.Fields(string(m[1])), " ")
	}
	return ""
}
