package app
import ("strings";"supernats/schema")
func subjectEvent(subject string) (token, event string, ok bool) {
	s, err := schema.ParseSubject(subject)
	if err != nil { return "", "", false }
	rest := strings.TrimPrefix(subject, schema.EventPrefix)
	token, _, _ = strings.Cut(rest, ".")
	return token, s.Event, true
}
