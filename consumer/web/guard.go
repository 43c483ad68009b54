package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"supernats/consumer/web/site"
)

// withHeaders gives every answer the headers of the site.
func withHeaders(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site.SetHeaders(w.Header())
		h.ServeHTTP(w, r)
	})
}

// protect refuses what a page of another site makes a browser send: only reading is free.
// Programs send no Origin and pass; web_config restricts who may do what.
func (s *Server) protect(h http.Handler) http.Handler {
	p := http.NewCrossOriginProtection()
	if origin := s.Site.Origin(); origin != "" {
		// A proxy may pass another Host on. What is no origin was refused as external_url.
		_ = p.AddTrustedOrigin(origin)
	}
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, http.StatusForbidden, fmt.Sprintf("refused: the request comes from a page of another site: "+
			"Origin %.100q, Host %.100q; if that is a proxy of this daemon, set external_url to its address",
			r.Header.Get("Origin"), r.Host))
	}))

	return p.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isReading(r) && s.Site.IsRebound(r) {
			refuse(w, r, http.StatusForbidden, fmt.Sprintf("refused: %.100q is not known to be this daemon, "+
				"a page of another site may have sent this: set external_url to the address at which people "+
				"reach it, or have them log in (web_config)", r.Host))
			return
		}
		h.ServeHTTP(w, r)
	}))
}

func isReading(r *http.Request) bool {
	return slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, r.Method)
}

// refuse answers with an error in the words of who asks: the API has problem details.
func refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	if strings.Contains(r.URL.Path, "/api/v1/") {
		site.NewProblem(status, text).Write(w)
		return
	}
	http.Error(w, text, status)
}

// withMethods answers a request with a method that its path does not have: the mux alone would
// give it to the room that answers for every path, which knows only that it has none.
func withMethods(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowed := allowedMethods(mux, r)
		if len(allowed) == 0 || slices.Contains(allowed, r.Method) {
			mux.ServeHTTP(w, r)
			return
		}

		w.Header().Set("Allow", strings.Join(allowed, ", "))
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		refuse(w, r, http.StatusMethodNotAllowed,
			fmt.Sprintf("method %.20q is not allowed here: want %s", r.Method, strings.Join(allowed, ", ")))
	})
}

// allowedMethods returns the methods that the path of a request has, none where there is
// nothing. A pattern that takes every method is one of those that answer for every path.
func allowedMethods(mux *http.ServeMux, r *http.Request) (list []string) {
	try := *r
	for _, try.Method = range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete,
	} {
		if _, pattern := mux.Handler(&try); strings.Contains(pattern, " ") {
			list = append(list, try.Method)
		}
	}
	return list
}
