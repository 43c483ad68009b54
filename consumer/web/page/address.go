package page

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"supernats/consumer/fleet"
	"supernats/consumer/web/page/action"
	"supernats/consumer/web/page/look"
)

// pageLength is how many entries of a list a page has.
const pageLength = fleet.DefaultLimit

// queryOf reads what of the fleet is shown: ?q=TEXT&host=GLOB&group=GLOB&process=GLOB
// &state=WORD&sort=worst|name|since&page_token=…
func queryOf(q url.Values) (*fleet.Query, error) {
	query := &fleet.Query{
		Hosts: action.List(q, "host"), Groups: action.List(q, "group"), Processes: action.List(q, "process"),
		States: action.List(q, "state"), Text: strings.TrimSpace(q.Get("q")), Sort: q.Get("sort"),
		Token: q.Get("page_token"), Limit: pageLength,
	}
	if query.Sort == "" {
		query.Sort = fleet.SortWorst
	}
	if err := query.Check(); err != nil {
		return nil, badAddress(err)
	}
	return query, nil
}

func badAddress(err error) error {
	return &look.Problem{
		Status: http.StatusBadRequest, Text: "the address is not understood: " + look.Clip(err.Error()),
		Fix: "Correct it, or start from the page without what follows the question mark.",
	}
}

// nextPage is the path of the page after, "" if there is none.
func nextPage(path string, q url.Values, token string) string {
	if token == "" {
		return ""
	}
	next := url.Values{}
	for key, values := range q {
		next[key] = values
	}
	next.Set("page_token", token)
	return path + "?" + next.Encode()
}

// filterKeys are the parameters that narrow lists.
var filterKeys = []string{"q", "host", "group", "process", "rule", "severity", "event", "state", "since", "until"}

// filterWords says what a list is narrowed to, for one that is empty: "q=web, state=down".
func filterWords(q url.Values) string {
	var words []string
	for _, key := range filterKeys {
		for _, value := range action.List(q, key) {
			words = append(words, fmt.Sprintf("%s=%s", key, look.Clip(value)))
		}
	}
	return strings.Join(words, ", ")
}
