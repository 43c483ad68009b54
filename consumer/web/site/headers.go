package site

import "net/http"

// ContentPolicy allows a page nothing but what comes from here, and no page to frame it.
const ContentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// SetHeaders sets what every answer has, errors and redirects too. A handler may set other
// values: a file that never changes may be kept.
//
// The referrer stays within the site. With "no-referrer" a browser would send "Origin: null"
// with our own forms, and over plain HTTP there is nothing else by which to know them (Fetch
// standard, "append a request Origin header").
func SetHeaders(h http.Header) {
	h.Set("Content-Security-Policy", ContentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
